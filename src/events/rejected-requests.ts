// rejected_requests: a sample of the requests that were rejected.
import type { Queryable } from '../database/database.ts';

export interface RejectedRequest {
  source: string;
  reason: string;
  detail: string | null;
  requestId: string;
  receivedAt: Date;
  bodyBytes: number;
  /** Number of rejected requests of this source since its previous row, which were not written. */
  skipped: number;
}

/** Of each source. */
export const keptRejections = 200;

/** Writes a rejection and keeps the newest 200 of its source. */
export async function recordRejection(database: Queryable, rejected: RejectedRequest): Promise<void> {
  await database.query({
    text: `WITH added AS (
        INSERT INTO {inbox}.rejected_requests (source, reason, detail, request_id, received_at, body_bytes, skipped)
        VALUES ($1, $2, $3, $4, $5, $6, $7)
      )
      DELETE FROM {inbox}.rejected_requests WHERE source = $1 AND id <= (
        SELECT id FROM {inbox}.rejected_requests WHERE source = $1 -- without the added row
        ORDER BY id DESC OFFSET ${keptRejections} - 1 LIMIT 1)`,
    values: [
      rejected.source,
      rejected.reason,
      rejected.detail,
      rejected.requestId,
      rejected.receivedAt,
      rejected.bodyBytes,
      rejected.skipped,
    ],
  });
}

/** Newest first. @param limit of each source */
export async function listRejections(
  database: Queryable,
  source: string | undefined,
  limit: number,
): Promise<RejectedRequest[]> {
  const { rows } = await database.query<RejectedRequest & Record<string, unknown>>({
    text: `SELECT source, reason, detail, request_id AS "requestId", received_at AS "receivedAt",
        body_bytes AS "bodyBytes", skipped
      FROM (
        SELECT *, row_number() OVER (PARTITION BY source ORDER BY id DESC) AS place FROM {inbox}.rejected_requests
        WHERE $1::text IS NULL OR source = $1
      ) AS placed
      WHERE place <= $2 ORDER BY id DESC`,
    values: [source ?? null, limit],
  });
  return rows;
}
