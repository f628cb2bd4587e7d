// The core's parts on a database of a test's own, and what tests need beside them: events, log lines, other sessions.
import { createHash } from 'node:crypto';
import pg from 'pg';
import pino from 'pino';
import type { Test } from 'tap';
import type { Database, DatabaseOptions } from '../../src/database/database.ts';
import { openDatabase } from '../../src/database/open-database.ts';
import type { Schemas } from '../../src/database/schemas.ts';
import type { NewEvent } from '../../src/events/event.ts';
import { insertEvents } from '../../src/events/insert.ts';
import type { Logger } from '../../src/logger.ts';
import { openQueue } from '../../src/queue/open-queue.ts';
import type { RetryPolicy } from '../../src/queue/policy.ts';
import { type NewJob, newJobId, type Queue } from '../../src/queue/queue.ts';
import { atEnd } from './at-end.ts';
import { createTestDatabase } from './database.ts';
import type { LogLine } from './processes.ts';

export const testPolicy: RetryPolicy = { MAX_ATTEMPTS: 5, HEARTBEAT_SECONDS: 10 };

export interface Inbox {
  url: string;
  database: Database;
  queue: Queue;
  log: Logger;
  /** What was logged so far. */
  logs: LogLine[];
  /** One statement on a session apart from the pool under test. */
  sql(text: string, values?: unknown[]): Promise<Record<string, unknown>[]>;
}

export interface InboxOptions {
  policy?: Partial<RetryPolicy>;
  maxConnections?: number;
  /** As SUPERVISE_SECONDS; without it nobody looks for lost jobs. */
  superviseSeconds?: number;
  sessionSettings?: Record<string, string>;
  /** As DATABASE_POOLER. */
  pooler?: boolean;
  /** As POSTBELL_SCHEMA and POSTBELL_QUEUE_SCHEMA. */
  schemas?: Schemas;
}

/** A migrated database with the parts that the web process and the worker share; all closed when `t` ends. */
export async function openInbox(t: Test, options: InboxOptions = {}): Promise<Inbox> {
  const { url } = await createTestDatabase(t);
  return openInboxOn(t, url, options);
}

/** The same on a database that is there: another process, as it were. */
export async function openInboxOn(t: Test, url: string, options: InboxOptions = {}): Promise<Inbox> {
  const { log, logs } = captureLog();
  const { superviseSeconds, sessionSettings, pooler = false, schemas } = options;
  const database = openPool(t, url, {
    maxConnections: options.maxConnections ?? 6,
    pooler,
    ...(sessionSettings ? { sessionSettings } : {}),
    ...(schemas ? { schemas } : {}),
    log,
  });
  const queue = await openQueue(database, log, {
    supervise: superviseSeconds !== undefined,
    ...(superviseSeconds === undefined ? {} : { superviseSeconds }),
  });
  atEnd(t, () => queue.stop());
  await queue.applyPolicy({ ...testPolicy, ...options.policy });
  const session = await openSession(t, url);
  return { url, database, queue, log, logs, sql: session };
}

/** The pool alone, which the server knows as `postbell test`. */
export function openPool(t: Test, url: string, options: Partial<DatabaseOptions> = {}): Database {
  const database = openDatabase({
    url,
    applicationName: 'postbell test',
    maxConnections: 3,
    log: captureLog().log,
    ...options,
  });
  atEnd(t, () => database.close());
  return database;
}

/** A session of somebody else, e.g. an operator's psql. It survives that the server ends it. */
export async function openSession(t: Test, url: string): Promise<Inbox['sql']> {
  const client = new pg.Client({ connectionString: url, application_name: 'operator' });
  client.on('error', () => {}); // the statement under way rejects
  await client.connect();
  atEnd(t, () => client.end());
  return async (text, values) => (await client.query(text, values)).rows;
}

/** A logger whose lines a test can read. */
export function captureLog(level = 'debug'): { log: Logger; logs: LogLine[] } {
  const logs: LogLine[] = [];
  const log = pino({ level }, { write: (line: string) => void logs.push(JSON.parse(line) as LogLine) });
  return { log, logs };
}

let eventCount = 0;

/** A verified event, each with an id and a body of its own unless told otherwise. */
export function newEvent(overrides: Partial<NewEvent> = {}): NewEvent {
  eventCount++;
  const eventId = overrides.eventId ?? `evt_${process.pid}_${eventCount}`;
  const payloadText = overrides.payloadText === undefined ? `{"id":"${eventId}"}` : overrides.payloadText;
  return {
    source: 'stripe',
    provider: 'stripe',
    eventId,
    topic: 'invoice.paid',
    occurredAt: null,
    payloadText,
    payloadError: null,
    rawBody: null,
    bodySha256: sha256(payloadText ?? overrides.rawBody ?? eventId),
    uniqueBody: false,
    topicsShareBody: true,
    headers: {},
    traceparent: null,
    ...overrides,
  };
}

export function sha256(data: string | Buffer): Buffer {
  return createHash('sha256').update(data).digest();
}

/**
 * Stores events with their jobs in one commit, as the receiver does.
 * @param perJob events that a job carries; by default each event has its own
 * @returns the id of each event's job
 */
export async function storeEvents(
  { database, queue }: Pick<Inbox, 'database' | 'queue'>,
  events: readonly NewEvent[],
  perJob = 1,
): Promise<string[]> {
  const jobIds: string[] = [];
  const jobs: NewJob[] = [];
  for (let at = 0; at < events.length; at += perJob) {
    const some = events.slice(at, at + perJob);
    const jobId = newJobId();
    jobs.push({ jobId, events: some });
    jobIds.push(...some.map(() => jobId));
  }
  await database.transaction(async (tx) => {
    await insertEvents(
      tx,
      events.map((event, index) => ({ ...event, jobId: jobIds[index]! })),
    );
    await queue.enqueue(tx, jobs);
  });
  return jobIds;
}

/** The rows of these events, in that order. */
export async function eventRows(
  inbox: Pick<Inbox, 'sql'>,
  events: readonly Pick<NewEvent, 'source' | 'eventId'>[],
): Promise<Record<string, unknown>[]> {
  return inbox.sql(
    `SELECT e.* FROM unnest($1::text[], $2::text[]) WITH ORDINALITY AS key (s, id, n)
     JOIN webhook_events e ON e.source = s AND e.event_id = id ORDER BY n`,
    [events.map((event) => event.source), events.map((event) => event.eventId)],
  );
}
