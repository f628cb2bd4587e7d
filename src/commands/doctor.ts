// `postbell doctor`: checks configuration, database, queue and inbox, and says how to fix each problem.
import type { Environment } from '../config.ts';
import { checkAlerts } from '../doctor/alerts.ts';
import type { Check, CheckContext } from '../doctor/check.ts';
import { fail } from '../doctor/check.ts';
import { checkDeadLetters } from '../doctor/dead-letters.ts';
import { checkBacklog, checkHandlers, checkStorage, checkTopics } from '../doctor/inbox.ts';
import { checkPauses } from '../doctor/pauses.ts';
import { checkQuarantine } from '../doctor/quarantine.ts';
import { checkQueue, checkRights, checkSchema } from '../doctor/queue.ts';
import { checkRecover } from '../doctor/recover.ts';
import { checkOnlyRejected, checkRejections } from '../doctor/rejections.ts';
import { checkClock, checkListen, checkProcesses, checkServer } from '../doctor/server.ts';
import { checkForwards, checkSettings, checkSources } from '../doctor/settings.ts';
import { describeError } from '../errors.ts';
import { createLogger } from '../logger.ts';
import { printable } from '../printable.ts';
import { parseRecovers } from '../providers/index.ts';
import { connect } from '../runtime/connection.ts';
import { databaseProblem, firstOf } from '../runtime/database-problem.ts';
import { recoverScheduleOf } from '../runtime/settings.ts';
import type { CommandIo, CommonOptions } from '../terminal/io.ts';
import { printJson, printLine } from '../terminal/print.ts';

const maxConnections = 2;
const statementTimeoutMs = 30_000;

export interface DoctorOptions extends CommonOptions {
  /** A warning that stays until a person acts counts as a failure, too. */
  strict?: boolean;
}

/**
 * @param only name of a source: lists its rejected requests
 * @returns 1 when a check failed. Warnings do not count, except with `strict` those that need a person
 */
export async function runDoctor(
  io: CommandIo,
  only: string | undefined,
  { json, strict = false }: DoctorOptions,
): Promise<number> {
  const checks: Check[] = [];
  const add = (found: readonly Check[]) => {
    checks.push(...found);
    if (!json) for (const check of found) printCheck(io, check);
  };
  await runChecks(io.env, io.folder, only, add);
  const count = (status: Check['status']) => checks.filter((check) => check.status === status).length;
  const forPerson = checks.filter(({ needsPerson }) => needsPerson).length;
  const isSound = !hasFailed(checks) && !(strict && forPerson > 0);
  if (json) printJson(io.out, { ok: isSound, checks });
  else {
    const toLookAt = `${count('warn')} to look at${strict ? ` (${forPerson} that need${forPerson === 1 ? 's' : ''} a person)` : ''}`;
    printLine(io.out, `\n${count('ok')} ok, ${toLookAt}, ${count('fail')} failed`);
  }
  return isSound ? 0 : 1;
}

async function runChecks(
  env: Environment,
  folder: string,
  only: string | undefined,
  add: (checks: readonly Check[]) => void,
): Promise<void> {
  const settings = checkSettings(env);
  add(settings.checks);
  const { sources, waiting, retentionDays, checks } = checkSources(env, only);
  add(checks);
  const { config } = settings;
  if (!config) return;
  const { forwards, checks: forwardChecks } = checkForwards(env, { sources, waiting });
  add(forwardChecks);
  const { handlers, checks: handlerChecks } = await checkHandlers(config, folder, forwards);
  add(handlerChecks);
  if (!config.DATABASE_URL) return;
  // The checks themselves report every problem.
  const log = createLogger(config.LOG_LEVEL === 'debug' ? 'debug' : 'silent', 'doctor', {
    toStandardError: true,
  });
  const database = connect(
    { config, databaseUrl: config.DATABASE_URL },
    { applicationName: 'postbell doctor', maxConnections, timeoutMs: statementTimeoutMs, log },
  );
  const context: CheckContext = { config, database, sources, waiting, log };
  const recovers = parseRecovers(env, { sources, waiting });
  const { sources: recovered } = recoverScheduleOf({ config, recovers });
  try {
    if (!(await attempt('database', () => checkServer(context, recovered), add))) return;
    await attempt('clock', () => checkClock(context), add);
    await attempt('listen', () => checkListen(context), add);
    const rights = await attempt('rights', () => checkRights(context), add);
    if (!rights || hasFailed(rights)) return;
    const schema = await attempt('schema', () => checkSchema(context), add);
    if (!schema || hasFailed(schema)) return;
    await attempt('queue', () => checkQueue(context), add);
    await attempt('processes', () => checkProcesses(context), add);
    await attempt('backlog', () => checkBacklog(context), add);
    await attempt('pauses', () => checkPauses(handlers, context), add);
    await attempt('dead letters', () => checkDeadLetters(context), add);
    await attempt('storage', () => checkStorage({ ...context, retentionDays }), add);
    if (handlers.length > 0) await attempt('topics', () => checkTopics(handlers, context), add);
    await attempt('recover', () => checkRecover(recovers, context, only), add);
    await attempt('rejected requests', () => checkRejections(context, only), add);
    await attempt('rejected requests', () => checkOnlyRejected(context, only), add);
    await attempt('quarantine', () => checkQuarantine(context, only), add);
    await attempt('alerts', () => checkAlerts(context, only), add);
  } finally {
    await database.close();
  }
}

/** A check that throws counts as failed; the other checks still run. @returns undefined when it threw */
async function attempt(
  name: string,
  check: () => Promise<Check[]>,
  add: (checks: readonly Check[]) => void,
): Promise<Check[] | undefined> {
  try {
    const checks = await check();
    add(checks);
    return checks;
  } catch (error) {
    const { message, remedy } = databaseProblem(error) ?? {
      message: describeError(firstOf(error)).text,
      remedy: 'run doctor again with LOG_LEVEL=debug: the log has details',
    };
    add([fail(name, message, remedy)]);
    return undefined;
  }
}

function hasFailed(checks: readonly Check[]): boolean {
  return checks.some(({ status }) => status === 'fail');
}

function printCheck({ out }: CommandIo, { check, status, message, remedy }: Check): void {
  printLine(out, `${status.padEnd(5)} ${printable(check).padEnd(16)} ${printable(message)}`);
  if (remedy !== undefined) printLine(out, `${' '.repeat(23)}→ ${printable(remedy)}`);
}
