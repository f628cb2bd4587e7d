// Names without a secret: 404 ends webhooks at some providers, so it is for names alone that never were a source.
import t from 'tap';
import { createCli } from '../support/cli.ts';
import { createTestDatabase } from '../support/database.ts';
import { newEvent, openInboxOn, openSession, storeEvents } from '../support/inbox.ts';
import { startProcess } from '../support/processes.ts';
import { waitFor } from '../support/wait.ts';

const { url } = await createTestDatabase(t);
const sql = await openSession(t, url);
const inbox = await openInboxOn(t, url);
await storeEvents(inbox, [newEvent({ source: 'old-shop', provider: 'shopify' }), newEvent()]);
await sql(`INSERT INTO tombstones (source, event_id) VALUES ('purged-shop', 'evt_1')`);
const env = {
  DATABASE_URL: url,
  PORT: '0',
  HOST: '127.0.0.1',
  METRICS_TOKEN: 'metrics-token-of-this-test',
  POSTBELL_SOURCES: 'stripe-eu=stripe',
  GITHUB_WEBHOOK_SECRET: 'github-secret-0123456789',
};
const web = startProcess(t, ['web'], { env });
const { address } = await web.waitForLog(({ msg }) => msg === 'listening');
await web.waitForLog(({ msg }) => msg === 'ready');
const cli = createCli(t, env);

const knock = (name: string, init: RequestInit = { method: 'POST', body: '{}' }, base = address) =>
  fetch(`${base}/api/webhooks/${name}`, init);

/** A provider, a declared source, one with stored events, one of whose events only the ids are left. */
const known = ['typeform', 'stripe-eu', 'old-shop', 'purged-shop', 'generic', 'notion'];

t.test('a name that is known and has no secret is asked to try again', async (t) => {
  for (const name of known) {
    const answer = await knock(name);
    t.equal(answer.status, 503, name);
    t.equal(answer.headers.get('retry-after'), '5', name);
    t.match(await answer.json(), { error: 'unavailable', requestId: String }, name);
    t.equal((await knock(name, { method: 'GET' })).status, 503, `GET ${name}`);
    t.equal((await fetch(`${address}/webhooks/${name}`, { method: 'POST' })).status, 503, 'the alias, too');
  }
});

t.test('a name that never was a source is not found', async (t) => {
  for (const name of ['typoform', 'old-shop-2', 'constructor', '__proto__', 'x'.repeat(64)])
    t.equal((await knock(name)).status, 404, name);
});

t.test('it is counted by its name, and doctor tells that it rings', async (t) => {
  const check = (name: string) =>
    waitFor(
      async () => {
        await knock(name);
        const { documents } = await cli.inside(['doctor', '--json']);
        const [{ checks }] = documents() as unknown as [{ checks: { check: string }[] }];
        return checks.find((found) => found.check === `rejected ${name}`);
      },
      { what: `what doctor says of ${name}`, intervalMs: 300 },
    );
  t.match(await check('typeform'), {
    status: 'warn',
    message: /^typeform sends deliveries, but has no secret: /,
    remedy: /set TYPEFORM_WEBHOOK_SECRET/,
  });
  t.match(await check('old-shop'), { status: 'warn', remedy: /POSTBELL_SOURCES=old-shop=<provider>/ });
  t.match(await check('notion'), { remedy: /postbell setup notion/ });
  const metrics = await fetch(`${address}/metrics`, {
    headers: { authorization: `Bearer ${env.METRICS_TOKEN}` },
  });
  const text = await metrics.text();
  t.match(text, /postbell_requests_total\{source="typeform",outcome="no_secret"\} \d/);
  t.match(text, /postbell_requests_total\{source="unknown",outcome="not_found"\} \d/);
  t.notMatch(text, /typoform/, 'a caller adds no label of its own');
});

t.test('a flood of names and requests is no flood of statements', async (t) => {
  const tally = async () =>
    Number((await sql('SELECT coalesce(max(id), 0)::int AS last FROM rejected_requests'))[0]?.last);
  const before = await tally();
  const startedAt = performance.now();
  for (let n = 0; n < 300; n++) {
    const { status } = await knock(n % 2 === 0 ? 'typeform' : `nobody-${n}`);
    if (status !== (n % 2 === 0 ? 503 : 404)) t.fail(`${n}: ${status}`);
  }
  const seconds = (performance.now() - startedAt) / 1_000;
  t.ok((await tally()) - before <= seconds + 2, 'at most one row a second');
  const [reads] = await sql(
    `SELECT count(*)::int AS n FROM rejected_requests WHERE source LIKE 'nobody%' OR source = 'unknown'`,
  );
  t.equal(reads?.n, 0, 'and none for a name that never was');
});

t.test('requests without a secret are counted by the names of sources alone', async (t) => {
  web.kill('SIGTERM');
  await web.exited;
  const rows = await sql(
    'SELECT source, reason, sum(rejected)::int AS n FROM rejection_counts GROUP BY 1, 2',
  );
  t.same(rows.map(({ source }) => source).sort(), [...known].sort());
  t.ok(rows.every(({ reason, n }) => reason === 'no_secret' && (n as number) > 0));
  t.ok((rows.find(({ source }) => source === 'typeform')!.n as number) >= 150, 'each of a flood');
});

t.test('while nobody can say which names have events, none is told that it never was', async (t) => {
  const lost = startProcess(t, ['web'], {
    env: { ...env, DATABASE_URL: 'postgres://postgres@127.0.0.1:1/nothing' },
  });
  const listening = await lost.waitForLog(({ msg }) => msg === 'listening');
  for (const name of ['old-shop', 'typoform', 'typeform'])
    t.equal((await knock(name, undefined, listening.address)).status, 503, name);
});
