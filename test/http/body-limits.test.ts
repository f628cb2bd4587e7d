// Bodies larger than most: read where the provider sends such, refused and told to the operator elsewhere.
import { once } from 'node:events';
import { connect } from 'node:net';
import t from 'tap';
import { providers, signDelivery } from '../../src/providers/index.ts';
import { makeSource } from '../providers/deliveries.ts';
import { createCli } from '../support/cli.ts';
import { createTestDatabase } from '../support/database.ts';
import { openSession } from '../support/inbox.ts';
import { startProcess } from '../support/processes.ts';
import { openRoute } from '../support/route.ts';
import { waitFor } from '../support/wait.ts';

const mebibyte = 1_048_576;
const { github, meta, postmark, stripe } = providers;
const secret = 'a-secret-of-the-limits-0001';
const stripeSecret = 'whsec_of_the_limits_test_0001';
const sources = [makeSource(github, secret), makeSource(meta, secret), makeSource(stripe, stripeSecret)];
const postmarkSource = makeSource(postmark, 'postmark:a-secret-of-the-limits');

/** Of that many bytes as a whole. */
function signed(source: (typeof sources)[number], topic: string, bytes: number) {
  const empty = JSON.stringify({ id: 'evt_large', pad: '' });
  const body = JSON.stringify({ id: 'evt_large', pad: 'x'.repeat(bytes - empty.length) });
  return signDelivery(source, { topic, now: new Date(), url: `http://a/webhooks/${source.name}`, body });
}

/** As GitHub sends it: many small values, which Postgres has to parse one by one. */
function largePush(bytes: number) {
  const commit = {
    id: '59b20b8d5c6ff8d09518454d4dd8b7b30f095ab5',
    message: 'Ring',
    distinct: true,
    added: ['a', 'b'],
  };
  const count = Math.floor((bytes - 100) / (JSON.stringify(commit).length + 1));
  const body = JSON.stringify({ ref: 'refs/heads/main', commits: Array(count).fill(commit) });
  return signDelivery(sources[0]!, { topic: 'push', now: new Date(), url: 'http://a/webhooks/github', body });
}

/** The answer to a head that declares so many bytes, none of which is sent. */
async function declare(address: string, name: string, bytes: number): Promise<string> {
  const socket = connect({ port: Number(new URL(address).port), host: '127.0.0.1' });
  socket
    .setEncoding('latin1')
    .write(`POST /webhooks/${name} HTTP/1.1\r\nHost: a\r\nContent-Length: ${bytes}\r\n\r\n`);
  const [answer] = (await once(socket, 'data')) as [string];
  socket.destroy();
  return answer;
}

t.test('each provider may send as much as it does send, and no more', async (t) => {
  const { post, accepted, address } = openRoute(t, ...sources, postmarkSource);
  const sent = [
    [sources[0]!, 'push', 25 * mebibyte],
    [sources[1]!, 'messages', 3 * mebibyte],
    [sources[2]!, 'invoice.paid', mebibyte],
    [postmarkSource, 'Inbound', 2 * mebibyte],
  ] as const;
  for (const [index, [source, topic, bytes]] of sent.entries()) {
    t.equal((await post(signed(source, topic, bytes))).status, 200, `${source.name}: ${bytes}`);
    t.equal(accepted(), index + 1);
  }
  for (const [name, mebibytes] of Object.entries({ github: 25, meta: 3, stripe: 1, postmark: 48 }))
    t.match(
      await declare(await address, name, mebibytes * mebibyte + 1),
      /^HTTP\/1\.1 413[\s\S]*"error":"too_large"/,
      name,
    );
  t.equal(accepted(), sent.length);
});

t.test('what all unfinished bodies hold is bounded as before', async (t) => {
  const { address, post } = openRoute(t, ...sources);
  const { port } = new URL(await address);
  const attackers = 6;
  const answers: string[] = [];
  const sockets = [];
  for (let n = 0; n < attackers; n++) {
    const socket = connect({ port: Number(port), host: '127.0.0.1' });
    socket.setEncoding('latin1').on('error', () => {}); // `close` follows
    socket.on('data', (text: string) => {
      answers[n] = (answers[n] ?? '') + text;
    });
    const bytes = 25 * mebibyte;
    socket.write(`POST /webhooks/github HTTP/1.1\r\nHost: a\r\nContent-Length: ${bytes}\r\n\r\n`);
    await new Promise((written) => socket.write(Buffer.alloc(bytes - 1, 'x'), written));
    sockets.push(socket);
  }
  const givenUp = () => answers.filter((text) => text?.startsWith('HTTP/1.1 408')).length;
  await waitFor(() => givenUp() >= attackers - 2, { what: 'all but two to be given up' });
  t.equal((await post(signed(sources[2]!, 'invoice.paid', 1_000))).status, 200, 'a small one is served');
  t.equal(givenUp(), attackers - 2);
  for (const socket of sockets) socket.destroy();
  await Promise.all(sockets.map((socket) => socket.closed || once(socket, 'close')));
});

t.test('web stores a large body whole; doctor warns of one that was too large', async (t) => {
  const { url } = await createTestDatabase(t);
  const sql = await openSession(t, url);
  const env = {
    DATABASE_URL: url,
    GITHUB_WEBHOOK_SECRET: secret,
    STRIPE_WEBHOOK_SECRET: stripeSecret,
    METRICS_TOKEN: 'token-of-the-limits',
  };
  const web = startProcess(t, ['web'], { env: { ...env, PORT: '0', HOST: '127.0.0.1' } });
  const { address } = await web.waitForLog(({ msg }) => msg === 'listening');
  await web.waitForLog(({ msg }) => msg === 'ready');
  const send = ({ headers, body }: ReturnType<typeof signed>, name: string) =>
    fetch(`${address}/api/webhooks/${name}`, { method: 'POST', headers, body: new Uint8Array(body) });
  const push = largePush(24 * mebibyte);
  // A machine that is busy may be too slow for a first try; it must not be too slow for ever.
  const tries = await waitFor(
    async () => ((await send(push, 'github')).status === 200 ? 'stored' : undefined),
    { what: 'the push to be stored', timeoutMs: 120_000 },
  );
  t.equal(tries, 'stored');
  t.match(await sql('SELECT length(payload::text) > 20000000 AS whole FROM webhook_events'), [
    { whole: true },
  ]);

  const cli = createCli(t, env);
  const check = await waitFor(
    async () => {
      t.equal((await send(signed(sources[2]!, 'invoice.paid', 2 * mebibyte), 'stripe')).status, 413);
      const { documents } = await cli.inside(['doctor', '--json']);
      const [{ checks }] = documents() as unknown as [{ checks: { check: string }[] }];
      return checks.find((found) => found.check === 'rejected stripe');
    },
    { what: 'what doctor says', intervalMs: 300 },
  );
  t.match(check, {
    status: 'warn',
    message: /too_large \(1048576 bytes are allowed\)/,
    remedy: /raise BODY_LIMIT_BYTES, restart web, and let the provider send the delivery again \(by API/,
  });
  const metrics = await fetch(`${address}/metrics`, {
    headers: { authorization: 'Bearer token-of-the-limits' },
  });
  t.match(await metrics.text(), /postbell_requests_total\{source="stripe",outcome="too_large"\} [1-9]/);
  t.equal(
    (
      await sql(
        `SELECT count(*)::int AS n FROM rejected_requests WHERE reason = 'too_large' AND body_bytes > 2000000`,
      )
    )[0]?.n !== 0,
    true,
    'with the length that was declared',
  );
});
