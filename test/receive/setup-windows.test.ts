// Providers that hand their secret over: taken once, only while an operator waits, and readable by nobody else.
import t from 'tap';
import { createHandovers } from '../../src/http/secret-handover.ts';
import { providers, signDelivery } from '../../src/providers/index.ts';
import {
  createSecretHandover,
  openSetupWindow,
  readSetupWindow,
  setupTokenOf,
} from '../../src/receive/setup-windows.ts';
import { deliver } from '../../src/terminal/deliver.ts';
import { createCli } from '../support/cli.ts';
import { createTestDatabase } from '../support/database.ts';
import { captureLog, openInboxOn } from '../support/inbox.ts';
import { startProcess } from '../support/processes.ts';
import { waitFor } from '../support/wait.ts';

const { asana, notion } = providers;
const { url } = await createTestDatabase(t);
const { database, sql } = await openInboxOn(t, url);
const env = {
  DATABASE_URL: url,
  PORT: '0',
  HOST: '127.0.0.1',
  PUBLIC_URL: 'https://shop.example.com',
  POSTBELL_SOURCES: 'asana-eu=asana',
  ASANA_WEBHOOK_SECRET: '0123456789abcdef0123456789abcdef',
  WOOCOMMERCE_WEBHOOK_SECRET: 'woocommerce-0123456789',
};
const webUrl = await startWeb(env);
const cli = createCli(t, env);

async function startWeb(webEnv: Record<string, string>): Promise<string> {
  const web = startProcess(t, ['web'], { env: webEnv });
  const { address } = await web.waitForLog(({ msg }) => msg === 'listening');
  await web.waitForLog(({ msg }) => msg === 'ready');
  return String(address);
}

/** As the provider's first request, to one of our paths. */
const post = (path: string, headers: Record<string, string>, body = '') =>
  deliver({ method: 'POST', url: `${webUrl}/api/webhooks/${path}`, headers, body: Buffer.from(body) });
/** @param setup what follows the ? in the URL that the verb printed */
const offerNotion = (token: string, setup = 'x') =>
  post(
    `notion?setup=${setup}`,
    { 'content-type': 'application/json' },
    JSON.stringify({ verification_token: token }),
  );
const printedToken = (output: string) => /\?setup=([\w-]{22})\b/.exec(output)?.[1];

/** Web looks once a second: again until it has looked. */
async function offerUntil(offer: () => Promise<{ status: number }>, status: number): Promise<void> {
  const what = `an answer of ${status}`;
  await waitFor(async () => (await offer()).status === status, { what, intervalMs: 200 });
}

const windows = () => sql('SELECT source, sealed_secret FROM setup_windows');
const rowsOf = async () => {
  const [counts] = await sql(
    'SELECT (SELECT count(*) FROM webhook_events)::int AS events, (SELECT count(*) FROM pgboss.job)::int AS jobs',
  );
  return counts;
};

t.test('without a window nothing is taken, and the request is one like any other', async (t) => {
  const answer = await offerNotion('secret_0123456789abcdef');
  t.equal(answer.status, 503, 'no secret yet, so the source is not on');
  t.notMatch(answer.body, 'secret_');
  t.equal((await post('asana-eu', { 'x-hook-secret': 'fedcba9876543210fedcba9876543210' })).status, 503);
  const known = await post('asana', { 'x-hook-secret': 'fedcba9876543210fedcba9876543210' });
  t.equal(known.status, 401);
  t.same(await windows(), []);
  // One a second is recorded, of all sources together.
  const refused = await waitFor(
    async () => {
      await post('asana', { 'x-hook-secret': 'fedcba9876543210fedcba9876543210' });
      return (await sql(`SELECT source, detail FROM rejected_requests WHERE source = 'asana'`))[0];
    },
    { what: 'the recorded rejection', intervalMs: 300 },
  );
  t.match(refused, {
    source: 'asana',
    detail: /hands over a secret: run postbell setup asana first, and use the URL that it prints$/,
  });
  t.match((await cli.inside(['doctor', 'notion'])).stdout, /to get the secret, run: postbell setup notion/);
});

t.test('Notion: the verb waits, prints the secret once, and it verifies what comes then', async (t) => {
  const setup = startProcess(t, ['setup', 'notion', '--minutes', '5'], { env });
  await waitFor(() => setup.output().includes('now, at Notion'), { what: 'the window' });
  t.match(
    setup.output(),
    /subscription with https:\/\/shop\.example\.com\/api\/webhooks\/notion\?setup=[\w-]{22};/,
  );
  const setupToken = printedToken(setup.output());
  const token = 'secret_tMrlL1qK5vuQAh1b6cZGhFChZTSYJlce98V0pYn7yBl';
  await offerUntil(() => offerNotion(token, setupToken), 200);
  t.same(await setup.exited, { code: 0, signal: null });
  t.match(setup.output(), new RegExp(`^NOTION_WEBHOOK_SECRET=${token}$`, 'm'));
  t.same(await windows(), [], 'and nothing of it stays');
  t.equal((await offerNotion(token, setupToken)).status, 503, 'the window is shut again');
  t.same(await rowsOf(), { events: 0, jobs: 0 });

  const line = /^NOTION_WEBHOOK_SECRET=(.*)$/m.exec(setup.output())?.[1] ?? '';
  const address = await startWeb({ ...env, NOTION_WEBHOOK_SECRET: line });
  const source = { name: 'notion', provider: notion, secrets: [token] };
  const request = signDelivery(source, {
    topic: 'page.created',
    now: new Date(),
    url: `${address}/api/webhooks/notion`,
  });
  t.equal((await deliver(request)).status, 200);
});

t.test('Asana: a further secret of a source that is on, echoed in its header', async (t) => {
  const setup = cli.inside(['setup', 'asana', '--json']);
  const secret = 'b537207f20cbfa02357cf448134da559e8bd39d61597dcd5631b8012eae53e81';
  const headers = { 'x-hook-secret': secret };
  const answer = await waitFor(
    async () => {
      // Beside the printed URL, the token can be had by who reads the database.
      const [row] = await sql('SELECT public_key FROM setup_windows');
      if (!row) return undefined;
      const setupToken = setupTokenOf({ publicKey: String(row.public_key) });
      const url = `${webUrl}/webhooks/asana?setup=${setupToken}`;
      const response = await fetch(url, { method: 'POST', headers });
      return response.status === 200 ? response : undefined;
    },
    { what: 'the echo', intervalMs: 200 },
  );
  t.equal(answer.headers.get('x-hook-secret'), secret);
  t.equal(await answer.text(), '');
  const printed = await setup;
  t.match(printed, { code: 0, stderr: /now, at Asana: POST .* target=https:\/\/shop\.example\.com/ });
  t.same(printed.documents(), [{ source: 'asana', variable: 'ASANA_WEBHOOK_SECRET', secret }]);
});

t.test(
  'a flood of forged hand-overs does not keep the genuine one out, and none of them is taken',
  async (t) => {
    const window = await openSetupWindow(database, 'notion', 5);
    const genuine = 'secret_genuine_0123456789';
    let isOver = false;
    const answers: number[] = [];
    const flood = async (setup: string) => {
      while (!isOver) answers.push((await offerNotion('secret_forged_0123456789', setup)).status);
    };
    const flooding = Promise.all(['', 'x', 'A'.repeat(22), 'x'].map(flood));
    await waitFor(() => answers.length > 200, { what: 'a flood' });
    // Web may have looked just before the window was opened: then within a second, whatever comes in between.
    await offerUntil(() => offerNotion(genuine, setupTokenOf(window)), 200);
    isOver = true;
    await flooding;
    t.same(new Set(answers), new Set([503]));
    t.same(await readSetupWindow(database, window), { state: 'handed over', secret: genuine });
    await sql('DELETE FROM setup_windows');
  },
);

t.test('one secret a window, sealed for the command that waits', async (t) => {
  const window = await openSetupWindow(database, 'notion', 5);
  t.same(await readSetupWindow(database, window), { state: 'open' });
  await offerUntil(() => offerNotion('secret_first_0123456789', setupTokenOf(window)), 200);
  const [row] = await windows();
  t.notMatch(String(row?.sealed_secret), 'secret_first');
  const desk = createSecretHandover(database, captureLog().log);
  t.equal(
    await desk.accept('notion', 'secret_second_0123456789', setupTokenOf(window)),
    false,
    'the second is refused',
  );
  t.same(await readSetupWindow(database, window), {
    state: 'handed over',
    secret: 'secret_first_0123456789',
  });
  await openSetupWindow(database, 'notion', 5);
  t.same(await readSetupWindow(database, window), { state: 'replaced' });
  await sql('DELETE FROM setup_windows');
});

t.test('what is no secret, or no request of that kind, is not even looked up', async (t) => {
  const offered: string[] = [];
  const accept = async (_source: string, secret: string) => offered.push(secret) > 0;
  const waiting = new Map(Object.entries({ notion, asana }));
  const answerHandover = createHandovers({ sources: new Map(), waiting, secretHandover: { accept } });
  const offer = (source: string, body: object, headers = {}, method = 'POST') =>
    answerHandover(source, {
      ...{ method, url: '/?setup=token', headers, receivedAt: new Date() },
      body: Buffer.from(JSON.stringify(body)),
    });
  const verification_token = 'secret_0123456789abcdef';
  // The operator sources the line that the verb prints.
  const injections = [
    '$(touch /tmp/owned)',
    '`id`',
    ';id;',
    '&id&',
    '|id',
    "'",
    '"',
    '\\',
    '#',
    '~',
    '*',
    '!',
    '<x',
    '{a..z}',
  ].map((text) => `secret_0123456789${text}`);
  for (const odd of ['short', 'with,comma_0123456789abcdef', 'with blank 0123456789', ...injections, 7, null])
    t.equal(offer('notion', { verification_token: odd }), undefined, String(odd));
  t.equal(offer('notion', { verification_token, type: 'page.created' }), undefined, 'an event');
  t.equal(offer('notion', { verification_token }, { 'x-notion-signature': ['x'] }), undefined, 'signed');
  t.equal(offer('notion', { verification_token }, {}, 'GET'), undefined);
  t.equal(offer('stripe', { verification_token }), undefined);
  const secret = 'b537207f20cbfa02357cf448134da559';
  t.equal(offer('asana', {}, { 'x-hook-secret': [secret, secret] }), undefined, 'twice');
  t.equal(offer('asana', {}, { 'x-hook-secret': ['b537207f20cbfa02\r\nset-cookie: a=1'] }), undefined);
  t.match(await offer('asana', {}, { 'x-hook-secret': [secret] }), { headers: { 'x-hook-secret': secret } });
  t.match(await offer('notion', { verification_token }), { status: 200, body: '' });
  t.same(offered, [secret, verification_token]);
});

t.test('time over, and interrupted: the window is closed and nothing is printed', async (t) => {
  const late = cli.inside(['setup', 'asana-eu']);
  const shut = 'UPDATE setup_windows SET expires_at = now() RETURNING source';
  await waitFor(async () => (await sql(shut)).length === 1, { what: 'the window' });
  t.match(await late, { code: 1, stdout: '', stderr: /no secret arrived: check that web uses this/ });
  const stopped = startProcess(t, ['setup', 'asana-eu'], { env, mayFail: true });
  await waitFor(() => stopped.output().includes('open for asana-eu'), { what: 'the window' });
  stopped.kill('SIGINT');
  t.equal((await stopped.exited).code, 130);
  t.same(await windows(), []);
});

t.test('who gives no secret away, and who is no source, is told', async (t) => {
  t.match(await cli.inside(['setup', 'stripe']), {
    code: 1,
    stderr: /Stripe does not send its secret; .*Dashboard/,
  });
  t.match(await cli.inside(['setup', 'notoin']), {
    code: 1,
    stderr: /no source "notoin"; did you mean notion/,
  });
});

t.test(
  'a flood of set-up requests costs one statement a second, and a failing database no crash',
  async (t) => {
    let statements = 0;
    let taken = false;
    const { log } = captureLog();
    const query = async () => {
      statements++;
      return { rows: [], rowCount: 0, command: '' };
    };
    const desk = createSecretHandover({ query }, log);
    const startedAt = performance.now();
    await waitFor(
      async () => {
        for (let i = 0; i < 500; i++)
          taken ||= await desk.accept('notion', 'secret_0123456789abcdef', 'forged');
        return statements === 3;
      },
      { what: 'three looks' },
    );
    t.ok(performance.now() - startedAt >= 2_000);
    t.equal(taken, false);
    const failing = createSecretHandover({ query: () => Promise.reject(new Error('gone')) }, log);
    t.equal(await failing.accept('notion', 'secret_0123456789abcdef', 'forged'), false);
  },
);

t.test("WooCommerce's unsigned ping is answered and never stored", async (t) => {
  const before = await rowsOf();
  const form = { 'content-type': 'application/x-www-form-urlencoded' };
  t.match(await post('woocommerce', form, 'webhook_id=7'), { status: 200, body: '' });
  t.equal((await post('woocommerce', form, 'webhook_id=7&x=1')).status, 401);
  t.same(await rowsOf(), before);
});
