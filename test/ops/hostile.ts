// 200 hostile texts in every place where a stranger's or an operator's text is shown.
type Sql = (text: string, values?: unknown[]) => Promise<Record<string, unknown>[]>;

const attacks = [
  '<script>alert(1)</script>',
  '"><img src=x onerror=alert(1)>',
  "' onmouseover='alert(1)",
  '</pre></details></textarea></title><svg/onload=alert(1)>',
  '<!--',
  ']]>',
  '&lt;b&gt;',
  '&#60;script&#62;',
  'javascript:alert(1)',
  '$' + '{7*7}',
  '{{7*7}}',
  '\u202e\u2066gpj.exe',
  '\x1b[2J',
  '<a href="javascript:alert(1)" hx-get="/x" hx-on:click="alert(1)" style="x">',
  '<meta http-equiv=refresh content=0>',
  '<base href=//evil.example>',
  '<iframe srcdoc=x>',
  '`',
  '\\',
  '%3Cscript%3E',
];
const hostile = Array.from(
  { length: 200 },
  (_, n) => `${attacks[n % attacks.length]}${'<b '.repeat(n % 7)}${n}`,
);

/** Rows for every page. @returns the addresses of the 200 events and of the 200 captured requests */
export async function storeHostileRows(sql: Sql): Promise<string[]> {
  const statuses = ['FAILED', 'PENDING', 'IGNORED', 'PROCESSED'];
  const texts = hostile.map((text) => text.replaceAll('\0', ''));
  await sql(
    `INSERT INTO webhook_events (source, provider, event_id, topic, payload, status, processed_at, last_error, ignored_reason, entity,
       headers, body_sha256)
     SELECT left(text, 50), text, text || ' ' || n, left(text, 200), payload, status, CASE status WHEN 'PROCESSED' THEN now() END,
       CASE WHEN status <> 'PROCESSED' THEN text END, CASE status WHEN 'IGNORED' THEN text END, text, jsonb_build_object(text, text),
       sha256(int8send(n))
     FROM unnest($1::text[], $2::text[], $3::jsonb[]) WITH ORDINALITY AS t (text, status, payload, n)`,
    [
      texts,
      texts.map((_, n) => statuses[n % 4]),
      texts.map((text) => JSON.stringify({ [text]: [text, { [`${text}k`]: text }], n: 1 })),
    ],
  );
  for (const statement of besideEvents) await sql(statement);
  const rows = await sql('SELECT source, event_id FROM webhook_events');
  const requests = await sql('SELECT id FROM captured_requests');
  return [
    ...rows.map(
      ({ source, event_id }) =>
        `/ops/event?${new URLSearchParams({ source: String(source), id: String(event_id) })}`,
    ),
    ...requests.map(({ id }) => `/ops/request?id=${id}`),
  ];
}

const besideEvents = [
  'INSERT INTO failed_attempts (source, event_id, error, stack) SELECT source, event_id, topic, topic FROM webhook_events',
  `INSERT INTO rejected_requests (source, reason, detail, request_id, received_at, body_bytes)
   SELECT source, topic, topic, topic, now(), 1 FROM webhook_events`,
  `INSERT INTO postbell_processes (process_id, kind, host, version) SELECT gen_random_uuid(), 'worker', topic, topic FROM webhook_events`,
  `INSERT INTO operator_actions (operator, action, filter, matched, reason)
   SELECT left(topic, 60), 'ignore', jsonb_build_object('source', source, 'topic', topic), 1, left(topic, 60) FROM webhook_events`,
  `INSERT INTO operator_actions (operator, action, filter, matched)
   SELECT left(topic, 60), 'replay', jsonb_build_object('source', source, 'topic', topic, 'error', topic), 1 FROM webhook_events`,
  `INSERT INTO alerts (kind, source, topic, error_class, facts, began_at, raised_at, acknowledged_at, acknowledged_by)
   SELECT 'dead_letters', source, topic, topic, '{"count": 3}', now(), now(), CASE WHEN attempts = 0 THEN now() END,
     CASE WHEN attempts = 0 THEN topic END FROM webhook_events WHERE status = 'FAILED' ON CONFLICT DO NOTHING`,
  `INSERT INTO pauses (source, topic, reason, paused_by)
   SELECT source, translate(topic, '*', ''), topic, left(topic, 60) FROM webhook_events ON CONFLICT DO NOTHING`,
  `INSERT INTO rehearsals (source, event_id, asked_by, started_at, ends_before, ended_at, result)
   SELECT source, event_id, left(topic, 60), now(), now(), now(), jsonb_build_object('outcome', 'processed', 'isFinal', false,
     'reason', topic, 'error', jsonb_build_object('text', topic, 'stack', topic), 'durationMs', 1, 'furtherStatements', 1,
     'tables', jsonb_build_array(jsonb_build_object('table', topic, 'inserted', 1, 'updated', 1, 'deleted', 1)),
     'statements', jsonb_build_array(jsonb_build_object('text', topic, 'rowCount', 1, 'rows', jsonb_build_array(topic))))
   FROM webhook_events`,
  `INSERT INTO captured_requests (source, received_at, request_id, process, method, url, headers, body, body_bytes,
     status, outcome, reason, detail, topic, event_id)
   SELECT source, now(), topic, topic, topic, topic, jsonb_build_object(topic, jsonb_build_array(topic), 'content-type', '["json"]'::jsonb),
     convert_to(CASE WHEN length(topic) % 2 = 0 THEN payload::text ELSE topic END, 'UTF8'), 9, 401, topic,
     CASE WHEN length(topic) % 3 = 0 THEN topic END, topic, topic, CASE WHEN length(topic) % 3 = 1 THEN event_id END
   FROM webhook_events`,
  `INSERT INTO captures (source, ends_at, opened_by)
   SELECT source, now() + interval '1 hour', left(max(topic), 60) FROM webhook_events GROUP BY source`,
];

/** Addresses with hostile parameters. */
export const hostileQueries = attacks.flatMap((text) => {
  const fields = ['source', 'topic', 'since', 'path', 'value', 'error', 'id'];
  const query = new URLSearchParams(Object.fromEntries(fields.map((field) => [field, text])));
  return [
    `/ops/events?${query}`,
    `/ops/none?${query}`,
    `/ops/rejections?${query}`,
    `/ops/requests?${query}&up_to=${encodeURIComponent(text)}`,
    `/ops/request?${query}`,
    `/ops/dead-letters?${query}`,
    `/ops/login?next=${encodeURIComponent(text)}`,
  ];
});
