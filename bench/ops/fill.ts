// A large inbox for the operators' page: many sources, 1 % dead letters, 0.1 % waiting, over thirty days; and what is kept beside events.
import pino from 'pino';
import { openDatabase } from '../../src/database/open-database.ts';
import { countHour, nextHour } from '../../src/events/hourly-counts.ts';
import type { Query } from '../machine/postgres.ts';

const perStatement = 250_000;
export const sourceCount = 40;
const days = 30;

/** The larger the number, the smaller the source: the first has a quarter of all events, the last some 0.03 %. */
const sourceOf = `'source-' || lpad((1 + floor(${sourceCount} * power(u, 2.7)))::int::text, 2, '0')`;

/** The last of a thousand events wait, as they do where the worker is some minutes behind. */
const eventsText = `
  INSERT INTO webhook_events (source, provider, event_id, topic, payload, headers, received_at, occurred_at, status, processed_at,
    attempts, last_error, ignored_reason, entity, job_id, body_sha256)
  SELECT source, 'stripe', id, topic, payload, '{"content-type": "application/json"}', at, at - interval '1 s', status,
    CASE status WHEN 'PROCESSED' THEN at + interval '1 s' END,
    CASE status WHEN 'FAILED' THEN 5 WHEN 'PENDING' THEN n % 3 ELSE 1 END,
    CASE WHEN status = 'FAILED' OR status = 'PENDING' AND n % 3 > 0 THEN (ARRAY['TypeError: Cannot read properties of undefined (reading ''order_id'')',
      'Error: connect ECONNREFUSED 10.0.' || n % 200 || '.7:5432; cause: the warehouse did not answer',
      'error: duplicate key value violates unique constraint "orders_pkey"; statement: INSERT INTO orders (id) VALUES ($1)',
      'PermanentError: order ord_' || n || ' is gone'])[1 + n % 4] END,
    CASE status WHEN 'IGNORED' THEN 'no handler' END,
    CASE WHEN n % 2 = 0 THEN 'ord_' || n / 6 END,
    CASE status WHEN 'PENDING' THEN md5('job' || n)::uuid END,
    sha256(int8send(n))
  FROM (
    SELECT n, ${sourceOf} AS source, 'evt_' || lpad(to_hex(n), 20, '0') AS id,
      (ARRAY['payment_intent.succeeded', 'charge.succeeded', 'invoice.paid', 'customer.updated', 'charge.refunded', 'payout.paid'])[1 + floor(6 * power(v, 2))::int] AS topic,
      jsonb_build_object('id', n, 'type', 'event', 'data', jsonb_build_object('object', jsonb_build_object('id', 'pi_' || n,
        'amount', n % 100000, 'currency', 'eur', 'metadata', jsonb_build_object('order', 'ord_' || n / 6, 'note', repeat('x', 120))))) AS payload,
      now() - (1 - n::float8 / $3) * interval '${days} days' AS at,
      CASE WHEN n > $3 - $3 / 1000 THEN 'PENDING' WHEN w < 0.01 THEN 'FAILED' WHEN w < 0.03 THEN 'IGNORED' ELSE 'PROCESSED' END AS status
    FROM (SELECT n, random() AS u, random() AS v, random() AS w FROM generate_series($1::bigint, $2::bigint) n) drawn
  ) events`;

const sourceNamed = (number: string) => `'source-' || lpad((${number})::text, 2, '0')`;
const headers = `'{"content-type": ["application/json"], "user-agent": ["bench"]}'::jsonb`;
const body = `convert_to(jsonb_build_object('id', n, 'note', repeat('x', 4000))::text, 'UTF8')`;
const statement = `jsonb_build_object('text', 'UPDATE orders SET state = $1 WHERE id = $2', 'rowCount', 1, 'rows', '[]'::jsonb)`;
const rehearsal = `jsonb_build_object('outcome', 'processed', 'isFinal', false, 'durationMs', 12, 'furtherStatements', 0,
  'tables', jsonb_build_array(jsonb_build_object('table', 'orders', 'inserted', 0, 'updated', 1, 'deleted', 0)),
  'statements', jsonb_build_array(${statement}))`;

const besideText = [
  `INSERT INTO failed_attempts (source, event_id, error, stack, started_at, failed_at)
   SELECT source, event_id, last_error, 'at handle (/app/handlers/index.ts:12:7)', received_at, received_at + n * interval '1 min'
   FROM webhook_events, generate_series(1, attempts) n WHERE last_error IS NOT NULL`,
  `INSERT INTO pgboss.job (id, name, data, start_after)
   SELECT job_id, 'webhooks', jsonb_build_object('events', jsonb_build_array(jsonb_build_array(source, event_id))), now() + attempts * interval '5 min'
   FROM webhook_events WHERE status = 'PENDING'`,
  `INSERT INTO rejected_requests (source, reason, request_id, received_at, body_bytes)
   SELECT 'source-' || lpad((1 + n % ${sourceCount})::text, 2, '0'), 'wrong_secret', 'req-' || n, now() - n * interval '1 min', 900 FROM generate_series(1, 1000) n`,
  `INSERT INTO operator_actions (operator, action, filter, matched, done, began_at, ended_at)
   SELECT 'Ada', 'replay', '{"statuses": ["FAILED"]}', 500, 500, now() - n * interval '1 hour', now() - n * interval '1 hour' FROM generate_series(1, 1000) n`,
  `INSERT INTO operator_actions (operator, action, filter, matched, done) VALUES ('Ada', 'promote', '{"source": "source-01"}', 5000, 100)`,
  `INSERT INTO captures (source, ends_at) SELECT ${sourceNamed('n')}, now() + interval '1 hour' FROM generate_series(1, 10) n`,
  // 200 of each of ten sources: as many as are kept.
  `INSERT INTO captured_requests (source, received_at, request_id, process, method, url, headers, body, body_bytes, status, outcome, reason)
   SELECT ${sourceNamed('1 + n % 10')}, now() - (2000 - n) * interval '1 s', 'req-' || n, 'web1', 'POST', '/api/webhooks/source', ${headers},
     ${body}, 4000, CASE n % 4 WHEN 0 THEN 401 ELSE 200 END, CASE n % 4 WHEN 0 THEN 'rejected' ELSE 'accepted' END,
     CASE n % 4 WHEN 0 THEN 'wrong_secret' END FROM generate_series(1, 2000) n`,
  `INSERT INTO quarantined_requests (source, arrived_at, address, reason, request_id, method, url, headers, body, bytes)
   SELECT ${sourceNamed('1 + n % 5')}, now() - n * interval '1 s', '203.0.113.' || n % 250, 'wrong_secret', 'req-' || n, 'POST',
     '/api/webhooks/source', ${headers}, ${body}, 4500 FROM generate_series(1, 5000) n`,
  `INSERT INTO rehearsals (source, event_id, asked_by, started_at, ends_before, ended_at, result)
   SELECT source, event_id, 'Ada', now(), now(), now(), ${rehearsal} FROM webhook_events WHERE status = 'FAILED'
   ORDER BY received_at LIMIT 3000`,
  `INSERT INTO postbell_processes (process_id, kind, host, version)
   SELECT gen_random_uuid(), kind, kind || n, '0.2.0' FROM unnest(ARRAY['web', 'worker']) kind, generate_series(1, 50) n`,
];

/** Indexes are built afterwards, which takes a third of the time; the primary key stays. */
export async function fillEvents(query: Query, count: number, say: (text: string) => void): Promise<void> {
  // The one event that the preparation has received.
  await query('TRUNCATE webhook_events, failed_attempts; DELETE FROM pgboss.job');
  const indexes = await query<{ name: string; definition: string }>(
    `SELECT indexrelid::regclass::text AS name, pg_get_indexdef(indexrelid) AS definition FROM pg_index
     WHERE indrelid = 'webhook_events'::regclass AND NOT indisprimary`,
  );
  for (const { name } of indexes) await query(`DROP INDEX ${name}`);
  await setFsync(query, 'off');
  await query(`SELECT setseed(0.5)`);
  await query(`SET synchronous_commit = off; SET maintenance_work_mem = '1GB'`);
  for (let from = 1; from <= count; from += perStatement) {
    await query(eventsText, [from, Math.min(from + perStatement - 1, count), count]);
    if (from % 1_000_000 === 1 && from > 1) say(`  ${from - 1} events`);
  }
  for (const { definition } of indexes) await query(definition);
  for (const text of besideText) await query(text);
  await query('VACUUM (ANALYZE)');
  await setFsync(query, 'on');
  await query('CHECKPOINT');
}

/** While the tables are filled a crash costs nothing but the measurement. */
async function setFsync(query: Query, value: 'on' | 'off'): Promise<void> {
  for (const name of ['fsync', 'full_page_writes']) await query(`ALTER SYSTEM SET ${name} = ${value}`);
  await query('SELECT pg_reload_conf()');
}

/** By the statements of a worker, without its rests. @returns the number of hours */
export async function countHours(url: string): Promise<number> {
  const log = pino({ level: 'silent' });
  const database = openDatabase({ url, applicationName: 'postbell bench', maxConnections: 2, log });
  try {
    let hours = 0;
    for (let hour = await nextHour(database, null); hour; hours++) {
      const due = { hour, recountIds: [] };
      await database.transaction((tx) => countHour(tx, due), { timeoutMs: 60_000, settings: { jit: 'off' } });
      hour = await nextHour(database, new Date(hour.getTime() + 3_600_000));
    }
    return hours;
  } finally {
    await database.close();
  }
}
