// Erasure: removes what is known of the events that have a value in their payload. Their ids, topics and times stay.
import type { Queryable, Transaction } from '../database/database.ts';
import type { EventKey } from '../queue/queue.ts';
import type { EventStatus } from './event.ts';

/** Which events: those with the value at the path of their payload. */
export interface Erasure {
  /** `*` stands for each item of a list and for any key. */
  path: readonly string[];
  /** The value as text, and whatever stands for it, e.g. its keyed hash. */
  values: readonly string[];
  source?: string | undefined;
  receivedSince?: Date | undefined;
  receivedBefore?: Date | undefined;
}

/** Rows that one statement looks at: no index leads to a value in a payload. */
const sliceSize = 1_000;

const erasedText = 'erased';

interface Slice {
  /** The last row that was looked at; undefined: there are no more rows. */
  last: EventKey | undefined;
  scanned: number;
  found: (EventKey & { status: EventStatus })[];
}

/** The matching events among the next rows, in the order of the primary key. */
export async function findInSlice(
  database: Queryable,
  { path, values, source, receivedSince, receivedBefore }: Erasure,
  after: EventKey | undefined,
): Promise<Slice> {
  const { rows } = await database.query<Slice & Record<string, unknown>>({
    text: `
      WITH slice AS (
        SELECT source, event_id, status, erased_at IS NULL
            AND ($5::timestamptz IS NULL OR received_at >= $5) AND ($6::timestamptz IS NULL OR received_at < $6)
            AND (payload #>> $1::text[] = ANY ($2::text[]) OR jsonb_path_exists(payload, $3::jsonpath, $4::jsonb, true)) AS is_match
        FROM {inbox}.webhook_events
        WHERE ${source === undefined ? '(source, event_id) > ($7, $8)' : 'source = $7 AND event_id > $8'}
        ORDER BY source, event_id LIMIT ${sliceSize}
      )
      SELECT count(*)::int AS scanned,
        (SELECT json_build_object('source', source, 'eventId', event_id) FROM slice ORDER BY source DESC, event_id DESC LIMIT 1) AS last,
        coalesce(json_agg(json_build_object('source', source, 'eventId', event_id, 'status', status)
          ORDER BY source, event_id) FILTER (WHERE is_match), '[]') AS found
      FROM slice`,
    values: [
      path,
      values,
      jsonPathOf(path, values.length),
      variablesOf(values),
      receivedSince ?? null,
      receivedBefore ?? null,
      after?.source ?? source ?? '',
      after?.eventId ?? '',
    ],
  });
  const { scanned, last, found } = rows[0]!;
  return { scanned, found, last: scanned < sliceSize ? undefined : last };
}

/** Lists are passed through, as Postgres' lax mode does: `items.email` is also the e-mail of each item. */
function jsonPathOf(path: readonly string[], count: number): string {
  const steps = path.map((key) => (key === '*' ? '.**{1}' : `.${JSON.stringify(key)}`));
  const tests = Array.from({ length: count }, (_, index) => `@ == $text${index} || @ == $json${index}`);
  return `$${steps.join('')} ? (${tests.join(' || ')})`;
}

/** `42` finds the number as well as the text. As JSON text: JavaScript would round a large number. */
function variablesOf(values: readonly string[]): string {
  const isScalar = (value: string) => /^(-?(0|[1-9]\d*)(\.\d+)?|true|false)$/.test(value);
  const entries = values.flatMap((value, index) => {
    const text = JSON.stringify(value);
    return [`"text${index}": ${text}`, `"json${index}": ${isScalar(value) ? value : text}`];
  });
  return `{${entries.join(', ')}}`;
}

const keysText = `unnest($1::text[], $2::text[]) AS key (source, event_id)`;

/**
 * Every table with something of an event's body beside its row: what is to be done for erased events (`keysText`). A new
 * table with bodies, headers or error texts of events gets its statement here.
 */
const besideEvents: readonly string[] = [
  `UPDATE {inbox}.failed_attempts a SET error = '${erasedText}', stack = NULL
    FROM ${keysText} WHERE a.source = key.source AND a.event_id = key.event_id`,
  `DELETE FROM {inbox}.rehearsals r USING ${keysText} WHERE r.source = key.source AND r.event_id = key.event_id`,
];

/** Where an entity is no event's any more, nothing else names it. */
const isNobodysEntity = `NOT EXISTS (SELECT FROM {inbox}.webhook_events e WHERE e.entity = c.entity AND e.source = c.source)`;

/** Shorter texts are found in too many others. */
const minSoughtChars = 4;
const holdsValue = (text: string) =>
  `EXISTS (SELECT FROM unnest($1::text[]) AS v (value) WHERE length(value) >= ${minSoughtChars} AND strpos(lower(${text}), lower(value)) > 0)`;

const holdsBytes = (bytes: string) =>
  `EXISTS (SELECT FROM unnest($1::text[]) AS v (value) WHERE length(value) >= ${minSoughtChars} AND position(convert_to(value, 'UTF8') IN ${bytes}) > 0)`;

/**
 * Every table that may hold the value itself, apart from events ($1: the values, `spellingsOf` them; $2: the source, or NULL). An unfinished
 * replay keeps a filter, which then matches nothing.
 */
const beyondEvents: readonly string[] = [
  `DELETE FROM {inbox}.entity_clock c
    WHERE c.entity = ANY ($1::text[]) AND ($2::text IS NULL OR c.source = $2) AND ${isNobodysEntity}`,
  `UPDATE {inbox}.operator_actions a SET
      reason = CASE WHEN ${holdsValue('a.reason')} THEN '${erasedText}' ELSE a.reason END,
      filter = coalesce((SELECT jsonb_object_agg(key, CASE
          WHEN key = 'payload' AND value ->> 'value' = ANY ($1) THEN jsonb_set(value, '{value}', '"${erasedText}"')
          WHEN key = 'entity' AND value #>> '{}' = ANY ($1) THEN '"${erasedText}"'
          WHEN key IN ('error', 'errorGroup') AND ${holdsValue(`(f.value #>> '{}')`)} THEN '"${erasedText}"'
          ELSE value END) FROM jsonb_each(a.filter) AS f), '{}')
    WHERE ($2::text IS NULL OR a.filter ->> 'source' IS NULL OR a.filter ->> 'source' = $2)
      AND (${holdsValue('a.reason')} OR ${holdsValue('a.filter::text')}
        OR a.filter #>> '{payload,value}' = ANY ($1) OR a.filter ->> 'entity' = ANY ($1))`,
  `DELETE FROM {inbox}.quarantined_requests q
    WHERE ($2::text IS NULL OR q.source = $2) AND (${holdsValue('q.url')} OR ${holdsValue('q.headers::text')} OR ${holdsBytes('q.body')})`,
  `DELETE FROM {inbox}.captured_requests c
    WHERE ($2::text IS NULL OR c.source = $2)
      AND (${holdsValue('c.url')} OR ${holdsValue('c.headers::text')} OR coalesce(${holdsBytes('c.body')}, false))`,
];

/**
 * Erases these events and what lies beside them. Rows that others hold locked stay.
 * @param force also PENDING events, which then never run
 * @returns the number of events that were erased
 */
export async function eraseEvents(
  tx: Transaction,
  events: readonly EventKey[],
  force: boolean,
): Promise<number> {
  const keys = [events.map(({ source }) => source), events.map(({ eventId }) => eventId)];
  const { rows } = await tx.query<EventKey & { entity: string | null } & Record<string, unknown>>({
    text: `
      WITH free AS (
        SELECT e.source, e.event_id, e.entity FROM ${keysText}
        JOIN {inbox}.webhook_events e ON e.source = key.source AND e.event_id = key.event_id
        WHERE e.erased_at IS NULL AND (e.status <> 'PENDING' OR $3)
        FOR NO KEY UPDATE OF e SKIP LOCKED
      )
      UPDATE {inbox}.webhook_events e SET erased_at = now(), payload = '{"erased": true}', payload_error = NULL,
        raw_body = NULL, headers = '{}', body_sha256 = NULL, unique_body = false, last_error = NULL, entity = NULL,
        traceparent = NULL, status = CASE status WHEN 'PROCESSED' THEN status ELSE 'IGNORED' END,
        ignored_reason = CASE status WHEN 'PROCESSED' THEN NULL ELSE '${erasedText}' END
      FROM free f WHERE e.source = f.source AND e.event_id = f.event_id
      RETURNING e.source, e.event_id AS "eventId", f.entity`,
    values: [...keys, force],
  });
  const erased = [rows.map(({ source }) => source), rows.map(({ eventId }) => eventId)];
  for (const text of besideEvents) await tx.query({ text, values: erased });
  await tx.query({
    text: `DELETE FROM {inbox}.entity_clock c USING unnest($1::text[], $2::text[]) AS key (source, entity)
      WHERE c.source = key.source AND c.entity = key.entity AND ${isNobodysEntity}`,
    values: [rows.map(({ source }) => source), rows.map(({ entity }) => entity)],
  });
  return rows.length;
}

/** As the value stands in URLs, in forms and in JSON, by the usual encoders of several languages. */
function spellingsOf(value: string): string[] {
  if (value.length < minSoughtChars) return [value];
  const url = encodeURIComponent(value.toWellFormed());
  const form = new URLSearchParams([['', value]]).toString().slice(1);
  const encoded = [url, url.replaceAll('%20', '+'), form].flatMap(withHexInBothCases(/%[0-9A-F]{2}/g));
  const json = JSON.stringify(value).slice(1, -1);
  const ascii = json.replace(
    /[\u0080-\uffff]/g,
    (unit) => `\\u${unit.charCodeAt(0).toString(16).toUpperCase().padStart(4, '0')}`,
  );
  const inJson = [json, ascii]
    .flatMap(withHexInBothCases(/(?<=\\u)[0-9A-F]{4}/g))
    .flatMap((text) => [text, text.replaceAll('/', '\\/')]); // as PHP writes it
  return [...new Set([value, ...encoded, ...inJson])];
}

const withHexInBothCases = (hex: RegExp) => (text: string) => [
  text,
  text.replaceAll(hex, (code) => code.toLowerCase()),
];

/** Erases the value where it stands apart from events. @returns the number of rows */
export async function eraseBeyondEvents(
  tx: Transaction,
  { values, source }: Pick<Erasure, 'values' | 'source'>,
): Promise<number> {
  const sought = values.flatMap(spellingsOf);
  let count = 0;
  for (const text of beyondEvents)
    count += (await tx.query({ text, values: [sought, source ?? null] })).rowCount ?? 0;
  return count;
}
