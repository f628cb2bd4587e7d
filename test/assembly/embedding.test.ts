// Postbell in a team's own process: each host keeps the promise and the limits of `postbell web`.
import t from 'tap';
import { providers, signDelivery } from '../../src/providers/index.ts';
import { makeSource } from '../providers/deliveries.ts';
import { createTestDatabase } from '../support/database.ts';
import { openHosts } from '../support/hosts.ts';
import { openSession } from '../support/inbox.ts';
import { freePort } from '../support/ports.ts';
import { waitFor } from '../support/wait.ts';

const { url } = await createTestDatabase(t);
const sql = await openSession(t, url);
const secret = 'whsec_of_the_embedding_test_0001';
const slackSecret = '8f742231b10e8888abcd99yyyzzz85a5';
const env = {
  DATABASE_URL: url,
  STRIPE_WEBHOOK_SECRET: secret,
  SLACK_WEBHOOK_SECRET: slackSecret,
  BODY_LIMIT_BYTES: '4096',
  // The host's own setting, which embedded Postbell ignores.
  PORT: '/run/shop.sock',
};
const stripe = makeSource(providers.stripe, secret);
const slack = makeSource(providers.slack, slackSecret);

function delivery(id: string, padding = ''): RequestInit {
  const body = JSON.stringify({ id, object: 'event', type: 'invoice.paid', created: 1_750_000_000, padding });
  const { headers } = signDelivery(stripe, {
    topic: 'invoice.paid',
    now: new Date(),
    url: 'http://a/',
    body,
  });
  return { method: 'POST', headers, body };
}

/** A body of unknown length, which ends only when it is cancelled. */
function endlessBody(): { init: RequestInit; isCancelled(): boolean } {
  let isCancelled = false;
  const body = new ReadableStream({
    pull: (controller) => controller.enqueue(new Uint8Array(1_024)),
    cancel: () => {
      isCancelled = true;
    },
  });
  return { init: { method: 'POST', body, duplex: 'half' } as RequestInit, isCancelled: () => isCancelled };
}

const storedIds = async (prefix: string) =>
  (
    await sql('SELECT event_id AS id FROM webhook_events WHERE event_id LIKE $1 ORDER BY 1', [`${prefix}%`])
  ).map(({ id }) => id);
const answerOf = async (response: Response) => ({ status: response.status, body: await response.text() });

for (const [name, openHost] of Object.entries(openHosts)) {
  const id = `evt_${name.replace('postbell/', '')}`;

  t.test(`${name}: an answer comes after the commit, and the errors are those of web`, async (t) => {
    const { ask, logs } = await openHost(t, { env });
    await waitFor(() => logs.some(({ msg }) => msg === 'ready'), { what: 'the database' });
    t.same(await answerOf(await ask('stripe', delivery(id))), {
      status: 200,
      body: '{"ok":true,"duplicate":false}',
    });
    t.same(await storedIds(id), [id]);
    t.same(await sql('SELECT status FROM webhook_events WHERE event_id = $1 AND job_id IS NOT NULL', [id]), [
      { status: 'PENDING' },
    ]);
    t.same(await answerOf(await ask('stripe', delivery(id))), {
      status: 200,
      body: '{"ok":true,"duplicate":true}',
    });

    const forged = { ...delivery(id), body: '{}' };
    const missing = { method: 'POST', body: '{}' };
    for (const wrong of [forged, missing]) {
      const { status, body } = await answerOf(await ask('stripe', wrong));
      t.equal(status, 401);
      t.match(body, /^\{"error":"invalid_signature","requestId":"[^"]+"\}$/);
    }
    const put = await ask('stripe', { method: 'PUT', body: '{}' });
    t.equal(put.status, 405);
    t.equal(put.headers.get('allow'), 'POST');
    const zipped = await ask('stripe', { ...delivery(id), headers: { 'content-encoding': 'gzip' } });
    t.match(await answerOf(zipped), { status: 415, body: /unsupported_encoding/ });
    t.match(await answerOf(await ask('stripe', delivery(id, 'x'.repeat(5_000)))), {
      status: 413,
      body: /too_large/,
    });
    t.match(await answerOf(await ask('nothing', delivery(id))), { status: 404, body: /not_found/ });
    const withoutSecret = await ask('github', delivery(id));
    t.equal(withoutSecret.status, 503);
    t.equal(withoutSecret.headers.get('retry-after'), '5');
    t.equal(withoutSecret.headers.get('cache-control'), 'no-store');

    const challenge = JSON.stringify({ type: 'url_verification', challenge: 'the-challenge' });
    const handshake = signDelivery(slack, {
      topic: 'it',
      now: new Date(),
      url: 'http://a/',
      body: challenge,
    });
    const headers = { ...handshake.headers, 'content-type': 'application/json' };
    const answer = await ask('slack', { method: 'POST', headers, body: challenge });
    t.match(await answerOf(answer), { status: 200, body: /the-challenge/ });
  });

  t.test(`${name}: a body without end is read to its limit`, async (t) => {
    const { ask } = await openHost(t, { env });
    // The connection of a 413 is closed: the client may see its end before the answer.
    const status = await ask('stripe', endlessBody().init).then(
      (response) => response.status,
      () => 413,
    );
    t.equal(status, 413);
  });

  t.test(`${name}: without a database the provider is asked to try again`, async (t) => {
    const DATABASE_URL = `postgres://nobody@127.0.0.1:${await freePort()}/none`;
    const { ask, logs } = await openHost(t, { env: { ...env, DATABASE_URL } });
    const answer = await ask('stripe', delivery(id));
    t.equal(answer.status, 503);
    t.equal(answer.headers.get('retry-after'), '5');
    t.match(await answer.text(), /"unavailable"/);
    await waitFor(() => logs.some(({ remedy }) => /DATABASE_URL/.test(String(remedy))), {
      what: 'the remedy',
    });
  });

  t.test(`${name}: a body that the host has read is a 500, and the log says what to do`, async (t) => {
    const { ask, logs } = await openHost(t, { env, readsBodies: true });
    const answer = await answerOf(await ask('stripe', delivery(`${id}_read`)));
    t.match(answer, { status: 500, body: /^\{"error":"body_already_read","requestId":"[^"]+"\}$/ });
    t.match(
      logs.find(({ level }) => level === 50),
      { source: 'stripe', remedy: /before every body parser/ },
    );
    t.same(await storedIds(`${id}_read`), []);
  });

  t.test(`${name}: close lets a delivery in flight be committed, and nothing stays behind`, async (t) => {
    const before = process.eventNames().map((event) => [event, process.listenerCount(event)]);
    const { ask, close, logs } = await openHost(t, { env });
    await waitFor(() => logs.some(({ msg }) => msg === 'ready'), { what: 'the database' });
    t.same(
      process.eventNames().map((event) => [event, process.listenerCount(event)]),
      before,
      'no signal, exception or exit is listened for',
    );
    await sql('BEGIN');
    await sql('LOCK TABLE webhook_events IN SHARE MODE');
    const answered = ask('stripe', delivery(`${id}_closing`)).then(answerOf);
    await waitFor(
      async () =>
        (await sql("SELECT FROM pg_locks WHERE NOT granted AND relation = 'webhook_events'::regclass"))
          .length,
      { what: 'the insert to wait' },
    );
    const closing = close();
    await sql('COMMIT');
    t.match(await answered, { status: 200 });
    await closing;
    t.same(await storedIds(`${id}_closing`), [`${id}_closing`]);
    const connections = `SELECT FROM pg_stat_activity
      WHERE datname = current_database() AND application_name = 'postbell web'`;
    await waitFor(async () => (await sql(connections)).length === 0, { what: 'its connections to end' });
    await close();
  });
}

t.test("a Fastify app's own routes keep their parser and errors", async (t) => {
  const { askOwn } = await openHosts['postbell/fastify']!(t, { env });
  t.same(await answerOf(await askOwn!('{"a":1}')), { status: 200, body: '{"own":{"a":1}}' });
  t.match(await answerOf(await askOwn!('{"a":')), { status: 400, body: /FST_ERR_CTP_INVALID_JSON_BODY/ });
});

t.test('postbell/fetch: a body that is too large is cancelled', async (t) => {
  const { ask } = await openHosts['postbell/fetch']!(t, { env });
  const { init, isCancelled } = endlessBody();
  t.equal((await ask('stripe', init)).status, 413);
  await waitFor(isCancelled, { what: 'the body to be cancelled' });
});
