// One run: asks a provider for the events of a stretch of time, page by page, one run per source in the whole cluster.
import { hash } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import type { Database, HeldLock } from '../database/database.ts';
import { describeError } from '../errors.ts';
import {
  type Recovery,
  type RunCounts,
  type RunEnd,
  readRecovery,
  recordPage,
  recordRunEnd,
  recordRunStart,
  type Stretch,
} from '../events/recoveries.ts';
import type { MissingEvents } from '../events/recovery-requests.ts';
import { failpoint } from '../failpoint.ts';
import type { Logger } from '../logger.ts';
import type { ApiList, RecoverSource } from '../providers/index.ts';
import { variableOf } from '../providers/sources.ts';
import type { Receiver } from '../receive/receiver.ts';
import { countText } from '../texts.ts';
import { createApiClient } from './api-client.ts';
import { type Page, readPage } from './pages.ts';
import { createPull } from './pull-page.ts';
import { RecoverError } from './recover-error.ts';
import { createRedeliver } from './redeliver-page.ts';
import type { ApiLimits } from './tries.ts';

export interface RunOptions {
  recover: RecoverSource;
  database: Database;
  receiver: Pick<Receiver, 'submit'>;
  log: Logger;
  /** Ends the run; the next one goes on at the same page. */
  signal: AbortSignal;
  /** Start of the stretch. Default: where an unfinished run stopped, or 15 minutes before the end of the last complete run. */
  since?: Date | undefined;
  /** The stretch begins at this time at the latest. */
  reachesBackTo?: Date | undefined;
  /** Pause after a run that failed; the cursor outlives the pause. Default 0. */
  everyMs?: number;
  /** Length of the stretch of the first run of a source. */
  firstMs: number;
  /** As STORE_RAW_BODY. */
  keepsBytes: boolean;
  /** As PAYLOAD_RETENTION_DAYS, or the source's own days. */
  keptDays?: number;
  /** Only counts: nothing is stored, and nothing is asked for again. */
  isDryRun?: boolean;
  /** A person started the run: it also asks for events that were asked for a moment ago, or were given up. */
  isByHand?: boolean;
  /** Pages that a run reads at most; default 1,000. */
  maxPages?: number;
  /** How long a run waits for the events that it asked for; default 30,000. */
  arrivalMs?: number;
  limits?: ApiLimits;
}

/** `missing`: events that this run or an earlier one asked for. The next runs ask again. */
export interface RunResult extends RunCounts, Stretch, MissingEvents {
  /** `redeliver`: the provider sent again. */
  way: 'pull' | 'redeliver';
  /** False: the run had read as many pages as it may; the next run goes on. */
  isComplete: boolean;
}

/** What is done with the items of a list. */
export interface PageTaker {
  /** Resolves once the page's events are committed, or asked for again. @returns what it counted */
  take(items: readonly object[], stretch: Stretch): Promise<Omit<RunCounts, 'pages'>>;
  /** After the last page. @returns `recovered`: events that came in meanwhile; `asked`: again; `missing`: as in `RunResult` */
  finish(): Promise<Pick<RunResult, 'recovered' | 'asked' | keyof MissingEvents>>;
}

/** Late events are the rule: each run asks again for the last minutes of the run before. */
export const overlapMs = 15 * 60_000;
const maxPagesPerRun = 1_000;
/** After this number of runs of 1,000 pages without one new event, the list may have no end. */
const maxEmptyParts = 5;
/** Lifetime of an unfinished run's cursor, from its last page on. Later the next run asks for the whole stretch again. */
const cursorMs = 3_600_000;

/**
 * @returns undefined where another process is running for this source
 * @throws RecoverError, UnavailableError, ConnectionLostError; events that were taken stay, and the next run goes on after them
 */
export async function runRecovery(options: RunOptions): Promise<RunResult | undefined> {
  const { database, recover } = options;
  const locked = await database.withLock(`{postbell} recover ${recover.source.name}`, (lock) =>
    runLocked({ ...options, signal: AbortSignal.any([options.signal, lock.signal]) }, lock),
  );
  return locked?.result;
}

type Start = Stretch & {
  cursor: string | null;
  /** The provider has nothing from before `since`. */
  isAll: boolean;
};

async function runLocked(options: RunOptions, lock: HeldLock): Promise<RunResult> {
  const { database, recover, isDryRun = false } = options;
  const name = recover.source.name;
  const { now, recovery } = await readRecovery(database, name);
  const start = startOf(options, recovery, now);
  if (listOf(recover).list.isFeed)
    start.cursor = options.since ? null : (cursorOfFeed(recover, recovery?.feedCursor) ?? null);
  const counts: RunCounts = { pages: 0, recovered: 0, known: 0, asked: 0 };
  if (!isDryRun) await recordRunStart(database, name, start);
  const recordEnd = async (end: RunEnd) => {
    if (!isDryRun) await recordRunEnd(database, name, counts, end);
  };
  try {
    const result = await readAll(options, lock, start, counts);
    await recordEnd(result.isComplete ? completeEnd(result) : partEnd(counts, recovery));
    return { ...counts, since: start.since, until: start.until, ...result };
  } catch (error) {
    if (!lock.signal.aborted)
      await recordEnd(options.signal.aborted ? { kind: 'interrupted' } : failedEnd(error)).catch(() => {}); // the first error counts
    throw error;
  }
}

function completeEnd(missing: MissingEvents): RunEnd {
  return missing.missing > 0 ? { kind: 'not arrived', error: notArrivedText(missing) } : { kind: 'complete' };
}

/** For the operator: why events may not arrive that the provider sends again. */
export function notArrivedText({ missing, refusedStatus }: MissingEvents): string {
  const events = `${countText(missing, 'event')} did not arrive`;
  return refusedStatus === null
    ? `${events} although the provider was asked to send again; check the webhook's address at the provider, and its secret here`
    : `${events}: the provider refuses to send again, with ${refusedStatus}; check at the provider whether it still has the deliveries and their webhook`;
}

function partEnd({ recovered, asked }: RunCounts, recovery: Recovery | undefined): RunEnd {
  const emptyParts = recovered + asked > 0 ? 0 : (recovery?.emptyParts ?? 0) + 1;
  return { kind: 'in parts', emptyParts, isEndless: emptyParts >= maxEmptyParts };
}

function failedEnd(error: unknown): RunEnd {
  const { failure, spoilsCursor } =
    error instanceof RecoverError ? error : { failure: 'internal' as const, spoilsCursor: false };
  return { kind: 'failed', error: describeError(error).text, failure, keepsCursor: !spoilsCursor };
}

function startOf(options: RunOptions, recovery: Recovery | undefined, now: Date): Start {
  const { since, reachesBackTo, firstMs, everyMs = 0 } = options;
  const earliestMs = earliestOf(options, now);
  const until = endOf(options, now);
  const afresh = (fromMs: number): Start => {
    const ms = Math.min(fromMs, reachesBackTo?.getTime() ?? fromMs, until.getTime());
    return {
      since: new Date(Math.max(ms, earliestMs)),
      until,
      cursor: null,
      isAll: ms <= earliestMs,
    };
  };
  if (since) return afresh(since.getTime());
  const { runSince, runUntil, runCursor, cursorAt, startedAt, recoveredUntil } = recovery ?? {};
  if (!runSince || !runUntil)
    return afresh(recoveredUntil ? recoveredUntil.getTime() - overlapMs : until.getTime() - firstMs);
  // By its last page: a cursor with which every run fails ages, one of a list of many thousand pages does not.
  const isFresh = runCursor && now.getTime() - (cursorAt ?? startedAt!).getTime() < cursorMs + everyMs;
  const isEnough = !reachesBackTo || runSince <= reachesBackTo;
  return isFresh && isEnough
    ? { since: runSince, until: runUntil, cursor: runCursor, isAll: false }
    : afresh(runSince.getTime());
}

function earliestOf({ recover, keptDays = 0 }: RunOptions, now: Date): number {
  const { keptHours = 0, pull } = recover.spec;
  // Of an event that was purged only the id is left: its thing's state would seem to be missing.
  const hours = [keptHours, pull?.made ? keptDays * 24 : 0].filter((some) => some > 0);
  return hours.length === 0 ? 0 : now.getTime() - Math.min(...hours) * 3_600_000;
}

function endOf({ recover: { spec, isOn } }: RunOptions, now: Date): Date {
  return new Date(now.getTime() - (isOn ? (spec.pull?.made?.settledMs ?? 0) : 0));
}

async function readAll(
  options: RunOptions,
  lock: HeldLock,
  start: Start,
  counts: RunCounts,
): Promise<Pick<RunResult, 'way' | 'isComplete' | keyof MissingEvents>> {
  const { database, recover, signal, isDryRun = false, maxPages = maxPagesPerRun } = options;
  const client = createApiClient({ recover, signal, ...(options.limits && { limits: options.limits }) });
  const { way, list } = listOf(recover);
  const taker = way === 'redeliver' ? createRedeliver(options, client) : createPull(options);
  let cursor = start.cursor ?? undefined;
  const refuseRepeats = repeatsOf(recover, list);
  refuseRepeats(cursor);
  let isComplete = false;
  while (!isComplete && counts.pages < maxPages) {
    if (counts.pages > 0) await pause(recover, signal);
    const page: Page = await readPage(client, list, recover, { ...start, cursor });
    signal.throwIfAborted();
    await lock.check();
    const taken = await taker.take(page.items, start);
    counts.pages++;
    for (const name of ['recovered', 'known', 'asked'] as const) counts[name] += taken[name];
    await failpoint('recover.taken');
    cursor = page.next;
    isComplete = cursor === undefined;
    if (!isDryRun) await recordPage(database, recover.source.name, counts, placeOf(recover, list, page));
    // After the page was taken: its events are good, even if its cursor is not.
    refuseRepeats(cursor);
  }
  const { recovered, asked, ...missing } = await taker.finish();
  counts.recovered += recovered;
  counts.asked += asked;
  return { way, isComplete, ...missing };
}

/** Remembers the cursors of a run, by their hashes: pages that lead to one another in a circle have no end. */
function repeatsOf({ source }: RecoverSource, { endpoint }: ApiList): (cursor: string | undefined) => void {
  const seen = new Set<string>();
  return (cursor) => {
    if (cursor === undefined) return;
    const known = hash('sha256', cursor);
    if (seen.has(known))
      throw new RecoverError(
        'unexpected_answer',
        `the pages of ${endpoint} lead in a circle: the same page came a second time; the next run begins anew; check ${variableOf(source.name)}_API_URL`,
        { spoilsCursor: true },
      );
    seen.add(known);
  };
}

async function pause({ spec: { pageGapMs } }: RecoverSource, signal: AbortSignal): Promise<void> {
  if (pageGapMs) await delay(pageGapMs, undefined, { signal }).catch(() => signal.throwIfAborted());
}

function listOf({ spec, isOn }: RecoverSource): { way: RunResult['way']; list: ApiList } {
  // The provider's own delivery is better: it is signed, and has the webhook's bytes.
  if (spec.redeliver && isOn) return { way: 'redeliver', list: spec.redeliver };
  return { way: 'pull', list: spec.pull! };
}

/** Where a run, or the next one, goes on after the page. */
function placeOf(recover: RecoverSource, { isFeed }: ApiList, { next, end }: Page) {
  if (!isFeed) return { cursor: next, feedCursor: undefined };
  const cursor = next ?? end;
  return { cursor: undefined, feedCursor: cursor && `${feedName(recover)} ${cursor}` };
}

/** The cursor of another list, e.g. of a webhook that was replaced, would leave out events. */
function cursorOfFeed(recover: RecoverSource, feedCursor: string | null | undefined): string | undefined {
  const [name, cursor] = feedCursor?.split(/ (.*)/s) ?? [];
  return name === feedName(recover) ? cursor : undefined;
}

function feedName(recover: RecoverSource): string {
  const { list } = listOf(recover);
  return hash('sha256', JSON.stringify([recover.url, list.endpoint, recover.wanted])).slice(0, 16);
}
