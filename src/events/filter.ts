// The filter that `events`, `replay` and the operators' page share, as SQL conditions with parameters.

export interface EventFilter {
  source?: string;
  provider?: string;
  /** Exact, or a prefix that ends in `*`. */
  topic?: string;
  eventId?: string;
  entity?: string;
  statuses?: readonly string[];
  /** Part of last_error, case-insensitive. */
  error?: string;
  /** Exactly `errorGroup('last_error')`. */
  errorGroup?: string;
  /** A value in the payload, exactly as text. */
  payload?: { path: readonly string[]; value: string };
  receivedSince?: Date;
  receivedBefore?: Date;
}

/**
 * SQL: an array of the sources that have a row in `table`. One look-up per source, for any number of rows, because the
 * primary key begins with the source. With the list of sources the same key finds an event by its id alone.
 */
export const sourcesIn = (table: 'webhook_events' | 'tombstones'): string => `ARRAY(
  WITH RECURSIVE known AS (
    (SELECT source::text FROM {inbox}.${table} ORDER BY source LIMIT 1)
    UNION ALL
    SELECT (SELECT next.source::text FROM {inbox}.${table} next WHERE next.source > known.source ORDER BY next.source LIMIT 1)
    FROM known WHERE known.source IS NOT NULL
  ) SELECT source FROM known WHERE source IS NOT NULL)`;

/**
 * SQL: an error without what differs from event to event. The first 200 characters on one line, in which each word with a
 * digit is `*`.
 * Single spaces are not replaced by themselves: that would take twice the time, and a page groups 100,000 errors.
 * @param column an SQL expression
 */
export const errorGroup = (column: string): string =>
  `btrim(regexp_replace(regexp_replace(left(${column}, 200), '\\w*\\d\\w*', '*', 'g'), '\\s\\s+|[^\\S ]', ' ', 'g'))`;

const escapeLike = (text: string) => text.replaceAll(/[\\%_]/g, '\\$&');

/** `conditions` may follow WHERE; `values` belong to its placeholders, which are numbered from `firstNumber`. */
export function filterConditions(
  filter: EventFilter,
  firstNumber = 1,
): { conditions: string; values: unknown[] } {
  const conditions: string[] = ['true'];
  const values: unknown[] = [];
  const add = (condition: (placeholder: string) => string, value: unknown) => {
    values.push(value);
    conditions.push(condition(`$${firstNumber + values.length - 1}`));
  };
  if (filter.source !== undefined) add((n) => `source = ${n}`, filter.source);
  if (filter.provider !== undefined) add((n) => `provider = ${n}`, filter.provider);
  if (filter.eventId !== undefined) {
    add((n) => `event_id = ${n}`, filter.eventId);
    if (filter.source === undefined) conditions.push(`source = ANY (${sourcesIn('webhook_events')})`);
  }
  if (filter.entity !== undefined) add((n) => `entity = ${n}`, filter.entity);
  if (filter.topic?.endsWith('*')) add((n) => `topic LIKE ${n}`, `${escapeLike(filter.topic.slice(0, -1))}%`);
  else if (filter.topic !== undefined) add((n) => `topic = ${n}`, filter.topic);
  if (filter.statuses?.length) add((n) => `status = ANY(${n}::text[])`, filter.statuses);
  if (filter.error !== undefined) add((n) => `last_error ILIKE ${n}`, `%${escapeLike(filter.error)}%`);
  if (filter.errorGroup !== undefined) add((n) => `${errorGroup('last_error')} = ${n}`, filter.errorGroup);
  if (filter.payload) {
    const { path, value } = filter.payload;
    values.push(path);
    add((n) => `payload #>> $${firstNumber + values.length - 2}::text[] = ${n}`, value);
  }
  if (filter.receivedSince) add((n) => `received_at >= ${n}`, filter.receivedSince);
  if (filter.receivedBefore) add((n) => `received_at < ${n}`, filter.receivedBefore);
  return { conditions: conditions.join(' AND '), values };
}
