// An hour on call, played by a real browser on a real web and worker: 500 dead letters are found, rehearsed, replayed; what a
// wrong secret kept out is promoted.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { BrowserContextOptions, Page } from 'playwright-core';
import t, { type Test } from 'tap';
import { providers, signDelivery } from '../../src/providers/index.ts';
import { startApp } from '../forward/app.ts';
import { createCli } from '../support/cli.ts';
import { createTestDatabase } from '../support/database.ts';
import { openSession } from '../support/inbox.ts';
import { startProcess } from '../support/processes.ts';
import { waitFor } from '../support/wait.ts';
import { openBrowser, openPage, password, signIn } from './browser.ts';

const browser = await openBrowser(t);
const secret = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw';

const handler = (library: string) => `import { defineHandler } from '${library}';
  export default [defineHandler({ provider: 'stripe', topic: '*', async handle({ event, tx }) {
    const { rows } = await tx.query('SELECT is_down FROM shop');
    if (rows[0].is_down) throw new Error('connect ECONNREFUSED of ' + event.id);
    await tx.query('INSERT INTO paid VALUES ($1)', [event.id]);
  } })];`;

/** A shop whose handler fails while `shop.is_down`, and an endpoint that gets the alerts. */
async function openShop(t: Test, webhookSecret: string) {
  const { url } = await createTestDatabase(t);
  const sql = await openSession(t, url);
  await sql('CREATE TABLE shop (is_down boolean); CREATE TABLE paid (id text PRIMARY KEY)');
  await sql('INSERT INTO shop VALUES (true)');
  const module = join(createCli(t).folder, 'handlers.mjs');
  writeFileSync(module, handler(new URL('../../src/index.ts', import.meta.url).href));
  const chat = await startApp(t);
  const env = {
    ...{ DATABASE_URL: url, OPS_PASSWORD: password, PORT: '0', HOST: '127.0.0.1' },
    ...{ MAX_ATTEMPTS: '1', RECONCILE_SECONDS: '1', ALERT_URL: chat.url, ALERT_INTERVAL_SECONDS: '1' },
    ...{ STRIPE_WEBHOOK_SECRET: webhookSecret, STRIPE_QUARANTINE_MB: '1', POSTBELL_HANDLERS: module },
  };
  const startWeb = async (settings: Record<string, string> = {}) => {
    const web = startProcess(t, ['web'], { env: { ...env, ...settings } });
    await web.waitForLog('ready');
    const { address } = await web.waitForLog((line) => line.msg === 'listening');
    const stop = () => {
      web.kill();
      return web.exited;
    };
    return { base: String(address), stop };
  };
  await startProcess(t, ['worker'], { env }).waitForLog('ready');
  const countOf = async (status: string) =>
    (await sql('SELECT count(*)::int AS n FROM webhook_events WHERE status = $1', [status]))[0]!.n;
  return {
    ...(await startWeb()),
    sql,
    startWeb,
    waitForStatus: (status: string, count: number) =>
      waitFor(async () => (await countOf(status)) === count, { what: `${count} events ${status}` }),
    waitToBeTold: (text: RegExp) =>
      waitFor(() => chat.received.some(({ body }) => text.test(String(body))), {
        what: `to be told ${text}`,
      }),
  };
}

const shop = await openShop(t, secret);
const { sql } = shop;

async function signedIn(
  t: Test,
  options: BrowserContextOptions = { viewport: { width: 1280, height: 860 } },
  base = shop.base,
): Promise<Page> {
  const page = await openPage(t, browser, options);
  await signIn(page, base);
  return page;
}

async function rehearse(page: Page, verdict: string): Promise<string> {
  await page.click('text=Rehearse…');
  await page.click('text=Rehearse all the same');
  await page.waitForSelector(`#rehearsal :text("${verdict}")`);
  return (await page.textContent('#rehearsal'))!;
}

t.test('an hour on call: alert, overview, event, rehearsal, replay of 500, all PROCESSED', async (t) => {
  await sql(`INSERT INTO webhook_events (source, provider, event_id, topic, payload, body_sha256)
    SELECT 'stripe', 'stripe', 'evt_' || n, 'invoice.paid', jsonb_build_object('id', 'evt_' || n), sha256(int8send(n))
    FROM generate_series(1, 500) n`);
  await shop.waitForStatus('FAILED', 500);
  await shop.waitToBeTold(/dead letters? of stripe, topic invoice.paid/);
  const page = await signedIn(t);
  t.equal((await page.textContent('h1'))?.trim(), '500 dead letters (stripe 500).');
  await page.click('text=Acknowledge');
  await page.waitForSelector('text=acknowledged by Ada');
  await page.click('h1 a');
  await page.click('text=See them');
  await page.waitForURL(/\/ops\/events/);
  // Shown by the script that listens for keys.
  await page.waitForSelector('#live');
  await page.keyboard.press('j');
  await page.keyboard.press('Enter');
  await page.waitForSelector('.timeline');
  t.match(await rehearse(page, 'would be FAILED at once'), 'ECONNREFUSED');
  await sql('UPDATE shop SET is_down = false');
  t.match(await rehearse(page, 'would be PROCESSED'), /paid1/);
  t.match(await sql('SELECT count(*)::int AS n FROM paid'), [{ n: 0 }], 'it was rolled back');
  await page.goto(`${shop.base}/ops/dead-letters`);
  await page.click('text=Replay these 500');
  await page.click('text=Replay 500 events');
  await page.waitForSelector('text=500 events are PENDING again');
  await shop.waitForStatus('PROCESSED', 500);
  t.match(await sql('SELECT count(*)::int AS n FROM paid'), [{ n: 500 }]);
  await shop.waitToBeTold(/resolved/i);
  await page.goto(`${shop.base}/ops`);
  t.equal((await page.textContent('h1'))?.trim(), 'All is well.');
  t.notMatch(await page.content(), 'Open alerts');
  t.match(await sql(`SELECT operator, done FROM operator_actions WHERE action = 'replay'`), [
    { operator: 'Ada', done: 500 },
  ]);
});

t.test('a wrong secret for ten minutes: told, kept, promoted, nothing is lost', async (t) => {
  const shop = await openShop(t, 'whsec_Qm5kQ9r8GKYqrTwjUPD8ILPZIo2LaSwM');
  await shop.sql('UPDATE shop SET is_down = false');
  const deliver = async (base: string) => {
    const url = `${base}/api/webhooks/stripe`;
    const source = { name: 'stripe', provider: providers.stripe, secrets: [secret] };
    const { headers, body } = signDelivery(source, { topic: 'invoice.paid', now: new Date(), url });
    return (await fetch(url, { method: 'POST', headers, body })).status;
  };
  for (let nth = 0; nth < 20; nth++) t.equal(await deliver(shop.base), 401);
  const counted = "UPDATE rejection_counts SET slot_at = slot_at - interval '15 minutes' RETURNING 1";
  await waitFor(async () => (await shop.sql(counted)).length > 0, { what: 'the rejections to be counted' });
  await shop.waitToBeTold(/rejected/);
  const page = await signedIn(t, {}, shop.base);
  await page.waitForSelector('h2:has-text("Open alerts")');
  await page.goto(`${shop.base}/ops/rejections`);
  await page.waitForSelector('text=Promote 20 requests');
  // A promotion before the secret is corrected loses nothing.
  await page.click('text=Promote 20 requests');
  await page.waitForSelector('text=20 requests stay');

  // A live page would tell of the restart.
  await page.goto('about:blank');
  await shop.stop();
  const { base } = await shop.startWeb({ STRIPE_WEBHOOK_SECRET: secret });
  await page.goto(`${base}/ops/rejections`);
  if (await page.isVisible('[name=password]')) await signIn(page, base);
  await page.goto(`${base}/ops/rejections`);
  await page.click('text=Promote 20 requests');
  await page.waitForSelector('text=20 of 20 requests left the quarantine');
  await shop.waitForStatus('PROCESSED', 20);
  t.match(await shop.sql('SELECT count(*)::int AS n FROM paid'), [{ n: 20 }]);
  t.equal(await deliver(base), 200);
  await shop.waitToBeTold(/resolved/i);
});

t.test('the page renews itself, but not while somebody types; what is open stays open', async (t) => {
  const page = await signedIn(t);
  await page.goto(`${shop.base}/ops/event?source=stripe&id=evt_1`);
  await page.click('summary:has-text("Raw")');
  await sql(`UPDATE webhook_events SET duplicates = 7 WHERE event_id = 'evt_1'`);
  await page.keyboard.press('r');
  await page.waitForSelector('text=7 further deliveries');
  t.equal(await page.locator('details:has(> summary:has-text("Raw"))').getAttribute('open'), '');
  await page.goto(`${shop.base}/ops/events`);
  await page.keyboard.press('/');
  await page.keyboard.type('r?j');
  t.equal(await page.inputValue('[name=source]'), 'r?j', 'keys are text while somebody types');
});

t.test('it works without JavaScript', async (t) => {
  const page = await signedIn(t, { javaScriptEnabled: false });
  await page.goto(`${shop.base}/ops/event?source=stripe&id=evt_2`);
  await page.click('text=Replay…');
  await page.click('text=Replay all the same');
  await page.waitForSelector('text=The event is PENDING');
});
