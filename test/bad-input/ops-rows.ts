// B57, B65 to B69, B73: the operators' page of a real web process. Its own tests are test/ops/ops.test.ts.
import type { Test } from 'tap';
import { createCli } from '../support/cli.ts';
import type { BadInput } from './rows.ts';
import type { Stage } from './stage.ts';

const password = 'an-ops-password-for-b65';
const form = { 'content-type': 'application/x-www-form-urlencoded' };
const basic = { authorization: `Basic ${Buffer.from(`ada:${password}`).toString('base64')}` };
const ours = { 'sec-fetch-site': 'same-origin' };

const pages = new WeakMap<Stage, ReturnType<Stage['newWeb']>>();

/** One web with the page, for all rows. */
async function asker(stage: Stage) {
  const web = pages.get(stage) ?? stage.newWeb({ OPS_PASSWORD: password });
  pages.set(stage, web);
  const { port } = await web;
  return (path: string, init: RequestInit = {}) =>
    fetch(`http://127.0.0.1:${port}${path}`, {
      redirect: 'manual',
      ...init,
      headers: { accept: 'text/html', ...init.headers },
    });
}

const signIn = (text: string, headers: Record<string, string>) => ({
  method: 'POST',
  headers: { ...form, ...ours, ...headers },
  body: new URLSearchParams({ password: text, name: 'ada' }).toString(),
});

async function storeMarkup(stage: Stage): Promise<string> {
  const id = `"><script>alert(1)</script>`;
  await stage.pool.query(
    `INSERT INTO webhook_events (source, provider, event_id, topic, payload, status, last_error, body_sha256)
     VALUES ($1::text, 'stripe', $1::text, $1::text, to_jsonb($1::text), 'FAILED', $1::text, sha256('b69')) ON CONFLICT DO NOTHING`,
    [id],
  );
  return id;
}

async function checkMarkup(t: Test, stage: Stage): Promise<void> {
  const ask = await asker(stage);
  const id = await storeMarkup(stage);
  const query = new URLSearchParams({ source: id, id });
  for (const path of [
    '/ops',
    '/ops/events',
    '/ops/dead-letters',
    `/ops/event?${query}`,
    `/ops/events?${query}`,
  ]) {
    const text = await (await ask(path, { headers: basic })).text();
    t.match(text, '&lt;script&gt;alert(1)', path);
    t.notMatch(text, '<script>', path);
  }
}

export const opsRows: readonly BadInput[] = [
  {
    id: 'B57',
    title: "X-Forwarded-Proto: http to the operators' page",
    check: async (t, stage) => {
      const ask = await asker(stage);
      const answer = await ask('/ops/login', signIn(password, { 'x-forwarded-proto': 'http' }));
      t.equal(answer.status, 303);
      t.match(answer.headers.get('set-cookie'), /; HttpOnly; SameSite=Lax; Secure$/);
    },
  },
  {
    id: 'B65',
    title: 'many wrong log-ins',
    check: async (t, stage) => {
      const ask = await asker(stage);
      const from = (address: string) => ({ 'x-forwarded-for': address });
      const statuses: number[] = [];
      for (let tries = 0; tries < 40; tries++)
        statuses.push((await ask('/ops/login', signIn(`wrong ${tries}`, from('203.0.113.1')))).status);
      t.same(statuses, [...Array(10).fill(401), ...Array(30).fill(429)]);
      t.equal((await ask('/ops/login', signIn(password, from('203.0.113.2')))).status, 303, 'from elsewhere');
    },
  },
  {
    id: 'B66',
    title: "an operators' password that is unset or short",
    check: async (t, stage) => {
      const none = await fetch(`http://127.0.0.1:${stage.port}/ops`, { redirect: 'manual' });
      t.equal(none.status, 404, 'unset: there is no page');
      const short = await createCli(t).inside(['web'], { env: { OPS_PASSWORD: 'short' } });
      t.match(short, { code: 78, stderr: /OPS_PASSWORD must have at least 16 characters/ });
    },
  },
  {
    id: 'B67',
    title: "forged posts to the operators' page",
    check: async (t, stage) => {
      const ask = await asker(stage);
      const id = await storeMarkup(stage);
      const path = `/ops/event?${new URLSearchParams({ source: id, id })}`;
      for (const headers of [{ 'sec-fetch-site': 'cross-site' }, { origin: 'https://evil.example' }])
        t.equal(
          (
            await ask(path, {
              method: 'POST',
              body: 'action=replay',
              headers: { ...form, ...basic, ...headers },
            })
          ).status,
          403,
        );
    },
  },
  {
    id: 'B68',
    title: 'the page in a frame',
    check: async (t, stage) => {
      const { headers } = await (await asker(stage))('/ops/login');
      t.match(headers.get('content-security-policy'), "frame-ancestors 'none'");
      t.equal(headers.get('x-frame-options'), 'DENY');
    },
  },
  { id: 'B69', title: 'markup in a page', check: checkMarkup },
  {
    id: 'B73',
    title: 'forged cursors',
    check: async (t, stage) => {
      const ask = await asker(stage);
      for (const after of [
        'x',
        "2026-01-01T00:00:00.000000Z ' OR 1=1 --",
        '2026-99-99T99:99:99.000000Z a b',
        '\0',
      ])
        t.equal(
          (await ask(`/ops/events?${new URLSearchParams({ after })}`, { headers: basic })).status,
          200,
          after,
        );
    },
  },
];
