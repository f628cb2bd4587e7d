// Every statement on the quarantine: rejected requests that wait to be promoted.
import { byteaArray, int4Array, jsonbArray, textArray, timestamptzArray } from '../database/binary-array.ts';
import type { Database, Queryable, Transaction } from '../database/database.ts';
import { tryLock } from '../database/try-lock.ts';

/** A rejected request to be kept. */
export interface KeptRequest {
  arrivedAt: Date;
  address: string;
  reason: string;
  requestId: string;
  method: string;
  url: string;
  /** As Node's `headersDistinct`. */
  headers: Record<string, string[] | undefined>;
  body: Buffer;
  /** The part of the limits that the request takes. */
  bytes: number;
}

export type RefusalReason = 'full' | 'address' | 'rate';

export interface Refusals {
  count: number;
  /** Reason of the last refusal. */
  reason: RefusalReason;
}

interface KeepOptions {
  source: string;
  limitBytes: number;
  /** Of one client address. */
  limitBytesPerAddress: number;
  /** Requests that the process itself had no room for. */
  refused: Refusals | undefined;
}

// The write shares its connections with receiving, and must never hold receiving up: the write waits for no lock and gives up soon.
const settings = { statement_timeout: '3s', lock_timeout: '100ms' };
const timeoutMs = 4_000;

/**
 * Keeps the requests for which there is room, in their order, in one transaction: the newest are refused. One process at a
 * time for each source, so that the limits are exact.
 * @returns the refusals; undefined where another process is at it: nothing was done
 */
export async function keepRequests(
  database: Database,
  requests: readonly KeptRequest[],
  { source, limitBytes, limitBytesPerAddress, refused }: KeepOptions,
): Promise<{ refused: Refusals | undefined } | undefined> {
  return database.transaction(
    async (tx) => {
      if (!(await tryLock(tx, `quarantine/${source}`))) return undefined;
      // A separate statement, because its snapshot must be taken after the lock is granted.
      const used = await readUsed(tx, source, [...new Set(requests.map(({ address }) => address))]);
      const kept: KeptRequest[] = [];
      let refusals = refused;
      for (const request of requests) {
        const ofAddress = (used.byAddress.get(request.address) ?? 0) + request.bytes;
        const isFull = used.total + request.bytes > limitBytes;
        if (isFull || ofAddress > limitBytesPerAddress) {
          refusals = { count: (refusals?.count ?? 0) + 1, reason: isFull ? 'full' : 'address' };
          continue;
        }
        used.total += request.bytes;
        used.byAddress.set(request.address, ofAddress);
        kept.push(request);
      }
      if (kept.length > 0) await insertRequests(tx, source, kept);
      if (refusals) await addRefusals(tx, source, refusals);
      return { refused: refusals };
    },
    { settings, timeoutMs },
  );
}

async function readUsed(
  tx: Queryable,
  source: string,
  addresses: readonly string[],
): Promise<{ total: number; byAddress: Map<string, number> }> {
  const { rows } = await tx.query<{ address: string | null; bytes: number }>({
    text: `SELECT address, sum(bytes)::float8 AS bytes FROM {inbox}.quarantined_requests
      WHERE source = $1 AND address = ANY ($2::text[]) GROUP BY address
      UNION ALL SELECT NULL, coalesce(sum(bytes), 0)::float8 FROM {inbox}.quarantined_requests WHERE source = $1`,
    values: [source, addresses],
  });
  const byAddress = new Map<string, number>();
  let total = 0;
  for (const { address, bytes } of rows) {
    if (address === null) total = bytes;
    else byAddress.set(address, bytes);
  }
  return { total, byAddress };
}

async function insertRequests(
  tx: Queryable,
  source: string,
  requests: readonly KeptRequest[],
): Promise<void> {
  await tx.query({
    text: `INSERT INTO {inbox}.quarantined_requests
        (source, arrived_at, address, reason, request_id, method, url, headers, body, bytes)
      SELECT $1, r.* FROM unnest($2::timestamptz[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[],
        $8::jsonb[], $9::bytea[], $10::int[]) AS r`,
    values: [
      source,
      timestamptzArray(requests.map(({ arrivedAt }) => arrivedAt)),
      textArray(requests.map(({ address }) => address)),
      textArray(requests.map(({ reason }) => reason)),
      textArray(requests.map(({ requestId }) => requestId)),
      textArray(requests.map(({ method }) => method)),
      textArray(requests.map(({ url }) => url)),
      jsonbArray(requests.map(({ headers }) => JSON.stringify(headers))),
      byteaArray(requests.map(({ body }) => body)),
      int4Array(requests.map(({ bytes }) => bytes)),
    ],
  });
}

async function addRefusals(tx: Queryable, source: string, { count, reason }: Refusals): Promise<void> {
  await tx.query({
    text: `INSERT INTO {inbox}.quarantine_refusals AS r (source, refused, reason) VALUES ($1, $2, $3)
      ON CONFLICT (source) DO UPDATE
        SET refused = r.refused + EXCLUDED.refused, reason = EXCLUDED.reason, last_at = EXCLUDED.last_at`,
    values: [source, count, reason],
  });
}

export interface QuarantineState {
  source: string;
  requests: number;
  bytes: number;
  /** null: nothing is kept, requests were only refused. */
  oldestAt: Date | null;
  newestAt: Date | null;
  /** The most frequent first. */
  reasons: { reason: string; requests: number }[];
  /** Requests that were not kept, since the source's requests were promoted or deleted last. */
  refused: number;
  refusedReason: RefusalReason | null;
}

/** @param source undefined: all that have something in quarantine, or had no room for it */
export async function readQuarantine(
  database: Queryable,
  source?: string | undefined,
): Promise<QuarantineState[]> {
  const { rows } = await database.query<QuarantineState & Record<string, unknown>>({
    text: `
      WITH by_reason AS (
        SELECT source, reason, count(*)::int AS requests, sum(bytes) AS bytes, min(arrived_at) AS oldest,
          max(arrived_at) AS newest
        FROM {inbox}.quarantined_requests WHERE $1::text IS NULL OR source = $1 GROUP BY source, reason
      ), kept AS (
        SELECT source, sum(requests)::int AS requests, sum(bytes)::float8 AS bytes, min(oldest) AS oldest, max(newest) AS newest,
          json_agg(json_build_object('reason', reason, 'requests', requests) ORDER BY requests DESC, reason) AS reasons
        FROM by_reason GROUP BY source
      ), refused AS (
        SELECT source, refused, reason FROM {inbox}.quarantine_refusals WHERE $1::text IS NULL OR source = $1
      )
      SELECT source, coalesce(requests, 0) AS requests, coalesce(bytes, 0) AS bytes, oldest AS "oldestAt", newest AS "newestAt",
        coalesce(reasons, '[]') AS reasons, coalesce(refused, 0)::int AS refused, refused.reason AS "refusedReason"
      FROM kept FULL JOIN refused USING (source) ORDER BY source`,
    values: [source ?? null],
  });
  return rows;
}

/** A request as it was kept. */
export interface QuarantinedRequest {
  id: string;
  arrivedAt: Date;
  method: string;
  url: string;
  headers: Record<string, string[]>;
  body: Buffer;
}

const sliceRequests = 100;
const sliceBytes = 4 * 1_048_576;

/** The next requests of the source, at most 100 and some 4 MB. @param after id of the last that was read; `0`: from the first */
export async function readSlice(
  database: Queryable,
  source: string,
  after: string,
): Promise<QuarantinedRequest[]> {
  const { rows } = await database.query<QuarantinedRequest & Record<string, unknown>>({
    text: `
      SELECT q.id::text, arrived_at AS "arrivedAt", method, url, headers, body
      FROM (
        SELECT id, sum(bytes) OVER (ORDER BY id) - bytes AS before FROM (
          SELECT id, bytes FROM {inbox}.quarantined_requests WHERE source = $1 AND id > $2::bigint
          ORDER BY id LIMIT ${sliceRequests}) AS next
      ) AS placed JOIN {inbox}.quarantined_requests q USING (id)
      WHERE before < ${sliceBytes} ORDER BY q.id`,
    values: [source, after],
  });
  return rows;
}

/**
 * Deletes requests whose events are committed, and has the hours of their arrival counted again. A process that dies before
 * finds the requests again, and their events known.
 */
export async function settlePromoted(tx: Queryable, source: string, ids: readonly string[]): Promise<void> {
  await tx.query({
    text: `
      WITH settled AS (
        DELETE FROM {inbox}.quarantined_requests WHERE id = ANY ($2::bigint[]) RETURNING arrived_at
      ), room AS (
        DELETE FROM {inbox}.quarantine_refusals WHERE source = $1
      )
      INSERT INTO {inbox}.recounts (hour) SELECT DISTINCT date_trunc('hour', arrived_at, 'UTC') FROM settled`,
    values: [source, ids],
  });
}

/** Deletes all requests of the source. @returns their number */
export async function deleteQuarantined(tx: Transaction, source: string): Promise<number> {
  const { rowCount } = await tx.query({
    text: 'DELETE FROM {inbox}.quarantined_requests WHERE source = $1',
    values: [source],
  });
  await tx.query({ text: 'DELETE FROM {inbox}.quarantine_refusals WHERE source = $1', values: [source] });
  return rowCount ?? 0;
}
