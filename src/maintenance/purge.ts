// Keeps the tables from growing for ever: purges what was settled long enough ago, one worker at a time.
import { setTimeout as delay } from 'node:timers/promises';
import type { Config } from '../config.ts';
import type { Database } from '../database/database.ts';
import { purgeCaptured } from '../events/captures.ts';
import { takeTurn } from '../events/locks.ts';
import {
  type PurgedSources,
  purgeEvents,
  purgeQuarantine,
  purgeRawBodies,
  readCutoff,
} from '../events/retention.ts';
import type { Logger } from '../logger.ts';
import type { BackgroundTask } from './background-tasks.ts';

const batchSize = 500;
const passIntervalMs = 60_000;
/**
 * A pass looks at what has come of age since the last; once in so long at everything, for what was settled late. Seldom
 * where old events of others stay, which a full pass reads.
 */
const fullPassIntervalMs = ({ only, except, isOfRawBodies }: PurgeRule) =>
  only !== undefined || except?.length || isOfRawBodies ? 86_400_000 : 3_600_000;

/** What is purged, and after which time. */
export interface PurgeRule extends PurgedSources {
  retentionMs: number;
  /** Only the exact bytes of the events. */
  isOfRawBodies?: boolean;
}

interface PurgeOptions {
  database: Database;
  log: Logger;
  rules: readonly PurgeRule[];
}

type Days = Pick<Config, 'PAYLOAD_RETENTION_DAYS' | 'RAW_BODY_RETENTION_DAYS'>;

/** @param retentionDays `<SOURCE>_RETENTION_DAYS`, which goes before PAYLOAD_RETENTION_DAYS */
export function purgeRules(config: Days, retentionDays: ReadonlyMap<string, number>): PurgeRule[] {
  const after = (days: number, rule: Omit<PurgeRule, 'retentionMs'>): PurgeRule[] =>
    days > 0 ? [{ ...rule, retentionMs: days * 86_400_000 }] : [];
  return [
    ...[...retentionDays].flatMap(([only, days]) => after(days, { only })),
    ...after(config.PAYLOAD_RETENTION_DAYS, { except: [...retentionDays.keys()] }),
    ...after(config.RAW_BODY_RETENTION_DAYS, { isOfRawBodies: true }),
  ];
}

interface PurgeResult {
  events: number;
  /** Another worker is at it. */
  isTaken: boolean;
  /** What was settled before this arrival was purged; by the database's clock. See `readCutoff`. */
  before: string;
}

/**
 * Purges in batches, each its own transaction, until nothing is left to purge: so it cannot fall behind the arrivals.
 * Between two batches it rests as long as one took, and leaves the database to the others.
 * @param from arrival to start at, as `before` of an earlier result; null looks at everything
 */
export async function purge(
  { database, retentionMs, isOfRawBodies, only, except }: Pick<PurgeOptions, 'database'> & PurgeRule,
  from: string | null = null,
  signal?: AbortSignal,
): Promise<PurgeResult> {
  const before = await readCutoff(database, retentionMs);
  const purgeBatch = isOfRawBodies ? purgeRawBodies : purgeEvents;
  const sources = { ...(only === undefined ? {} : { only }), ...(except && { except }) };
  let cursor = from;
  let events = 0;
  while (!signal?.aborted) {
    const startedAt = performance.now();
    const batch = await database.transaction(async (tx) => {
      if (!(await takeTurn(tx, 'purge'))) return undefined;
      return purgeBatch(tx, { ...sources, before, from: cursor, limit: batchSize });
    });
    if (!batch) return { events, isTaken: true, before };
    events += batch.count;
    if (batch.next === null) break;
    cursor = batch.next;
    await delay(performance.now() - startedAt);
  }
  return { events, isTaken: false, before };
}

export const purgeTaskName = 'purge';

/** Purges every minute, and when it is woken: what was not counted before could not be purged. */
export function purgeTask({ database, log, rules }: PurgeOptions): BackgroundTask {
  const states = rules.map((rule) => ({ rule, doneUpTo: null as string | null, fullPassAt: 0 }));
  return {
    name: purgeTaskName,
    intervalMs: passIntervalMs,
    failureMessage: 'old events could not be purged',
    pass: async (signal) => {
      const errors: unknown[] = [];
      for (const state of states) {
        const { rule } = state;
        const startedAt = performance.now();
        const isFull = startedAt >= state.fullPassAt;
        const from = isFull ? null : state.doneUpTo;
        try {
          const { events, isTaken, before } = await purge({ database, ...rule }, from, signal);
          if (isTaken || signal.aborted) break;
          if (isFull) state.fullPassAt = startedAt + fullPassIntervalMs(rule);
          state.doneUpTo = before;
          if (events) log.info({ events, ...(rule.only && { source: rule.only }) }, texts(rule));
        } catch (error) {
          // One source's trouble must not keep the others' events for ever.
          errors.push(error);
        }
      }
      if (errors.length > 0) throw errors[0];
    },
  };
}

const quarantineIntervalMs = 600_000;

/** Also for a source whose quarantine was turned off: what it holds must not stay for ever. @param days as QUARANTINE_DAYS */
export function quarantinePurgeTask({
  database,
  log,
  days,
}: Pick<PurgeOptions, 'database' | 'log'> & { days: number }): BackgroundTask {
  return {
    name: 'quarantine purge',
    intervalMs: quarantineIntervalMs,
    failureMessage: 'old requests in quarantine could not be deleted',
    pass: async (signal) => {
      let requests = 0;
      for (let count = batchSize; count === batchSize && !signal.aborted; requests += count)
        count = await purgeQuarantine(database, { days, limit: batchSize });
      if (requests > 0) log.warn({ requests }, 'requests in quarantine were deleted after QUARANTINE_DAYS');
    },
  };
}

/** As `web` does it, which may not run any more when a capture ends. */
export function capturePurgeTask({ database }: Pick<PurgeOptions, 'database'>): BackgroundTask {
  return {
    name: 'capture purge',
    intervalMs: passIntervalMs,
    failureMessage: 'the requests of captures that have ended could not be deleted',
    pass: () => purgeCaptured(database),
  };
}

function texts({ only, isOfRawBodies }: PurgeRule): string {
  if (isOfRawBodies) return 'bytes of events older than RAW_BODY_RETENTION_DAYS were purged';
  return only === undefined
    ? 'events older than PAYLOAD_RETENTION_DAYS were purged'
    : 'events older than the RETENTION_DAYS of their source were purged';
}
