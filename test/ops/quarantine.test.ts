// The quarantine on the page of rejections: who sees what, and a promotion in parts.
import t from 'tap';
import { createServer } from '../../src/http/server.ts';
import { registerOps } from '../../src/ops/plugin.ts';
import { type Provider, providers, type Source, signDelivery } from '../../src/providers/index.ts';
import { loadConnectedSettings } from '../../src/runtime/settings.ts';
import { atEnd } from '../support/at-end.ts';
import { createTestDatabase } from '../support/database.ts';
import { captureLog, openSession } from '../support/inbox.ts';

const { url } = await createTestDatabase(t);
const sql = await openSession(t, url);
const secret = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw';
const [operator, reader] = ['sixteen-letters-of-ops', 'sixteen-letters-to-read'];
const settings = loadConnectedSettings({
  DATABASE_URL: url,
  OPS_PASSWORD: operator,
  OPS_READONLY_PASSWORD: reader,
  STRIPE_WEBHOOK_SECRET: secret,
  STRIPE_QUARANTINE_MB: '10',
});
const { log, logs } = captureLog();
const app = createServer({ bodyLimitBytes: 1_048_576, log });
const closing = registerOps(app, { settings, log });
atEnd(t, async () => {
  await app.close();
  for (const { run } of closing) await run();
});
const address = await app.listen({ port: 0, host: '127.0.0.1' });
async function ask(password: string, method: 'GET' | 'POST', path: string, payload?: string) {
  const response = await fetch(address + path, {
    method,
    redirect: 'manual',
    headers: {
      accept: 'text/html',
      authorization: `Basic ${Buffer.from(`ada:${password}`).toString('base64')}`,
      'content-type': 'application/x-www-form-urlencoded',
    },
    ...(payload === undefined ? {} : { body: payload }),
  });
  const location = response.headers.get('location') ?? '';
  return { statusCode: response.status, location, body: await response.text() };
}

/** As `web` keeps it. */
async function keep(signedWith: string, address = '203.0.113.1'): Promise<void> {
  const provider: Provider = providers.stripe;
  const source: Source = { name: 'stripe', provider, secrets: [signedWith] };
  const now = new Date(Date.now() - 3_600_000);
  const { headers, body } = signDelivery(source, {
    topic: 'invoice.paid',
    now,
    url: 'https://shop.example.com/',
  });
  const lists = Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, [value]]));
  await sql(
    `INSERT INTO quarantined_requests (source, arrived_at, address, reason, request_id, method, url, headers, body, bytes)
     VALUES ('stripe', $1, $2, 'wrong_signature', 'r', 'POST', '/api/webhooks/stripe', $3, $4, $5)`,
    [now, address, JSON.stringify(lists), body, body.length + 500],
  );
}

t.test('without a quarantine the page has no such part', async (t) => {
  const page = await ask(operator, 'GET', '/ops/rejections');
  t.equal(page.statusCode, 200, JSON.stringify(logs));
  t.notMatch(page.body, 'Quarantine');
});

t.test('an operator promotes 250 requests in parts; a reader cannot; forgeries stay', async (t) => {
  for (let nth = 0; nth < 250; nth++) await keep(secret);
  for (let nth = 0; nth < 3; nth++) await keep('whsec_of-somebody-else-1');
  const page = await ask(reader, 'GET', '/ops/rejections');
  t.match(page.body, /<h2>Quarantine<\/h2>(.|\n)*253/);
  t.notMatch(page.body, 'Promote 253');
  t.equal((await ask(reader, 'POST', '/ops/quarantine', 'source=stripe')).statusCode, 403);
  t.match((await ask(operator, 'GET', '/ops/rejections')).body, 'Promote 253 requests');
  t.equal((await ask(operator, 'POST', '/ops/quarantine', 'source=github')).statusCode, 400);

  const { statusCode, location: action } = await ask(operator, 'POST', '/ops/quarantine', 'source=stripe');
  t.equal(statusCode, 303);
  for (let part = 0; part < 20; part++) {
    const { body } = await ask(operator, 'GET', action);
    if (!body.includes('Go on')) break;
    await ask(operator, 'POST', action, '');
  }
  t.match(
    (await ask(operator, 'GET', action)).body,
    /250 of 253 requests left the quarantine(.|\n)*3 requests stay/,
  );
  const [events] = await sql(
    `SELECT count(*)::int AS n, count(DISTINCT event_id)::int AS ids, bool_and(received_at < now() - interval '50 minutes') AS early
     FROM webhook_events WHERE received_by = 'quarantine'`,
  );
  t.same(events, { n: 250, ids: 250, early: true });
  t.match(await sql('SELECT count(*)::int AS n FROM quarantined_requests'), [{ n: 3 }]);
  t.match(await sql('SELECT operator, action, matched, done, ended_at FROM operator_actions'), [
    { operator: 'ada', action: 'promote', matched: 253, done: 250, ended_at: Date },
  ]);
  t.match((await ask(reader, 'GET', '/ops/actions')).body, /Promote(.|\n)*250(.|\n)*of 253/);

  await ask(operator, 'POST', '/ops/quarantine', 'source=stripe');
  t.match(await sql('SELECT count(*)::int AS n FROM webhook_events'), [{ n: 250 }], 'once more: nothing new');
});

t.test('requests that the database could not take are told apart from those that are wrong', async (t) => {
  const counts = { promoted: 1, ignored: 1, known: 0, wrong: 2, withoutEvent: 0, unavailable: 1 };
  const [row] = await sql(
    `INSERT INTO operator_actions (operator, action, filter, matched, done, cursor, ended_at)
     VALUES ('ada', 'promote', '{"source":"stripe"}', 5, 2, $1, now()) RETURNING id::int`,
    [JSON.stringify({ after: '9', counts })],
  );
  const { body } = await ask(reader, 'GET', `/ops/action?id=${row!.id}`);
  t.match(body, /2 requests stay: the secrets of stripe do not verify them/);
  t.match(body, /1 request stays: the database could not take it. Promote once more/);
  t.match(body, /1 request of them became IGNORED events/);
});

t.test('a slice that takes longer than 3 s rests, and the promotion goes on later', async (t) => {
  await keep(secret);
  const [row] = await sql(
    `INSERT INTO operator_actions (operator, action, filter, matched) VALUES ('ada', 'promote', '{"source":"stripe"}', 1) RETURNING id::int`,
  );
  const action = `/ops/action?id=${row!.id}`;
  const locker = await openSession(t, url);
  await locker('BEGIN');
  await locker('LOCK TABLE quarantined_requests IN ACCESS EXCLUSIVE MODE');
  t.match(await ask(operator, 'POST', action, ''), { statusCode: 303, location: `${action}&slow=1` });
  await locker('ROLLBACK');
  t.match(await ask(operator, 'POST', action, ''), { statusCode: 303, location: action });
  t.match((await ask(reader, 'GET', action)).body, '1 of 1 request left the quarantine');
});
