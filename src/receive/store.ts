// Deliveries that go into one commit: their new events, the jobs of these, and the counts of what was there before.
import type { Database, Transaction, TransactionOptions } from '../database/database.ts';
import { allOrFirstError } from '../database/statements.ts';
import type { EventWithJob, NewEvent } from '../events/event.ts';
import { insertEvents } from '../events/insert.ts';
import {
  maxSuspectedReplaysPerHour,
  type SuspectedReplays,
  storeSuspectedReplays,
} from '../events/repeats.ts';
import { failpoint, isArmedAt } from '../failpoint.ts';
import { keyText, type NewJob, type Queue, toJobs } from '../queue/queue.ts';
import { extraMsFor } from './large-bodies.ts';

export interface Receipt {
  /** True when every event of the delivery was stored before. */
  duplicate: boolean;
  /** True where what is new of the delivery was stored as suspected replays: none of it runs. */
  isIgnored?: true;
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
}

export interface DeliveryStoreOptions {
  database: Database;
  queue: Pick<Queue, 'enqueue' | 'withdraw'>;
  /** As SAME_BODY_HOURS. */
  sameBodyHours?: number | undefined;
  /** The following are called after COMMIT. New events with jobs were stored. */
  onEnqueued: () => void;
  /** Further deliveries of events that are stored. */
  onDuplicates: (duplicates: readonly NewEvent[]) => void;
  onDuplicateAnomalies: (source: string, anomaly: DuplicateAnomaly, count: number) => void;
}

const statementMs = 4_000;
/** The client's bound: behind the server's own, whose error says more. */
const clientMs = 6_000;

const settings = {
  // The 200 is a promise: it must not rest on a database set to asynchronous commit.
  synchronous_commit: 'on',
  // At this timeout the batch is halved: a row that another session holds must not keep the others waiting.
  lock_timeout: '200ms',
  statement_timeout: `${statementMs}ms`,
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
  const { database, onEnqueued, onDuplicates, onDuplicateAnomalies } = options;

  async function store(deliveries: readonly (readonly NewEvent[])[]): Promise<Receipt[]> {
    const { unique, repeated } = withoutRepeats(deliveries);
    // New ones per try: a job of a rolled-back transaction must not be mistaken for its successor.
    const jobs = toJobs(inOrderOfTime(unique));
    const events = eventsOf(jobs).sort(compareByKeys);
    const { inserted, replays, stored, rejections } = await database.transaction(
      async (tx) => {
        await failpoint('web.after-begin');
        const inserted = await insertWithJobs(tx, events, jobs, options);
        const replays = await handleKnown(tx, events, jobs, inserted, options.queue);
        const rejections = rejectionsOf(replays);
        const stored = new Set([...inserted, ...replays.stored.map(keyText)]);
        assertAllOrNone(deliveries, stored, rejections);
        return { inserted, replays, stored, rejections };
      },
      { ...limitsFor(deliveries), needsStandby: true, commitSite: 'web.commit-sent' },
    );
    await failpoint('web.after-commit');
    // By the object: of two deliveries of one event, the second is a duplicate.
    const isNew = new Set(unique.filter((event) => stored.has(keyText(event))));
    if (inserted.size > 0) onEnqueued();
    const known = unique.filter((event) => !isNew.has(event));
    onDuplicates(
      // An event that is pulled once more is no delivery of the provider; its text differs from the webhook's.
      [...known, ...repeated].filter((event) => !event.receivedBy && !rejections.has(keyText(event))),
    );
    for (const { source } of replays.stored) onDuplicateAnomalies(source, 'suspected_replay', 1);
    for (const { event } of replays.rejected) onDuplicateAnomalies(event.source, 'replay_flood', 1);
    return deliveries.map((events) => receiptOf(events, isNew, inserted, rejections));
  }

  return { store };
}

type JobOfNewEvents = Omit<NewJob, 'events'> & { events: readonly NewEvent[] };

/** @returns the keys of the events that were inserted */
async function insertWithJobs(
  tx: Transaction,
  events: readonly EventWithJob[],
  jobs: readonly JobOfNewEvents[],
  { queue, sameBodyHours }: DeliveryStoreOptions,
): Promise<Set<string>> {
  const inserting = insertEvents(tx, events, sameBodyHours);
  if (isArmedAt('web.after-insert')) await inserting.then(() => failpoint('web.after-insert'));
  // Before Postgres says which events are new: that saves a round trip. Jobs without a new event are withdrawn.
  const enqueuing = queue.enqueue(tx, jobs);
  await allOrFirstError<unknown>([inserting, enqueuing]);
  await failpoint('web.after-enqueue');
  return inserting;
}

/** Withdraws the jobs of which no event was inserted, and stores the events that repeat a body under another id. */
async function handleKnown(
  tx: Transaction,
  events: readonly EventWithJob[],
  jobs: readonly JobOfNewEvents[],
  isNew: ReadonlySet<string>,
  queue: DeliveryStoreOptions['queue'],
): Promise<SuspectedReplays> {
  const isKnown = (event: NewEvent) => !isNew.has(keyText(event));
  // A job that keeps an event stays: of its list the worker runs only events whose rows bear the job's id.
  const idle = jobs.filter(({ events }) => events.every(isKnown));
  const withdrawing = queue.withdraw(
    tx,
    idle.map(({ jobId }) => jobId),
  );
  const storing = storeSuspectedReplays(
    tx,
    events.filter((event) => event.uniqueBody && isKnown(event)),
  );
  await allOrFirstError<unknown>([withdrawing, storing]);
  return storing;
}

function eventsOf(jobs: readonly JobOfNewEvents[]): EventWithJob[] {
  return jobs.flatMap(({ jobId, events }) => events.map((event) => ({ ...event, jobId })));
}

/** As they occurred at the provider, then as they came: the handlers of a job start in this order. */
function inOrderOfTime(events: readonly NewEvent[]): NewEvent[] {
  const time = ({ occurredAt }: NewEvent) => occurredAt?.getTime() ?? Number.POSITIVE_INFINITY;
  return [...events].sort((a, b) => (time(a) === time(b) ? 0 : time(a) - time(b)));
}

/** Why events are rejected, by their keys. */
function rejectionsOf({ rejected }: SuspectedReplays): Map<string, string> {
  const limit = maxSuspectedReplaysPerHour;
  return new Map(
    rejected.map(({ event, firstId }) => [
      keyText(event),
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
    events.some((event) => rejections.has(keyText(event))) &&
    events.some((event) => isNew.has(keyText(event)));
  if (deliveries.some(isTorn))
    throw new Error('a delivery holds new events and too many suspected replays; it cannot be stored whole');
}

function receiptOf(
  events: readonly NewEvent[],
  isNew: ReadonlySet<NewEvent>,
  inserted: ReadonlySet<string>,
  rejections: ReadonlyMap<string, string>,
): Receipt {
  const duplicate = !events.some((event) => isNew.has(event));
  const isIgnored = !duplicate && !events.some((event) => isNew.has(event) && inserted.has(keyText(event)));
  const rejected = rejections.size > 0 && events.find((event) => rejections.has(keyText(event)));
  return rejected
    ? { duplicate, rejection: rejections.get(keyText(rejected))! }
    : { duplicate, ...(isIgnored && { isIgnored }) };
}

/** The same event twice in one batch: its first delivery is inserted, the others are duplicates. */
function withoutRepeats(deliveries: readonly (readonly NewEvent[])[]): {
  unique: NewEvent[];
  repeated: NewEvent[];
} {
  const unique = new Map<string, NewEvent>();
  const repeated: NewEvent[] = [];
  for (const event of deliveries.flat()) {
    const key = keyText(event);
    if (unique.has(key)) repeated.push(event);
    else unique.set(key, event);
  }
  return { unique: [...unique.values()], repeated };
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
