// webhook_events: the types of its rows, the table of its columns, reading the events of jobs, the clock of an entity.
import {
  boolArray,
  byteaArray,
  jsonbArray,
  textArray,
  timestamptzArray,
  uuidArray,
} from '../database/binary-array.ts';
import type { Queryable, Transaction } from '../database/database.ts';
import type { EventKey } from '../queue/queue.ts';

export type EventStatus = 'PENDING' | 'PROCESSED' | 'FAILED' | 'IGNORED';

/** A verified event that is not stored yet. */
export interface NewEvent extends EventKey {
  provider: string;
  topic: string;
  occurredAt: Date | null;
  /** JSON text that jsonb accepts; null with `payloadError` and `rawBody`. */
  payloadText: string | null;
  payloadError: string | null;
  rawBody: Buffer | null;
  bodySha256: Buffer;
  /** The signature does not cover the id: the same body under another id is a suspected replay. */
  uniqueBody: boolean;
  /** With `uniqueBody`: the same body under another topic is another event for `SAME_BODY_HOURS`. */
  topicsShareBody: boolean;
  headers: Record<string, string>;
  /** Of the span in which it was received; null without a tracer. */
  traceparent: string | null;
  /** How it came in. Default: by the provider's webhook. */
  receivedBy?: 'pull' | 'quarantine';
  /** With `receivedBy`: when its request arrived. Default: now. */
  receivedAt?: Date;
}

/** A new event and the job that carries it. */
export interface EventWithJob extends NewEvent {
  jobId: string;
}

/** The part of a row that handlers read. */
export interface StoredEvent extends EventKey {
  provider: string;
  topic: string;
  status: EventStatus;
  receivedAt: Date;
  occurredAt: Date | null;
  payload: unknown;
  payloadError: string | null;
  rawBody: Buffer | null;
  headers: Record<string, string>;
  jobId: string | null;
  attempts: number;
  /** Failed attempts since the event was last enqueued afresh. */
  failures: number;
  deferrals: number;
  duplicates: number;
  traceparent: string | null;
}

/** Whether the event still waits for this job; if not, it was settled or has another job. */
export function isDue(
  { status, jobId }: Pick<StoredEvent, 'status' | 'jobId'>,
  job: { id: string },
): boolean {
  return status === 'PENDING' && jobId === job.id;
}

interface Column {
  /** Name in Postgres; the field of the row types has the same name in camelCase. */
  name: string;
  /** Filled by new events: the type in Postgres, and one array parameter with the values of all events. */
  filled?: { type: string; values(events: readonly EventWithJob[]): Buffer };
  /** SQL to insert where the value is NULL. */
  otherwise?: string;
  /** Filled only by events that get a job, not by suspected replays. */
  withJob?: true;
  /** Filled only where an event did not come by its webhook: for all others the default costs the receiver nothing. */
  ifRecovered?: true;
  /** A field of `StoredEvent`. */
  toHandlers?: true;
  /** A field of `EventSummary`. */
  inLists?: true;
}

type ArrayOf<T> = (values: readonly (T | null)[]) => Buffer;
const filling =
  <T>(type: string, arrayOf: ArrayOf<T>) =>
  (fieldOf: (event: EventWithJob) => T | null): NonNullable<Column['filled']> => ({
    type,
    values: (events) => arrayOf(events.map(fieldOf)),
  });
const text = filling('text', textArray);
const jsonb = filling('jsonb', jsonbArray);
const bytea = filling('bytea', byteaArray);
const timestamptz = filling('timestamptz', timestamptzArray);
const boolean = filling('boolean', boolArray);
const uuid = filling('uuid', uuidArray);

/** Every column of webhook_events: the column lists of the statements are made from this table, in this order. */
const columns: readonly Column[] = [
  { name: 'source', filled: text((event) => event.source), toHandlers: true, inLists: true },
  { name: 'event_id', filled: text((event) => event.eventId), toHandlers: true, inLists: true },
  { name: 'provider', filled: text((event) => event.provider), toHandlers: true, inLists: true },
  { name: 'topic', filled: text((event) => event.topic), toHandlers: true, inLists: true },
  { name: 'status', toHandlers: true, inLists: true },
  {
    name: 'received_at',
    filled: timestamptz((event) => event.receivedAt ?? null),
    otherwise: 'now()',
    ifRecovered: true,
    toHandlers: true,
    inLists: true,
  },
  {
    name: 'received_by',
    filled: text((event) => event.receivedBy ?? 'webhook'),
    ifRecovered: true,
    inLists: true,
  },
  { name: 'processed_at', inLists: true },
  { name: 'occurred_at', filled: timestamptz((event) => event.occurredAt), toHandlers: true, inLists: true },
  { name: 'entity', inLists: true },
  { name: 'payload', filled: jsonb((event) => event.payloadText), toHandlers: true },
  { name: 'raw_body', filled: bytea((event) => event.rawBody), toHandlers: true },
  { name: 'headers', filled: jsonb((event) => JSON.stringify(event.headers)), toHandlers: true },
  { name: 'body_sha256', filled: bytea((event) => event.bodySha256) },
  { name: 'unique_body', filled: boolean((event) => event.uniqueBody), withJob: true },
  { name: 'attempts', toHandlers: true, inLists: true },
  { name: 'failures', toHandlers: true },
  { name: 'deferrals', toHandlers: true, inLists: true },
  { name: 'duplicates', toHandlers: true, inLists: true },
  { name: 'last_error', inLists: true },
  { name: 'ignored_reason', inLists: true },
  { name: 'erased_at', inLists: true },
  { name: 'payload_error', filled: text((event) => event.payloadError), toHandlers: true, inLists: true },
  { name: 'traceparent', filled: text((event) => event.traceparent), toHandlers: true },
  { name: 'job_id', filled: uuid((event) => event.jobId), withJob: true, toHandlers: true, inLists: true },
];

/** Columns of an INSERT whose rows come from unnest(). */
export interface FilledColumns {
  names: string;
  /** The expressions that a SELECT has for these columns. */
  expressions: string;
  /** Parameters from $1 on, for unnest(). */
  placeholders: string;
  /** Number of these parameters; the statement's other parameters follow. */
  count: number;
  values(events: readonly EventWithJob[]): Buffer[];
}

function filledColumns(isIncluded: (column: Column) => boolean): FilledColumns {
  const filled = columns.flatMap((column) =>
    column.filled && isIncluded(column) ? [{ ...column, ...column.filled }] : [],
  );
  return {
    names: filled.map(({ name }) => name).join(', '),
    expressions: filled
      .map(({ name, otherwise }) => (otherwise ? `coalesce(${name}, ${otherwise})` : name))
      .join(', '),
    placeholders: filled.map(({ type }, index) => `$${index + 1}::${type}[]`).join(', '),
    count: filled.length,
    values: (events) => filled.map(({ values }) => values(events)),
  };
}

/** Columns of an event that gets a job. */
export const newEventColumns: FilledColumns = filledColumns(({ ifRecovered }) => !ifRecovered);
/** The same for events of which some did not come by their webhook. */
export const recoveredEventColumns: FilledColumns = filledColumns(() => true);
/** Columns of an event that gets no job: a suspected replay. */
export const jobLessColumns: FilledColumns = filledColumns(
  ({ withJob, ifRecovered }) => !withJob && !ifRecovered,
);
/** The same where some did not come by their webhook. */
export const recoveredJobLessColumns: FilledColumns = filledColumns(({ withJob }) => !withJob);

/** The column list of a SELECT: each column has the name of its field. */
function selected(isIncluded: (column: Column) => boolean | undefined): string {
  const camelCase = (name: string) =>
    name.replaceAll(/_(.)/g, (_all, letter: string) => letter.toUpperCase());
  return columns
    .filter(isIncluded)
    .map(({ name }) => (name.includes('_') ? `${name} AS "${camelCase(name)}"` : name))
    .join(', ');
}

/** The fields of `StoredEvent`. */
const storedColumns = selected(({ toHandlers }) => toHandlers);
/** The fields of `EventSummary`. */
export const summaryColumns: string = selected(({ inLists }) => inLists);

/**
 * For statements that find their event by its key. With a plain `status = 'PENDING'` Postgres chooses the index of the
 * backlog if the backlog was empty at ANALYZE, and then reads the whole backlog for each event.
 */
export const isStillPending = `CASE status WHEN 'PENDING' THEN true END`;

const readText = `SELECT ${storedColumns} FROM {inbox}.webhook_events
      JOIN unnest($1::text[], $2::text[]) AS key (s, e) ON source = s AND event_id = e`;

/** Reads the rows of a batch of jobs, with any status, without locks. */
export async function readStoredEvents(
  database: Queryable,
  keys: readonly EventKey[],
): Promise<StoredEvent[]> {
  const { rows } = await database.query<StoredEvent & Record<string, unknown>>({
    name: 'read_events',
    text: readText,
    values: [textArray(keys.map((key) => key.source)), textArray(keys.map((key) => key.eventId))],
  });
  return rows;
}

/**
 * Serialises the events of one entity until the transaction ends, and reads the time of the newest event that was
 * applied to it (null: none was). Waits up to `lock_timeout` (SQLSTATE 55P03).
 */
export async function lockEntity(tx: Queryable, source: string, entity: string): Promise<Date | null> {
  const locked = tx.query({
    name: 'lock_entity',
    text: `SELECT pg_advisory_xact_lock(hashtextextended('{postbell} entity/' || $1 || '/' || $2, 0))`,
    values: [source, entity],
  });
  // A separate statement, because its snapshot must be taken after the lock is granted.
  const clock = tx.query<{ at: Date }>({
    name: 'read_entity_clock',
    text: 'SELECT last_occurred_at AS at FROM {inbox}.entity_clock WHERE source = $1 AND entity = $2',
    values: [source, entity],
  });
  const [, { rows }] = await Promise.all([locked, clock]);
  return rows[0]?.at ?? null;
}

/** Moves the entity's clock forward, never back, in the packet of COMMIT. */
export function advanceEntityClock(tx: Transaction, key: EventKey, entity: string, occurredAt: Date): void {
  tx.atCommit({
    name: 'advance_entity_clock',
    text: `
      INSERT INTO {inbox}.entity_clock AS clock (source, entity, last_occurred_at, last_event_id) VALUES ($1, $2, $3, $4)
      ON CONFLICT (source, entity) DO UPDATE
        SET last_occurred_at = excluded.last_occurred_at, last_event_id = excluded.last_event_id
        WHERE clock.last_occurred_at <= excluded.last_occurred_at`,
    values: [key.source, entity, occurredAt, key.eventId],
  });
}

/**
 * The body as JSON text: JSON.parse would round large numbers. During a handler, the rollback gives the table's lock back:
 * a handler may make calls to the outside afterwards.
 * @throws Error where jsonb could not hold the body
 */
export async function readPayloadText(tx: Queryable, { source, eventId }: EventKey): Promise<string> {
  const [, { rows }] = await Promise.all([
    tx.query('SAVEPOINT postbell_read'),
    tx.query('SELECT payload::text AS text FROM {inbox}.webhook_events WHERE source = $1 AND event_id = $2', [
      source,
      eventId,
    ]),
    tx.query('ROLLBACK TO SAVEPOINT postbell_read'),
  ]);
  const text = rows[0]?.text;
  if (typeof text !== 'string') throw new Error('the event has no payload in webhook_events');
  return text;
}
