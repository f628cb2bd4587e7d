// Follows the new events of a source by reading alone: in the order of arrival, each once.
import type { Queryable, Row } from '../database/database.ts';

export interface ArrivedEvent {
  eventId: string;
  topic: string;
  /** JSON text, because parsing would round its large numbers; null with `rawBody`. */
  payloadText: string | null;
  rawBody: Buffer | null;
}

const limit = 100;
/**
 * `received_at` is the beginning of a transaction that commits later: within this time a row may appear before one that was
 * read. Longer than the largest RECEIVE_TIMEOUT_MS.
 */
const commitDelay = '30 seconds';

/** A row of the statement below. `from`: where the next reading begins; microseconds beside the texts, to be compared. */
interface FoundRow extends ArrivedEvent, Row {
  receivedMicros: number;
  from: string;
  fromMicros: number;
}

/**
 * Begins with the events that are received from now on.
 * @returns reads the next events, at most 100; no event twice
 */
export async function followEvents(
  database: Queryable,
  source: string,
): Promise<() => Promise<ArrivedEvent[]>> {
  const { rows: start } = await database.query<{ now: string }>('SELECT now()::text AS now');
  let from = start[0]!.now;
  /** The events from `from` on that were read. */
  let read: { eventId: string; receivedMicros: number }[] = [];
  return async () => {
    const seen = read.map(({ eventId }) => eventId);
    const { rows } = await database.query<FoundRow>({ text: readNext, values: [source, from, seen] });
    const last = rows.at(-1);
    if (last) {
      from = last.from;
      const found = rows.map(({ eventId, receivedMicros }) => ({ eventId, receivedMicros }));
      read = [...read, ...found].filter(({ receivedMicros }) => receivedMicros >= last.fromMicros);
    }
    return rows;
  };
}

const readNext = `
  SELECT event_id AS "eventId", topic, payload::text AS "payloadText", raw_body AS "rawBody",
    (extract(epoch FROM received_at) * 1000000)::float8 AS "receivedMicros",
    next_from::text AS "from", (extract(epoch FROM next_from) * 1000000)::float8 AS "fromMicros"
  FROM {inbox}.webhook_events,
    LATERAL (SELECT greatest($2::timestamptz, least(received_at, now() - interval '${commitDelay}')) AS next_from) AS next
  WHERE source = $1 AND received_at >= $2::timestamptz AND event_id <> ALL ($3::text[]) AND erased_at IS NULL
  ORDER BY received_at, event_id LIMIT ${limit}`;
