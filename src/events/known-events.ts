// Which events of a provider's list the inbox has already.
import type { Queryable } from '../database/database.ts';

/** Whether an event of this topic came in after `since`. */
export async function hasArrived(
  database: Queryable,
  { source, topic, since }: { source: string; topic: string; since: Date },
): Promise<boolean> {
  const { rows } = await database.query<{ found: boolean }>(
    `SELECT EXISTS (SELECT FROM {inbox}.webhook_events
       WHERE source = $1 AND topic = $2 AND received_at > $3) AS found`,
    [source, topic, since],
  );
  return rows[0]!.found;
}

/** Those of the ids that are in the inbox, or were purged from it. */
export async function findKnownIds(
  database: Queryable,
  source: string,
  eventIds: readonly string[],
): Promise<Set<string>> {
  if (eventIds.length === 0) return new Set();
  const { rows } = await database.query<{ eventId: string }>({
    name: 'find_known_ids',
    text: `SELECT event_id AS "eventId" FROM {inbox}.webhook_events WHERE source = $1 AND event_id = ANY ($2::text[])
      UNION ALL SELECT event_id FROM {inbox}.tombstones WHERE source = $1 AND event_id = ANY ($2::text[])`,
    values: [source, eventIds],
  });
  return new Set(rows.map(({ eventId }) => eventId));
}

/**
 * The states of things that stored events carry, e.g. of orders.
 * @param filter.topicStarts the topics begin so; `since`: earliest arrival; `idAt`, `timeAt`: the places of the thing's id and of the state's time in a payload
 */
export async function findStates(
  database: Queryable,
  source: string,
  filter: {
    ids: readonly string[];
    topicStarts: readonly string[];
    since: Date;
    idAt: string;
    timeAt: string;
  },
): Promise<{ topic: string; id: string; at: string | null }[]> {
  const { ids, topicStarts, since, idAt, timeAt } = filter;
  if (ids.length === 0) return [];
  const { rows } = await database.query<{ topic: string; id: string; at: string | null }>({
    name: 'find_states',
    text: `SELECT topic, payload #>> $4::text[] AS id, payload #>> $5::text[] AS at FROM {inbox}.webhook_events
      WHERE source = $1 AND received_at >= $2 AND topic ^@ ANY ($6::text[]) AND payload #>> $4::text[] = ANY ($3::text[])`,
    values: [source, since, ids, idAt.split('.'), timeAt.split('.'), topicStarts],
    // No index leads to a value in a payload: all events of the stretch are read.
    timeoutMs: 60_000,
  });
  return rows;
}

/** Marks events that came in because the provider was asked for them. Rows that others lock are left out. */
export async function markRedelivered(
  database: Queryable,
  source: string,
  eventIds: readonly string[],
): Promise<void> {
  await database.query(
    `UPDATE {inbox}.webhook_events e SET received_by = 'redelivery'
     FROM (SELECT event_id FROM {inbox}.webhook_events
       WHERE source = $1 AND event_id = ANY ($2::text[]) AND received_by = 'webhook' FOR NO KEY UPDATE SKIP LOCKED) AS found
     WHERE e.source = $1 AND e.event_id = found.event_id`,
    [source, eventIds],
  );
}
