// Keeps hourly_counts: counts the newest hours of arrival, and again the hours whose events have changed since.
import { setTimeout as delay } from 'node:timers/promises';
import type { Database } from '../database/database.ts';
import {
  countHour,
  type DueHour,
  deleteOldCounts,
  listStaleHours,
  nextHour,
  readCountAgeMs,
} from '../events/hourly-counts.ts';
import { takeTurn } from '../events/locks.ts';
import type { BackgroundTask } from './background-tasks.ts';

const passIntervalMs = 300_000;
/** After a pass all workers rest so many times as long as it has counted: at most 2 % of a core. */
const restFactor = 50;
const cleaningIntervalMs = 3_600_000;
/** An hour of a million events takes 2 s of a core. Compiling the plan (jit) would take longer than most hours do. */
const transactionOptions = { timeoutMs: 310_000, settings: { statement_timeout: '5min', jit: 'off' } };

export interface CountOptions {
  database: Database;
  /** Default: 5 minutes. */
  intervalMs?: number;
  /** Called after a pass that counted all. */
  onCounted?: () => void;
}

export interface CountResult {
  hours: number;
  /** Without the rests between two hours. */
  workMs: number;
  /** Another worker is at it. */
  isTaken: boolean;
}

const hourMs = 3_600_000;

/**
 * Counts each hour in a transaction of its own, oldest first, so that an hour is counted only after all earlier hours. Between two
 * hours it rests as long as one took, and leaves the database to the others.
 * @param frozen starts (ms since 1970) of hours that are counted again only if a replay asks for it; hours of which events
 *   were purged or deleted are added
 * @param signal when aborted, no further hour is counted
 */
export async function countEvents(
  { database }: Pick<CountOptions, 'database'>,
  frozen: Set<number> = new Set(),
  signal?: AbortSignal,
): Promise<CountResult> {
  let startedAt = performance.now();
  const result = { hours: 0, workMs: 0, isTaken: false };
  const stale = (await listStaleHours(database)).filter(
    ({ hour, recountIds }) => recountIds.length > 0 || !frozen.has(hour.getTime()),
  );
  let arrived = await nextHour(database, null);
  while (!signal?.aborted) {
    const due = takeOldest(stale, arrived);
    if (!due) break;
    const counted = await database.transaction(
      async (tx) => ((await takeTurn(tx, 'counts')) ? countHour(tx, due) : undefined),
      transactionOptions,
    );
    if (!counted) return { ...result, isTaken: true };
    result.hours++;
    const dueMs = due.hour.getTime();
    if (counted.hasDeletedEvents) frozen.add(dueMs);
    if (dueMs === arrived?.getTime()) arrived = await nextHour(database, new Date(dueMs + hourMs));
    const tookMs = performance.now() - startedAt;
    result.workMs += tookMs;
    await delay(tookMs, undefined, { signal }).catch(() => {}); // aborted: the loop ends
    startedAt = performance.now();
  }
  return result;
}

/** @param stale oldest first; its hour is taken from it. @param arrived an hour that was not counted yet */
function takeOldest(stale: DueHour[], arrived: Date | null): DueHour | undefined {
  const [oldest] = stale;
  if (arrived && (!oldest || arrived < oldest.hour)) return { hour: arrived, recountIds: [] };
  return stale.shift();
}

/** Counts every 5 minutes, less often where it takes long; of several workers one at a time. */
export function countTask({
  database,
  intervalMs = passIntervalMs,
  onCounted,
}: CountOptions): BackgroundTask {
  let restMs = 0; // the first pass of a worker is done at once
  let cleanAt = 0;
  const frozen = new Set<number>();
  return {
    name: 'counts',
    intervalMs,
    failureMessage: 'events could not be counted by hour; trying again',
    pass: async (signal) => {
      const ageMs = await readCountAgeMs(database);
      if (ageMs !== null && ageMs < restMs) return;
      if (performance.now() >= cleanAt) {
        frozen.clear();
        await deleteOldCounts(database);
        cleanAt = performance.now() + cleaningIntervalMs;
      }
      const { workMs, isTaken } = await countEvents({ database }, frozen, signal);
      // A little less than the interval: the age is by another clock than the timer.
      restMs = Math.max(0.9 * intervalMs, restFactor * workMs);
      if (!isTaken && !signal.aborted) onCounted?.();
    },
  };
}
