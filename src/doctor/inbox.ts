// Does the work get done: backlog, dead letters, handlers for what arrives?
import type { Config } from '../config.ts';
import { ConfigError, describeError } from '../errors.ts';
import { countFailureReasons, countTopics, readBacklog, readStorage } from '../events/statistics.ts';
import { findHandlersModule, type Handler, handlersFor, loadHandlers } from '../handlers/handler.ts';
import { findProvider } from '../providers/index.ts';
import { countText, durationText, timeText } from '../terminal/print.ts';
import { type Check, type CheckContext, fail, ok, warn } from './check.ts';

const slowSeconds = 60;
const stuckSeconds = 900;
const shownReasons = 3;
const topicDays = 7;
const topicLimit = 500;
const shownTopics = 10;
/** The smallest databases that one rents hold 1 GB, and take no writes beyond it. */
const largeBytes = 500 * 1_048_576;

export async function checkBacklog({ database }: CheckContext): Promise<Check[]> {
  const {
    pending,
    retrying,
    deferred,
    withoutJob,
    oldestUntriedSeconds: oldest,
  } = await readBacklog(database);
  const details = `${countText(pending, 'event')} pending, ${retrying} of them retrying, ${deferred} deferred`;
  const checks: Check[] = [];
  if (withoutJob > 0) {
    const message = `${countText(withoutJob, 'event')} wait for a job longer than a minute`;
    checks.push(warn('backlog', message, 'a running worker gives them one: run: postbell worker'));
  }
  const remedy = 'is a worker running? If so, raise WORKER_CONCURRENCY or run more workers';
  if (oldest === null || oldest < slowSeconds) checks.unshift(ok('backlog', details));
  else {
    const message = `${details}; the oldest untried one waits for ${durationText(oldest)}`;
    checks.unshift((oldest < stuckSeconds ? warn : fail)('backlog', message, remedy));
  }
  return checks;
}

export async function checkDeadLetters({ database }: CheckContext): Promise<Check[]> {
  const reasons = await countFailureReasons(database, shownReasons);
  if (reasons.length === 0) return [ok('dead letters', 'none')];
  return reasons.map(({ error, count }) =>
    warn(
      'dead letters',
      `${countText(count, 'event')}: ${error}`,
      'fix the cause, then: postbell replay --error <part of the text>',
    ),
  );
}

/** @param warnBytes from where on keeping everything for ever is worth a word */
export async function checkStorage(
  { database, config }: Pick<CheckContext, 'database' | 'config'>,
  warnBytes = largeBytes,
): Promise<Check[]> {
  const { bytes, oldestReceivedAt } = await readStorage(database);
  const size = `${(bytes / 1_048_576).toFixed(0)} MB`;
  const since = oldestReceivedAt ? ` since ${timeText(oldestReceivedAt)}` : '';
  const days = config.PAYLOAD_RETENTION_DAYS;
  if (days > 0)
    return [ok('storage', `${size}${since}; settled events are purged after ${countText(days, 'day')}`)];
  const message = `${size}${since}; events are kept for ever`;
  if (bytes < warnBytes) return [ok('storage', message)];
  const remedy = 'set PAYLOAD_RETENTION_DAYS (their ids stay, so that a late delivery is still a duplicate)';
  return [warn('storage', message, remedy)];
}

/** Loads the team's code, as the worker would. Without the database. */
export async function checkHandlers(
  config: Config,
  folder: string,
): Promise<{ handlers: readonly Handler[]; checks: Check[] }> {
  const modulePath = findHandlersModule(config.POSTBELL_HANDLERS, folder);
  if (!modulePath) {
    const remedy = 'make handlers/index.ts, or set POSTBELL_HANDLERS';
    return { handlers: [], checks: [fail('handlers', 'there are none: a worker does not start', remedy)] };
  }
  try {
    const handlers = await loadHandlers(modulePath);
    const found = ok('handlers', `${countText(handlers.length, 'handler')} in ${modulePath}`);
    return { handlers, checks: [found, ...checkProviders(handlers)] };
  } catch (error) {
    const problems = error instanceof ConfigError ? error.problems : [describeError(error).text];
    const remedy = 'correct the module: a worker does not start without it';
    return { handlers: [], checks: problems.map((problem) => fail('handlers', problem, remedy)) };
  }
}

function checkProviders(handlers: readonly Handler[]): Check[] {
  const unknown = new Set(handlers.map(({ provider }) => provider).filter((name) => !findProvider(name)));
  return [...unknown].map((name) =>
    warn(
      'handlers',
      `one is for the provider ${name}, which does not exist`,
      'all of them: postbell providers',
    ),
  );
}

/** What came in and nobody handles. */
export async function checkTopics(
  handlers: readonly Handler[],
  { database }: CheckContext,
): Promise<Check[]> {
  const topics = await countTopics(database, topicDays, topicLimit);
  const unhandled = topics.filter((topic) => handlersFor(handlers, topic).length === 0);
  if (unhandled.length === 0) return [ok('topics', `each that came in ${topicDays} days has a handler`)];
  const names = unhandled
    .slice(0, shownTopics)
    .map(({ source, topic, count }) => `${source} ${topic} (${count})`);
  const more = unhandled.length > shownTopics ? `, and ${unhandled.length - shownTopics} more` : '';
  return [
    warn(
      'topics',
      `no handler in ${topicDays} days for ${names.join(', ')}${more}: they are IGNORED`,
      'write one and replay with --status IGNORED, or let the provider not send them',
    ),
  ];
}
