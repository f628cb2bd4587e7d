// captures and captured_requests: the windows in which requests are shown live, and the newest requests of each source.
import { byteaArray, int4Array, jsonbArray, textArray, timestamptzArray } from '../database/binary-array.ts';
import type { Database, Queryable } from '../database/database.ts';

/** As the CHECK of the table. */
export const maxCaptureMinutes = 120;
/** How long requests can be looked at after the end of their capture. */
export const keptMinutes = 10;
/** Of each source. */
export const keptRequests = 200;
export const maxBodyBytes = 262_144;

/** Requests that `postbell dev` keeps have no capture whose end would delete them. */
const keptWithoutCapture = `interval '1 day'`;
const readTimeoutMs = 2_000;
const writeTimeoutMs = 3_000;

export interface Capture {
  source: string;
  openedAt: Date;
  endsAt: Date;
  openedBy: string;
  isOpen: boolean;
}

const captureFields = `source, opened_at AS "openedAt", ends_at AS "endsAt", opened_by AS "openedBy", ends_at > now() AS "isOpen"`;

/** Opens the capture of a source, or opens it anew from now on. @param openedBy undefined: the user of Postgres */
export async function openCapture(
  database: Queryable,
  source: string,
  minutes: number,
  openedBy: string | undefined,
): Promise<Capture> {
  const { rows } = await database.query<Capture & Record<string, unknown>>({
    text: `INSERT INTO {inbox}.captures (source, ends_at, opened_by)
      VALUES ($1, now() + make_interval(mins => $2), coalesce($3, current_user))
      ON CONFLICT (source) DO UPDATE SET opened_at = now(), ends_at = excluded.ends_at, opened_by = excluded.opened_by
      RETURNING ${captureFields}`,
    values: [source, minutes, openedBy ?? null],
  });
  return rows[0]!;
}

/** @returns false where none is open */
export async function endCapture(database: Queryable, source: string): Promise<boolean> {
  const { rowCount } = await database.query({
    text: 'UPDATE {inbox}.captures SET ends_at = now() WHERE source = $1 AND ends_at > now()',
    values: [source],
  });
  return rowCount === 1;
}

/** The open ones, and those that have ended and whose requests are still there. */
export async function listCaptures(database: Queryable): Promise<Capture[]> {
  const { rows } = await database.query<Capture & Record<string, unknown>>(
    `SELECT ${captureFields} FROM {inbox}.captures ORDER BY source`,
  );
  return rows;
}

/** Milliseconds until the end of each capture; negative after it. */
export async function readTimesLeft(database: Queryable): Promise<{ source: string; leftMs: number }[]> {
  const { rows } = await database.query<{ source: string; leftMs: number }>({
    name: 'read_captures',
    text: `SELECT source, (extract(epoch FROM ends_at - now()) * 1000)::float8 AS "leftMs" FROM {inbox}.captures`,
    timeoutMs: readTimeoutMs,
  });
  return rows;
}

/** Deletes the requests of captures that ended `keptMinutes` ago, and old ones without a capture. */
export async function purgeCaptured(database: Queryable): Promise<void> {
  await database.query({
    text: `WITH ended AS (
        DELETE FROM {inbox}.captures WHERE ends_at < now() - make_interval(mins => $1) RETURNING source
      )
      DELETE FROM {inbox}.captured_requests
      WHERE source IN (SELECT source FROM ended) OR received_at < now() - ${keptWithoutCapture}`,
    values: [keptMinutes],
    timeoutMs: writeTimeoutMs,
  });
}

export interface CapturedSummary {
  id: number;
  source: string;
  receivedAt: Date;
  requestId: string;
  /** Host of the web process. */
  process: string;
  method: string;
  url: string;
  bodyBytes: number;
  status: number;
  outcome: string;
  reason: string | null;
  detail: string | null;
  topic: string | null;
  eventId: string | null;
  notShown: number;
}

export interface CapturedRequest extends CapturedSummary {
  headers: Record<string, string[]>;
  body: Buffer | null;
}

export type NewCapturedRequest = Omit<CapturedRequest, 'id' | 'notShown'>;

/** Adds the requests and deletes the oldest beyond `keptRequests` of each source. @returns their ids, in the same order */
export async function addCaptured(
  database: Database,
  requests: readonly NewCapturedRequest[],
): Promise<number[]> {
  const options = { settings: { lock_timeout: '500', synchronous_commit: 'off' }, timeoutMs: writeTimeoutMs };
  return database.transaction(async (tx) => {
    const { rows } = await tx.query<{ id: number }>({
      text: `INSERT INTO {inbox}.captured_requests (source, received_at, request_id, process, method, url, headers, body,
          body_bytes, status, outcome, reason, detail, topic, event_id)
        SELECT * FROM unnest($1::text[], $2::timestamptz[], $3::text[], $4::text[], $5::text[], $6::text[], $7::jsonb[],
          $8::bytea[], $9::int[], $10::int[], $11::text[], $12::text[], $13::text[], $14::text[], $15::text[])
        RETURNING id::float8 AS id`,
      values: columnsOf(requests),
    });
    for (const source of new Set(requests.map((request) => request.source)))
      await tx.query({
        text: `DELETE FROM {inbox}.captured_requests WHERE source = $1 AND id <= (
          SELECT id FROM {inbox}.captured_requests WHERE source = $1 ORDER BY id DESC OFFSET ${keptRequests} LIMIT 1)`,
        values: [source],
      });
    return rows.map(({ id }) => id);
  }, options);
}

function columnsOf(requests: readonly NewCapturedRequest[]): Buffer[] {
  const texts = (read: (request: NewCapturedRequest) => string | null) => textArray(requests.map(read));
  return [
    texts(({ source }) => source),
    timestamptzArray(requests.map(({ receivedAt }) => receivedAt)),
    texts(({ requestId }) => requestId),
    texts(({ process }) => process),
    texts(({ method }) => method),
    texts(({ url }) => url),
    jsonbArray(requests.map(({ headers }) => JSON.stringify(headers))),
    byteaArray(requests.map(({ body }) => body)),
    int4Array(requests.map(({ bodyBytes }) => bodyBytes)),
    int4Array(requests.map(({ status }) => status)),
    texts(({ outcome }) => outcome),
    texts(({ reason }) => reason),
    texts(({ detail }) => detail),
    texts(({ topic }) => topic),
    texts(({ eventId }) => eventId),
  ];
}

/** Adds to each request the number of later requests that were not kept. */
export async function addNotShown(
  database: Queryable,
  counts: readonly { id: number; count: number }[],
): Promise<void> {
  await database.query({
    text: `UPDATE {inbox}.captured_requests r SET not_shown = r.not_shown + c.count
      FROM unnest($1::bigint[], $2::int[]) AS c (id, count) WHERE r.id = c.id`,
    values: [counts.map(({ id }) => id), counts.map(({ count }) => count)],
    timeoutMs: writeTimeoutMs,
  });
}

const summaryFields = `id::float8 AS id, source, received_at AS "receivedAt", request_id AS "requestId", process, method, url,
  body_bytes AS "bodyBytes", status::int AS status, outcome, reason, detail, topic, event_id AS "eventId", not_shown AS "notShown"`;

interface CapturedFilter {
  source?: string | undefined;
  /** Ids up to this one. */
  upTo?: number | undefined;
  /** Ids after this one. */
  after?: number | undefined;
  limit: number;
}

/** Newest first. */
export async function listCaptured(
  database: Queryable,
  { source, upTo, after, limit }: CapturedFilter,
): Promise<CapturedSummary[]> {
  const { rows } = await database.query<CapturedSummary & Record<string, unknown>>({
    text: `SELECT ${summaryFields} FROM {inbox}.captured_requests
      WHERE ($1::text IS NULL OR source = $1) AND ($2::bigint IS NULL OR id <= $2) AND ($3::bigint IS NULL OR id > $3)
      ORDER BY id DESC LIMIT $4`,
    values: [source ?? null, upTo ?? null, after ?? null, limit],
  });
  return rows;
}

export async function findCaptured(database: Queryable, id: number): Promise<CapturedRequest | undefined> {
  const { rows } = await database.query<CapturedRequest & Record<string, unknown>>({
    text: `SELECT ${summaryFields}, headers, body FROM {inbox}.captured_requests WHERE id = $1`,
    values: [id],
  });
  return rows[0];
}

/** The requests of the same source before and after it. */
export async function findNeighbours(
  database: Queryable,
  { id, source }: Pick<CapturedSummary, 'id' | 'source'>,
): Promise<{ older: number | null; newer: number | null }> {
  const { rows } = await database.query<{ older: number | null; newer: number | null }>({
    text: `SELECT max(id) FILTER (WHERE id < $1)::float8 AS older, min(id) FILTER (WHERE id > $1)::float8 AS newer
      FROM {inbox}.captured_requests WHERE source = $2`,
    values: [id, source],
  });
  return rows[0]!;
}
