// Inserts new events. Decides by id or by body whether an event is new.
import { defaultSameBodyHours } from '../config.ts';
import { boolArray } from '../database/binary-array.ts';
import type { Queryable } from '../database/database.ts';
import { type EventKey, keyText } from '../queue/queue.ts';
import { type EventWithJob, type FilledColumns, newEventColumns, recoveredEventColumns } from './event.ts';

/** No provider sends one body under this many topics: from this number on, another topic is a repeated body as well. */
const maxTopicsOfOneBody = 100;

/** @param arrivedAt SQL: when the event's request arrived */
const insertInto = ({ names, expressions, placeholders, count }: FilledColumns, arrivedAt: string) => {
  const [topicsShareBody, hours] = [`$${count + 1}::boolean[]`, `$${count + 2}`];
  return `
      WITH inserted AS (
        INSERT INTO {inbox}.webhook_events (${names})
        SELECT ${expressions}
        FROM unnest(${placeholders}, ${topicsShareBody}) AS event (${names}, topics_share_body)
        -- ON CONFLICT waits for every transaction that is changing the row, also for an operator's that stays open.
        -- A plain read does not wait: ON CONFLICT then only decides between inserts of the same moment.
        WHERE (SELECT true FROM {inbox}.webhook_events e WHERE e.source = event.source AND e.event_id = event.event_id) IS NULL
          -- A delivery without the topic's header is no new topic: any sender can leave the header out.
          AND (NOT event.unique_body OR (
            SELECT bool_or(e.topic = event.topic OR event.topic = 'unknown' OR NOT event.topics_share_body
                OR e.received_at < ${arrivedAt} - make_interval(hours => ${hours})) OR count(*) >= ${maxTopicsOfOneBody}
            FROM {inbox}.webhook_events e
            WHERE e.unique_body AND e.source = event.source AND e.body_sha256 = event.body_sha256) IS NOT TRUE)
          -- A purge moves rows to the tombstones in one commit: one snapshot finds an event in either.
          AND (SELECT true FROM {inbox}.tombstones t WHERE t.source = event.source AND t.event_id = event.event_id) IS NULL
          AND (NOT event.unique_body OR (
            SELECT bool_or(t.topic IS NULL OR t.topic = event.topic OR event.topic = 'unknown'
                OR NOT event.topics_share_body
                OR t.received_at < ${arrivedAt} - make_interval(hours => ${hours}))
            FROM {inbox}.tombstones t
            WHERE t.source = event.source AND t.body_sha256 = event.body_sha256) IS NOT TRUE)
        ON CONFLICT DO NOTHING
        RETURNING source, event_id
      )
      SELECT source, event_id AS "eventId" FROM inserted`;
};

const ofWebhooks = {
  name: 'insert_events',
  text: insertInto(newEventColumns, 'now()'),
  columns: newEventColumns,
};
const ofRecovered = {
  name: 'insert_recovered_events',
  text: insertInto(recoveredEventColumns, 'coalesce(event.received_at, now())'),
  columns: recoveredEventColumns,
};

/**
 * Inserts new events, in the receiver's transaction. With `uniqueBody` an event is new if its
 * body is; or if its topic is, and the first event with that body came less than `sameBodyHours` before it.
 * @returns the keys (see `keyText`) of the rows that were inserted; the others are duplicates or repeated bodies
 */
export async function insertEvents(
  tx: Queryable,
  events: readonly EventWithJob[],
  sameBodyHours: number = defaultSameBodyHours,
): Promise<Set<string>> {
  const { name, text, columns } = events.some(({ receivedBy }) => receivedBy) ? ofRecovered : ofWebhooks;
  const { rows } = await tx.query<EventKey & Record<string, unknown>>({
    name,
    text,
    values: [
      ...columns.values(events),
      boolArray(events.map((event) => event.topicsShareBody)),
      sameBodyHours,
    ],
  });
  return new Set(rows.map(keyText));
}
