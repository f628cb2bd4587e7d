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

/** Where an entity of the clock `r` is no event's any more, nothing else names it. */
const isNobodysEntity = `NOT EXISTS (SELECT FROM {inbox}.webhook_events e WHERE e.entity = r.entity AND e.source = r.source)`;

/** Shorter texts are found in too many others. */
export const minSoughtChars = 4;
const isLongEnough = (value: string) => [...value].length >= minSoughtChars;

// The value must stand alone: `cus_1` is not found in `cus_12`. The end of a percent code, or of an escape as JSON and Postgres
// write it, is no part of a word, unless the code is of such a character.
const wordChar = '[A-Za-z0-9_-]';
const wordCode = '(?:2[dD]|3[0-9]|[46][1-9A-Fa-f]|5[0-9AFaf]|7[0-9Aa])';
const otherCode = '(?:[0189A-Fa-f][0-9A-Fa-f]|2[0-9A-CE-Fa-ce-f]|3[A-Fa-f]|[46]0|5[B-Eb-e]|7[B-Fb-f])';
const otherUnit = `(?:00${otherCode}|0[1-9A-Fa-f][0-9A-Fa-f]{2}|[1-9A-Fa-f][0-9A-Fa-f]{3})`;
/** Two where Postgres has escaped it. */
const backslash = String.raw`(?:\\\\?|%5[cC])`;
const codeBefore = `(?<=%${otherCode}|${backslash}[bfnrt]|${backslash}u${otherUnit}|${String.raw`\\[0-3][0-7]{2}`})`;
/** The value's place in a text: a character that Postgres writes in no jsonb and Node accepts in no URL. */
const place = String.raw`\u0001`;
const standsAlone = `(?:(?<!${wordChar})|${codeBefore})${place}(?!${wordChar}|%${wordCode}|${backslash}u00${wordCode})`;

/** @param text SQL of the text, `found` of the value in it */
const standsAloneIn = (text: string, found: string) =>
  `replace(replace(${text}, chr(1), ' '), ${found}, chr(1)) ~ '${standsAlone}'`;

/** CASE: the texts are read a second time only where the value is in them. */
const holdsValue = (text: string) =>
  `EXISTS (SELECT FROM unnest(g.sought) AS v (value) WHERE CASE WHEN strpos(lower(${text}), lower(value)) > 0
    THEN ${standsAloneIn(`lower(${text})`, 'lower(value)')} END)`;

/** A body need not be text in any encoding: bytes beyond ASCII are compared as Postgres escapes them. */
const holdsBytes = (bytes: string) =>
  `EXISTS (SELECT FROM unnest(g.sought) AS v (value) WHERE CASE WHEN position(convert_to(value, 'UTF8') IN ${bytes}) > 0
    THEN ${standsAloneIn(`encode(${bytes}, 'escape')`, `encode(convert_to(value, 'UTF8'), 'escape')`)} END)`;

/** SQL of one row `g`: the value's spellings, the source and the time range of the erasure. */
const sought = `(SELECT $1::text[] AS exact, $2::text[] AS sought, $3::text AS source, $4::timestamptz AS since, $5::timestamptz AS before) AS g`;

const isOfSource = (source: string) => `(g.source IS NULL OR ${source} = g.source)`;
const isOfTime = (time: string) =>
  `(g.since IS NULL OR ${time} >= g.since) AND (g.before IS NULL OR ${time} < g.before)`;

/** A table that may hold the value itself. */
interface BeyondEvents {
  table: string;
  /** SQL of the DELETE or UPDATE of the rows, up to the row `g`. */
  change: string;
  /** SQL of the condition: the row has the value. */
  where: string;
}

const deletion = (table: string, where: string): BeyondEvents => ({
  table,
  where,
  change: `DELETE FROM {inbox}.${table} AS r USING`,
});

/** Every table that may hold the value itself, apart from events. An unfinished replay keeps a filter, which then matches nothing. */
const beyondEvents: readonly BeyondEvents[] = [
  deletion('entity_clock', `r.entity = ANY (g.exact) AND ${isOfSource('r.source')} AND ${isNobodysEntity}`),
  {
    table: 'operator_actions',
    change: `UPDATE {inbox}.operator_actions AS r SET
      reason = CASE WHEN ${holdsValue('r.reason')} THEN '${erasedText}' ELSE r.reason END,
      filter = coalesce((SELECT jsonb_object_agg(key, CASE
          WHEN key = 'payload' AND value ->> 'value' = ANY (g.exact) THEN jsonb_set(value, '{value}', '"${erasedText}"')
          WHEN key = 'entity' AND value #>> '{}' = ANY (g.exact) THEN '"${erasedText}"'
          WHEN key IN ('error', 'errorGroup') AND ${holdsValue(`(f.value #>> '{}')`)} THEN '"${erasedText}"'
          ELSE value END) FROM jsonb_each(r.filter) AS f), '{}')
      FROM`,
    where: `(r.filter ->> 'source' IS NULL OR ${isOfSource(`r.filter ->> 'source'`)})
      AND (${holdsValue('r.reason')} OR ${holdsValue(`(r.filter ->> 'error')`)} OR ${holdsValue(`(r.filter ->> 'errorGroup')`)}
        OR r.filter #>> '{payload,value}' = ANY (g.exact) OR r.filter ->> 'entity' = ANY (g.exact))`,
  },
  {
    table: 'pauses',
    change: `UPDATE {inbox}.pauses AS r SET reason = '${erasedText}' FROM`,
    where: `(r.source IS NULL OR ${isOfSource('r.source')}) AND ${holdsValue('r.reason')}`,
  },
  deletion(
    'quarantined_requests',
    `${isOfSource('r.source')} AND ${isOfTime('r.arrived_at')}
      AND (${holdsValue('r.url')} OR ${holdsValue('r.headers::text')} OR ${holdsBytes('r.body')})`,
  ),
  deletion(
    'captured_requests',
    `${isOfSource('r.source')} AND ${isOfTime('r.received_at')}
      AND (${holdsValue('r.url')} OR ${holdsValue('r.headers::text')} OR ${holdsBytes('r.body')})`,
  ),
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
    text: `DELETE FROM {inbox}.entity_clock r USING unnest($1::text[], $2::text[]) AS key (source, entity)
      WHERE r.source = key.source AND r.entity = key.entity AND ${isNobodysEntity}`,
    values: [rows.map(({ source }) => source), rows.map(({ entity }) => entity)],
  });
  return rows.length;
}

/** As the value stands in URLs, in forms and in JSON, by the usual encoders of several languages. */
function spellingsOf(value: string): string[] {
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

/** Rows of a table that have the value. */
export interface RowsBeyondEvents {
  table: string;
  rows: number;
}

const parametersOf = ({ values, source, receivedSince, receivedBefore }: Erasure) => [
  values,
  values.filter(isLongEnough).flatMap(spellingsOf),
  source ?? null,
  receivedSince ?? null,
  receivedBefore ?? null,
];

/** The tables in which the value stands apart from events. */
export async function countBeyondEvents(database: Queryable, erasure: Erasure): Promise<RowsBeyondEvents[]> {
  const values = parametersOf(erasure);
  const found: RowsBeyondEvents[] = [];
  for (const { table, where } of beyondEvents) {
    const { rows } = await database.query<{ count: number }>({
      text: `SELECT count(*)::int AS count FROM {inbox}.${table} AS r, ${sought} WHERE ${where}`,
      values,
    });
    if (rows[0]!.count > 0) found.push({ table, rows: rows[0]!.count });
  }
  return found;
}

/** Erases the value where it stands apart from events. @returns the number of rows */
export async function eraseBeyondEvents(tx: Transaction, erasure: Erasure): Promise<number> {
  const values = parametersOf(erasure);
  let count = 0;
  for (const { change, where } of beyondEvents)
    count += (await tx.query({ text: `${change} ${sought} WHERE ${where}`, values })).rowCount ?? 0;
  return count;
}
