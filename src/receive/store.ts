// Deliveries that go into one commit: their new events, the jobs of these, and the counts of what was there before.
import type { Database, Transaction, TransactionOptions } from '../database/database.ts';
import { allOrFirstError } from '../database/statements.ts';
import { countDuplicates, type DuplicateCount } from '../events/duplicates.ts';
import type { NewEvent } from '../events/event.ts';
import { insertEvents } from '../events/insert.ts';
import {
  maxSuspectedReplaysPerHour,
  type SuspectedReplays,
  storeSuspectedReplays,
} from '../events/repeats.ts';
import { failpoint, isArmedAt } from '../failpoint.ts';
import type { Queue } from '../queue/queue.ts';
import { extraMsFor } from './large-bodies.ts';

export interface Receipt {
  /** True when every event of the delivery was stored before. */
  duplicate: boolean;
  /** Why nothing of the delivery was stored; the others of its transaction were. */
  rejection?: string;
}

/**
 * How a delivery resembles a stored event without being a plain duplicate: other bytes under its id; its bytes under
 * another id, stored as IGNORED; the same, rejected because too many came.
 */
export type DuplicateAnomaly = 'body_conflict' | 'suspected_replay' | 'replay_flood';

export interface DeliveryStore {
  /**
   * Stores each delivery's events, all or none, in one transaction.
   * @returns a receipt for each; a receipt with a `rejection` is no acknowledgement
   * @throws what Postgres says; then nothing is stored
   */
  store(deliveries: readonly (readonly NewEvent[])[]): Promise<Receipt[]>;
  /** Duplicates whose rows were locked; the next `store` counts them, also without any delivery. */
  hasUncounted(): boolean;
}

export interface DeliveryStoreOptions {
  database: Database;
  queue: Pick<Queue, 'enqueue' | 'withdraw'>;
  /** As SAME_BODY_HOURS. */
  sameBodyHours?: number | undefined;
  /** Called after COMMIT. */
  onDuplicateAnomalies?: ((source: string, anomaly: DuplicateAnomaly, count: number) => void) | undefined;
}

const maxUncounted = 10_000;

const statementMs = 4_000;
/** The client's bound: behind the server's own, whose error says more. */
const clientMs = 6_000;

const settings = {
  // The 200 is a promise: it must not rest on a database set to asynchronous commit.
  synchronous_commit: 'on',
  // At this timeout the batch is halved: a row that another session holds must not keep the others waiting.
  lock_timeout: '200ms',
  statement_timeout: `${statementMs}ms`,
  // A connection that died without a sign would hold the locks of its events: no retry of them could be stored.
  idle_in_transaction_session_timeout: `${statementMs}ms`,
  // Plans are kept: a plan made while the table was small must not read the whole table once it is large.
  enable_seqscan: 'off',
};

/** More time where the bodies are large. */
function limitsFor(deliveries: readonly (readonly NewEvent[])[]): TransactionOptions {
  let bytes = 0;
  for (const events of deliveries)
    for (const { payloadText, rawBody } of events)
      bytes += (payloadText?.length ?? 0) + (rawBody?.length ?? 0);
  const extraMs = extraMsFor(bytes);
  if (extraMs === 0) return { settings };
  const timeout = `${statementMs + extraMs}ms`;
  return {
    settings: { ...settings, statement_timeout: timeout, idle_in_transaction_session_timeout: timeout },
    timeoutMs: clientMs + extraMs,
  };
}

export function createDeliveryStore(options: DeliveryStoreOptions): DeliveryStore {
  const { database, onDuplicateAnomalies = () => {} } = options;
  let uncounted: DuplicateCount[] = [];

  async function store(deliveries: readonly (readonly NewEvent[])[]): Promise<Receipt[]> {
    const { unique, repeated } = withoutRepeats(deliveries);
    const pending = uncounted;
    uncounted = [];
    try {
      const { isNew, replays, rejections, counted } = await database.transaction(
        async (tx) => {
          await failpoint('web.after-begin');
          const isNew = await insertWithJobs(tx, unique, options);
          const known = unique.filter((event) => !isNew.has(event.jobId));
          const replays = await handleKnown(tx, known, options.queue);
          for (const event of replays.stored) isNew.add(event.jobId);
          const rejections = rejectionsOf(replays);
          assertAllOrNone(deliveries, isNew, rejections);
          const isDuplicate = (event: NewEvent) => !isNew.has(event.jobId) && !rejections.has(keyOf(event));
          const duplicates = [...known, ...repeated].filter(isDuplicate);
          return { isNew, replays, rejections, counted: await count(tx, duplicates, pending) };
        },
        { ...limitsFor(deliveries), needsStandby: true, commitSite: 'web.commit-sent' },
      );
      await failpoint('web.after-commit');
      keepUncounted(counted.stillUncounted);
      for (const { source, count } of counted.conflicting)
        onDuplicateAnomalies(source, 'body_conflict', count);
      for (const { source } of replays.stored) onDuplicateAnomalies(source, 'suspected_replay', 1);
      for (const { event } of replays.rejected) onDuplicateAnomalies(event.source, 'replay_flood', 1);
      return deliveries.map((events) => receiptOf(events, isNew, rejections));
    } catch (error) {
      keepUncounted(pending);
      throw error;
    }
  }

  function keepUncounted(counts: readonly DuplicateCount[]): void {
    if (counts.length) uncounted = [...uncounted, ...counts].slice(0, maxUncounted);
  }

  return { store, hasUncounted: () => uncounted.length > 0 };
}

/** @returns the job ids of the events that were inserted */
async function insertWithJobs(
  tx: Transaction,
  events: readonly NewEvent[],
  { queue, sameBodyHours }: DeliveryStoreOptions,
): Promise<Set<string>> {
  const inserting = insertEvents(tx, events, sameBodyHours);
  if (isArmedAt('web.after-insert')) await inserting.then(() => failpoint('web.after-insert'));
  // Without waiting for the answer, which events are new: a round trip less for all, and jobs to withdraw where an
  // event was known.
  const enqueuing = queue.enqueue(tx, events);
  await allOrFirstError<unknown>([inserting, enqueuing]);
  await failpoint('web.after-enqueue');
  return inserting;
}

/** Takes back the jobs of events that were not inserted, and stores those that repeat a body under another id. */
async function handleKnown(
  tx: Transaction,
  known: readonly NewEvent[],
  queue: DeliveryStoreOptions['queue'],
): Promise<SuspectedReplays> {
  const withdrawing = queue.withdraw(tx, known);
  const storing = storeSuspectedReplays(
    tx,
    known.filter((event) => event.uniqueBody),
  );
  await allOrFirstError<unknown>([withdrawing, storing]);
  return storing;
}

const keyOf = ({ source, eventId }: NewEvent) => JSON.stringify([source, eventId]);

/** Why events are rejected, by their keys. */
function rejectionsOf({ rejected }: SuspectedReplays): Map<string, string> {
  const limit = maxSuspectedReplaysPerHour;
  return new Map(
    rejected.map(({ event, firstId }) => [
      keyOf(event),
      `more than ${limit} suspected replays of ${firstId} came within an hour`,
    ]),
  );
}

/**
 * A delivery of several events is stored whole or not at all. No provider sends several events whose ids its signature
 * does not cover: should one come, its transaction fails, and nothing in it is acknowledged.
 */
function assertAllOrNone(
  deliveries: readonly (readonly NewEvent[])[],
  isNew: ReadonlySet<string>,
  rejections: ReadonlyMap<string, string>,
): void {
  if (rejections.size === 0) return;
  const isTorn = (events: readonly NewEvent[]) =>
    events.some((event) => rejections.has(keyOf(event))) && events.some((event) => isNew.has(event.jobId));
  if (deliveries.some(isTorn))
    throw new Error('a delivery holds new events and too many suspected replays; it cannot be stored whole');
}

function receiptOf(
  events: readonly NewEvent[],
  isNew: ReadonlySet<string>,
  rejections: ReadonlyMap<string, string>,
): Receipt {
  const duplicate = !events.some((event) => isNew.has(event.jobId));
  const rejected = rejections.size > 0 && events.find((event) => rejections.has(keyOf(event)));
  return rejected ? { duplicate, rejection: rejections.get(keyOf(rejected))! } : { duplicate };
}

function count(tx: Transaction, duplicates: readonly NewEvent[], pending: readonly DuplicateCount[]) {
  const counts = new Map<string, DuplicateCount>();
  for (const { source, eventId, bodySha256, count = 1 } of [...pending, ...duplicates] as (DuplicateCount & {
    count?: number;
  })[]) {
    const key = JSON.stringify([source, eventId, bodySha256.toString('base64')]);
    const entry = counts.get(key);
    if (entry) entry.count += count;
    else counts.set(key, { source, eventId, bodySha256, count });
  }
  return countDuplicates(tx, [...counts.values()]);
}

/** The same event twice in one batch: its first delivery is inserted, the others are duplicates. */
function withoutRepeats(deliveries: readonly (readonly NewEvent[])[]): {
  unique: NewEvent[];
  repeated: NewEvent[];
} {
  const unique = new Map<string, NewEvent>();
  const repeated: NewEvent[] = [];
  for (const event of deliveries.flat()) {
    const key = keyOf(event);
    if (unique.has(key)) repeated.push(event);
    else unique.set(key, event);
  }
  return { unique: [...unique.values()].sort(compareByKeys), repeated };
}

/**
 * One order in all processes: two batches that share events, or bodies, in opposite orders would deadlock. One id under
 * several bodies in both batches may still do so: Postgres ends one transaction, and the receiver tries it again.
 */
function compareByKeys(a: NewEvent, b: NewEvent): number {
  const byBody = a.uniqueBody && b.uniqueBody;
  return (
    compare(a.source, b.source) ||
    (byBody && (Buffer.compare(a.bodySha256, b.bodySha256) || compare(a.topic, b.topic))) ||
    compare(a.eventId, b.eventId)
  );
}

function compare(a: string, b: string): number {
  return a < b ? -1 : Number(a > b);
}
