// Checks the inbox: backlog, storage, handlers for the topics that arrive.
import type { Config } from '../config.ts';
import { ConfigError, describeError } from '../errors.ts';
import { countTopics, readBacklog, readStorage } from '../events/statistics.ts';
import { type Handler, handlersFor } from '../handlers/handler.ts';
import { findHandlersModule, loadHandlers } from '../handlers/load.ts';
import { countText, durationText, timeText } from '../terminal/print.ts';
import { type Check, type CheckContext, fail, ok, warn } from './check.ts';

const slowSeconds = 60;
const stuckSeconds = 900;
const topicDays = 7;
const topicLimit = 500;
const shownTopics = 10;
/** The smallest hosted databases hold 1 GB and reject writes beyond it. */
const largeBytes = 500 * 1_048_576;

export async function checkBacklog({ database }: CheckContext): Promise<Check[]> {
  const {
    pending,
    retrying,
    deferred,
    paused,
    withoutJob,
    oldestUntriedSeconds: oldest,
  } = await readBacklog(database);
  const details = `${countText(pending, 'event')} pending, ${retrying} of them retrying, ${deferred} deferred, ${paused} paused`;
  const checks: Check[] = [];
  if (withoutJob > 0) {
    const message = `${countText(withoutJob, 'event')} wait for a job longer than a minute`;
    checks.push(warn('backlog', message, 'a running worker creates the jobs; run: postbell worker'));
  }
  const remedy = 'start a worker; if one is running, raise WORKER_CONCURRENCY or run more workers';
  if (oldest === null || oldest < slowSeconds) checks.unshift(ok('backlog', details));
  else {
    const message = `${details}; the oldest event without an attempt has waited for ${durationText(oldest)}`;
    checks.unshift((oldest < stuckSeconds ? warn : fail)('backlog', message, remedy));
  }
  return checks;
}

type StorageContext = Pick<CheckContext, 'database' | 'config' | 'sources' | 'waiting'> & {
  /** `<SOURCE>_RETENTION_DAYS`, which goes before PAYLOAD_RETENTION_DAYS. */
  retentionDays: ReadonlyMap<string, number>;
};

/** @param warnBytes size from which on doctor warns if all events are kept for ever */
export async function checkStorage(
  { database, config, sources, waiting, retentionDays }: StorageContext,
  warnBytes = largeBytes,
): Promise<Check[]> {
  const { bytes, oldestReceivedAt } = await readStorage(database);
  const size = `${(bytes / 1_048_576).toFixed(0)} MB`;
  const since = oldestReceivedAt ? ` since ${timeText(oldestReceivedAt)}` : '';
  const days = config.PAYLOAD_RETENTION_DAYS;
  if (days > 0)
    return [ok('storage', `${size}${since}; finished events are purged after ${countText(days, 'day')}`)];
  const isPurged = (source: string) => (retentionDays.get(source) ?? 0) > 0;
  const pulled = [...waiting.keys()].filter((source) => waiting.get(source)?.isOnlyPulled);
  const active = [...sources.keys(), ...pulled];
  if (active.length > 0 && active.every(isPurged))
    return [ok('storage', `${size}${since}; finished events are purged after the days of their source`)];
  const exceptions = [...retentionDays.keys()].some(isPurged) ? ' of sources without RETENTION_DAYS' : '';
  const message = `${size}${since}; events${exceptions} are kept for ever`;
  if (bytes < warnBytes) return [ok('storage', message)];
  const remedy = 'set PAYLOAD_RETENTION_DAYS (the ids stay, so that a late delivery is still a duplicate)';
  return [warn('storage', message, remedy)];
}

/**
 * Loads the team's code as the worker does. Needs no database.
 * @param forwards handlers that the environment makes
 */
export async function checkHandlers(
  config: Config,
  folder: string,
  forwards: readonly Handler[],
): Promise<{ handlers: readonly Handler[]; checks: Check[] }> {
  const modulePath = findHandlersModule(config.POSTBELL_HANDLERS, folder);
  if (!modulePath && forwards.length > 0) return { handlers: forwards, checks: [] };
  if (!modulePath) {
    const remedy = 'make handlers/index.ts, or set POSTBELL_HANDLERS or FORWARD_URL';
    return {
      handlers: [],
      checks: [fail('handlers', 'there are no handlers: a worker does not start', remedy)],
    };
  }
  try {
    const handlers = await loadHandlers(modulePath);
    const found = ok('handlers', `${countText(handlers.length, 'handler')} in ${modulePath}`);
    return { handlers: [...forwards, ...handlers], checks: [found] };
  } catch (error) {
    // An error in the module is shown with its reason and place, without the code.
    const [reason, place] = describeError(error).text.split('\n', 2);
    const problems =
      error instanceof ConfigError ? error.problems : [place ? `${reason} at ${place}` : `${reason}`];
    const remedy = 'correct the module: a worker does not start until it loads';
    return { handlers: [], checks: problems.map((problem) => fail('handlers', problem, remedy)) };
  }
}

/** Topics that arrive and have no handler. */
export async function checkTopics(
  handlers: readonly Handler[],
  { database }: CheckContext,
): Promise<Check[]> {
  const topics = await countTopics(database, topicDays, topicLimit);
  const unhandled = topics.filter((topic) => handlersFor(handlers, topic).length === 0);
  if (unhandled.length === 0)
    return [ok('topics', `every topic of the last ${topicDays} days has a handler`)];
  const names = unhandled
    .slice(0, shownTopics)
    .map(({ source, topic, count }) => `${source} ${topic} (${count})`);
  const more = unhandled.length > shownTopics ? `, and ${unhandled.length - shownTopics} more` : '';
  return [
    warn(
      'topics',
      `in the last ${topicDays} days events without a handler were IGNORED: ${names.join(', ')}${more}`,
      'write a handler and replay with --status IGNORED, or switch these topics off at the provider',
    ),
  ];
}
