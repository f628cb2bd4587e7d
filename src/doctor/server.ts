// Checks the database server: version, clock, connections, LISTEN.
import { randomBytes } from 'node:crypto';
import type { Config } from '../config.ts';
import type { Database } from '../database/database.ts';
import { clockDifference, readServerFacts } from '../database/server-facts.ts';
import { describeProcesses } from '../events/process-texts.ts';
import { readProcesses } from '../events/processes.ts';
import type { RecoverSchedule } from '../runtime/settings.ts';
import { connectionsOfWorker } from '../runtime/worker-connections.ts';
import { type Check, type CheckContext, fail, needsPerson, ok, warn } from './check.ts';

const oldestVersion = 15;
const newestTestedVersion = 18;
const clockToleranceSeconds = 5;
const listenTimeoutMs = 3_000;

/** @param recovers sources that a worker recovers */
export async function checkServer(
  { database, config }: CheckContext,
  recovers: RecoverSchedule['sources'],
): Promise<Check[]> {
  const facts = await readServerFacts(database);
  const checks = [checkVersion(facts.majorVersion, facts.version)];
  if (facts.isReadOnly) {
    checks.push(
      fail('database', 'the database is read only', 'set DATABASE_URL to the primary, not to a standby'),
    );
  }
  if (!config.DATABASE_POOLER) checks.push(checkConnections(config, facts, recovers));
  return checks;
}

function checkVersion(major: number, version: string): Check {
  if (major < oldestVersion) {
    return fail('database', `Postgres ${version} is too old`, `use Postgres ${oldestVersion} or newer`);
  }
  if (major > newestTestedVersion) {
    const remedy = `Postbell is tested with ${oldestVersion} to ${newestTestedVersion}; look for a newer Postbell`;
    return warn('database', `Postgres ${version} was not tested`, remedy);
  }
  return ok('database', `Postgres ${version}`);
}

/** Counts the connections twice: a rolling deploy runs the old and the new processes at the same time. */
function checkConnections(
  config: Config,
  { connectionLimit, connectionLimitName }: { connectionLimit: number; connectionLimitName: string },
  recovers: RecoverSchedule['sources'],
): Check {
  const once = config.WEB_CONNECTIONS + connectionsOfWorker(config, recovers);
  const budget = `${connectionLimit} (${connectionLimitName})`;
  const needs = `one web and one worker open up to ${once}`;
  const remedy = 'lower WEB_CONNECTIONS or WORKER_CONCURRENCY, or raise the limit';
  if (once > connectionLimit) return fail('connections', `${needs}, of ${budget}`, remedy);
  if (once * 2 > connectionLimit) {
    return warn('connections', `${needs}, twice that during a deploy, of ${budget}`, remedy);
  }
  return ok('connections', `${needs}, twice that during a deploy, of ${budget}`);
}

export async function checkClock({ database }: CheckContext): Promise<Check[]> {
  const { aheadSeconds, uncertaintySeconds } = await clockDifference(database);
  const off = Math.abs(aheadSeconds);
  const side = aheadSeconds > 0 ? 'ahead of' : 'behind';
  if (off - uncertaintySeconds > clockToleranceSeconds) {
    const message = `this machine is ${off.toFixed(1)} s ${side} the database`;
    return [
      needsPerson(warn('clock', message, 'synchronise both clocks by NTP: signatures contain timestamps')),
    ];
  }
  return [ok('clock', `within ${Math.max(0.1, off).toFixed(1)} s of the database`)];
}

export async function checkListen({ database, config }: CheckContext): Promise<Check[]> {
  if (config.DATABASE_POOLER) {
    return [ok('listen', `not used behind a pooler; workers poll every ${config.POLL_SECONDS} s`)];
  }
  if (await hearsNotifications(database)) return [ok('listen', 'notifications arrive')];
  const message = `no notification within ${listenTimeoutMs / 1_000} s: workers only poll, every ${config.POLL_SECONDS} s`;
  const remedy =
    'if a transaction pooler is in front, set DATABASE_POOLER=true, or use the direct DATABASE_URL';
  return [needsPerson(warn('listen', message, remedy))];
}

async function hearsNotifications(database: Database): Promise<boolean> {
  const channel = `postbell_doctor_${randomBytes(6).toString('hex')}`;
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const listener = database.listen(channel, (payload) => {
    if (payload !== undefined) resolve(true);
    else database.query('SELECT pg_notify($1, $2)', [channel, 'test']).catch(() => resolve(false));
  });
  const timer = setTimeout(() => resolve(false), listenTimeoutMs);
  try {
    return await promise;
  } finally {
    clearTimeout(timer);
    await listener.close();
  }
}

/** By their signs of life in the database. */
export async function checkProcesses({ database }: CheckContext): Promise<Check[]> {
  const kinds = await readProcesses(database);
  return kinds.map((kind) => {
    const message = describeProcesses(kind);
    if (kind.alive > 0) return ok(kind.kind, message);
    return needsPerson(warn(kind.kind, message, `run: postbell ${kind.kind}`));
  });
}
