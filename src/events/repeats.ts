// Repeated bodies under other ids, where no signature covers the id: stored as suspected replays, which only an operator runs.
import type { Queryable } from '../database/database.ts';
import { type EventWithJob, type FilledColumns, jobLessColumns, recoveredJobLessColumns } from './event.ts';

/** Suspected replays of one body that are stored in an hour; a sender of more is rejected. */
export const maxSuspectedReplaysPerHour = 100;

/** The event that a body repeats was deleted between two statements: the receiver tries the delivery again. */
class RepeatedEventVanishedError extends Error {
  /** SQLSTATE of a serialization failure. */
  readonly code = '40001';
  constructor() {
    super('the event that a delivery repeats was deleted at this moment');
    this.name = 'RepeatedEventVanishedError';
  }
}

export interface SuspectedReplays {
  /** Inserted: IGNORED, without a job. */
  stored: EventWithJob[];
  /** Not stored: too many came within an hour. `firstId`: id of the event that they repeat. */
  rejected: { event: EventWithJob; firstId: string }[];
}

const storeReplays = ({ names, expressions, placeholders, count }: FilledColumns) => {
  const limit = `$${count + 1}`;
  return `
      WITH repeat AS (
        SELECT event.*, first.event_id AS first_id,
          (SELECT count(*) FROM {inbox}.webhook_events e
            WHERE e.source = event.source AND e.body_sha256 = event.body_sha256
              AND e.ignored_reason LIKE 'suspected replay of %' AND e.received_at > now() - interval '1 hour')
          + row_number() OVER (PARTITION BY event.source, event.body_sha256 ORDER BY event.position) AS nth
        FROM unnest(${placeholders}) WITH ORDINALITY AS event (${names}, position)
        LEFT JOIN LATERAL (
          SELECT f.event_id FROM (
            SELECT e.event_id, e.topic, e.received_at FROM {inbox}.webhook_events e
            WHERE e.unique_body AND e.source = event.source AND e.body_sha256 = event.body_sha256
            UNION ALL
            SELECT t.event_id, t.topic, t.received_at FROM {inbox}.tombstones t
            WHERE t.source = event.source AND t.body_sha256 = event.body_sha256
          ) f ORDER BY f.topic = event.topic DESC NULLS LAST, f.received_at NULLS FIRST LIMIT 1
        ) first ON true
        WHERE (SELECT true FROM {inbox}.webhook_events e WHERE e.source = event.source AND e.event_id = event.event_id) IS NULL
          AND (SELECT true FROM {inbox}.tombstones t WHERE t.source = event.source AND t.event_id = event.event_id) IS NULL
      ), stored AS (
        INSERT INTO {inbox}.webhook_events (${names}, unique_body, status, ignored_reason)
        SELECT ${expressions}, false, 'IGNORED', 'suspected replay of ' || first_id
        FROM repeat WHERE first_id IS NOT NULL AND nth <= ${limit} ORDER BY position
        -- Another process may be storing the same id.
        ON CONFLICT DO NOTHING
        RETURNING source, event_id
      )
      SELECT position::int, first_id AS "firstId", stored.event_id IS NOT NULL AS "isStored",
        nth > ${limit} AS "isRejected"
      FROM repeat LEFT JOIN stored USING (source, event_id)`;
};

const ofWebhooks = {
  name: 'store_suspected_replays',
  text: storeReplays(jobLessColumns),
  columns: jobLessColumns,
};
const ofRecovered = {
  name: 'store_recovered_suspected_replays',
  text: storeReplays(recoveredJobLessColumns),
  columns: recoveredJobLessColumns,
};

/**
 * Stores as suspected replays the events that `insertEvents` recognised as repeated bodies, in the same transaction. An
 * event with a known id is a duplicate, and is skipped.
 * @throws an error that the receiver tries again
 */
export async function storeSuspectedReplays(
  tx: Queryable,
  events: readonly EventWithJob[],
): Promise<SuspectedReplays> {
  if (events.length === 0) return { stored: [], rejected: [] };
  const { name, text, columns } = events.some(({ receivedBy }) => receivedBy) ? ofRecovered : ofWebhooks;
  const { rows } = await tx.query<{
    position: number;
    firstId: string | null;
    isStored: boolean;
    isRejected: boolean;
  }>({
    name,
    text,
    values: [...columns.values(events), maxSuspectedReplaysPerHour],
  });
  const result: SuspectedReplays = { stored: [], rejected: [] };
  for (const { position, firstId, isStored, isRejected } of rows) {
    const event = events[position - 1]!;
    if (firstId === null) throw new RepeatedEventVanishedError();
    if (isStored) result.stored.push(event);
    if (isRejected) result.rejected.push({ event, firstId });
  }
  return result;
}
