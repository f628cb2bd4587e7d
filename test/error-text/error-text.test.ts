// What operators are told of a failure: all causes, and no value of a customer, by real processes and a real Postgres.
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { signDelivery } from '../../src/providers/index.ts';
import { parseSources } from '../../src/providers/sources.ts';
import { createTestDatabase } from '../support/database.ts';
import { openSession } from '../support/inbox.ts';
import { runProcess, startProcess } from '../support/processes.ts';
import { waitFor } from '../support/wait.ts';
import { failures, plantedWords } from './handlers.ts';

const { url } = await createTestDatabase(t);
const sql = await openSession(t, url);
const secret = { STRIPE_WEBHOOK_SECRET: 'whsec_c2VjcmV0LW9mLXRoZS10ZXN0cw' };
const env = {
  ...secret,
  DATABASE_URL: url,
  HOST: '127.0.0.1',
  PORT: '0',
  POSTBELL_HANDLERS: fileURLToPath(new URL('handlers.ts', import.meta.url)),
  POLL_SECONDS: '1',
};
await sql(`
  CREATE TYPE planted_mood AS ENUM ('good', 'bad');
  CREATE TABLE planted_rows (
    name varchar(3),
    email text CONSTRAINT rows_email UNIQUE,
    code text CONSTRAINT rows_code REFERENCES planted_rows (email),
    amount int CONSTRAINT rows_amount CHECK (amount > 0),
    parent text CONSTRAINT rows_parent REFERENCES planted_rows (email),
    note text NOT NULL DEFAULT ''
  );
  ALTER TABLE planted_rows DROP CONSTRAINT rows_code, ADD CONSTRAINT rows_code EXCLUDE USING hash (code WITH =);
  CREATE FUNCTION planted_raise(text, text DEFAULT 'P0001') RETURNS void LANGUAGE plpgsql AS $$
    BEGIN RAISE EXCEPTION 'no order "%" is open', $1 USING ERRCODE = $2, DETAIL = $1, HINT = $1; END $$`);

const web = startProcess(t, ['web'], { env });
const worker = startProcess(t, ['worker'], { env });
const { address } = await web.waitForLog(({ msg }) => msg === 'listening');
await Promise.all([web.waitForLog('ready'), worker.waitForLog('ready')]);
const source = parseSources(secret).sources.get('stripe')!;
const names = Object.keys(failures);
for (const topic of names) {
  const body = Buffer.from(
    JSON.stringify({ id: topic, object: 'event', type: topic, created: 1_750_000_000 }),
  );
  const sent = signDelivery(source, { topic, body, now: new Date(), url: `${address}/api/webhooks/stripe` });
  const { status } = await fetch(sent.url, { ...sent, body: new Uint8Array(sent.body) });
  if (status !== 200) throw new Error(`${topic} was answered ${status}`);
}
await waitFor(
  async () => (await sql('SELECT FROM webhook_events WHERE attempts > 0')).length === names.length,
  { what: 'all of them to fail', timeoutMs: 100_000 },
);

for (const name of names) {
  t.test(name, async (t) => {
    const [row] = await sql(
      `SELECT e.last_error, f.error, f.stack, j.output::text FROM webhook_events e
       JOIN failed_attempts f USING (source, event_id) LEFT JOIN pgboss.job j ON j.id = e.job_id WHERE event_id = $1`,
      [name],
    );
    t.match(row?.last_error, failures[name]!.keeps);
    t.equal(row?.error, row?.last_error);
    t.notMatch(JSON.stringify(row).replaceAll('planted_', ''), plantedWords);
  });
}

t.test('the log tells the same', (t) => {
  const lines = worker.logs.filter(({ outcome }) => outcome === 'failed');
  t.equal(lines.length, names.length);
  for (const { topic, reason } of lines) t.match(reason, failures[String(topic)]!.keeps, String(topic));
  t.notMatch(worker.output().replaceAll('planted_', ''), plantedWords);
  t.notMatch(web.output().replaceAll('planted_', ''), plantedWords);
  const own = worker.logs.filter(({ msg }) => /SQLSTATE 23502|under another name/.test(msg ?? ''));
  t.equal(own.length, 3, "the handler's own lines");
  for (const { err, error = err } of own) {
    t.same(Object.keys(error as object), ['text', 'stack']);
    t.match(error, { text: /SQLSTATE 23502, table planted_rows, column note/, stack: /^ +at / });
  }
  t.end();
});

t.test('postbell show has the whole chain', async (t) => {
  const plain = await runProcess(['show', 'unreachable'], { env });
  t.match(plain.stdout, /last error +TypeError: fetch failed; cause: Error: connect ECONNREFUSED/);
  const { stdout } = await runProcess(['show', 'unreachable', '--json'], { env });
  t.match(JSON.parse(stdout), { failures: [{ error: failures.unreachable!.keeps }] });
});
