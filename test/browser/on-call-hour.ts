// An hour on call, played by a real browser on a real web and worker: 500 dead letters are found, rehearsed, replayed.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { BrowserContextOptions, Page } from 'playwright-core';
import t, { type Test } from 'tap';
import { createCli } from '../support/cli.ts';
import { createTestDatabase } from '../support/database.ts';
import { openSession } from '../support/inbox.ts';
import { startProcess } from '../support/processes.ts';
import { waitFor } from '../support/wait.ts';
import { openBrowser, openPage, password, signIn } from './browser.ts';

const { url } = await createTestDatabase(t);
const sql = await openSession(t, url);
const browser = await openBrowser(t);

const handler = (library: string) => `import { defineHandler } from '${library}';
  export default [defineHandler({ provider: 'stripe', topic: '*', async handle({ event, tx }) {
    const { rows } = await tx.query('SELECT is_down FROM shop');
    if (rows[0].is_down) throw new Error('connect ECONNREFUSED of ' + event.id);
    await tx.query('INSERT INTO paid VALUES ($1)', [event.id]);
  } })];`;

async function openShop(t: Test) {
  await sql('CREATE TABLE shop (is_down boolean); CREATE TABLE paid (id text PRIMARY KEY)');
  await sql('INSERT INTO shop VALUES (true)');
  const cli = createCli(t);
  const module = join(cli.folder, 'handlers.mjs');
  writeFileSync(module, handler(new URL('../../src/index.ts', import.meta.url).href));
  const env = {
    ...{
      DATABASE_URL: url,
      OPS_PASSWORD: password,
      PORT: '0',
      HOST: '127.0.0.1',
      MAX_ATTEMPTS: '1',
      RECONCILE_SECONDS: '1',
    },
    ...{ STRIPE_WEBHOOK_SECRET: 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw', POSTBELL_HANDLERS: module },
  };
  const web = startProcess(t, ['web'], { env });
  await Promise.all([web.waitForLog('ready'), startProcess(t, ['worker'], { env }).waitForLog('ready')]);
  const { address } = await web.waitForLog((line) => line.msg === 'listening');
  return {
    base: String(address),
    rehearse: (id: string) => cli(['rehearse', id, '--yes', '--json'], { env }),
  };
}

const shop = await openShop(t);

async function signedIn(
  t: Test,
  options: BrowserContextOptions = { viewport: { width: 1280, height: 860 } },
): Promise<Page> {
  const page = await openPage(t, browser, options);
  await signIn(page, shop.base);
  return page;
}

t.test('an hour on call: overview, group, rehearsal, replay of 500, all PROCESSED', async (t) => {
  await sql(`INSERT INTO webhook_events (source, provider, event_id, topic, payload, body_sha256)
    SELECT 'stripe', 'stripe', 'evt_' || n, 'invoice.paid', jsonb_build_object('id', 'evt_' || n), sha256(int8send(n))
    FROM generate_series(1, 500) n`);
  const countOf = async (status: string) =>
    (await sql('SELECT count(*)::int AS n FROM webhook_events WHERE status = $1', [status]))[0]!.n;
  await waitFor(async () => (await countOf('FAILED')) === 500, { what: '500 dead letters' });
  const page = await signedIn(t);
  t.equal((await page.textContent('h1'))?.trim(), '500 dead letters (stripe 500).');
  await page.click('h1 a');
  await page.click('text=See them');
  await page.waitForURL(/\/ops\/events/);
  // Shown by the script that listens for keys.
  await page.waitForSelector('#live');
  await page.keyboard.press('j');
  await page.keyboard.press('Enter');
  await page.waitForSelector('.timeline');
  const id = (await page.textContent('h1'))!.trim();
  t.match((await shop.rehearse(id)).documents()[0], { outcome: 'failed', reason: /ECONNREFUSED/ });
  await sql('UPDATE shop SET is_down = false');
  t.match((await shop.rehearse(id)).documents()[0], {
    outcome: 'processed',
    tables: [{ table: 'paid', inserted: 1 }],
  });
  await page.goto(`${shop.base}/ops/dead-letters`);
  await page.click('text=Replay these 500');
  await page.click('text=Replay 500 events');
  await page.waitForSelector('text=500 events are PENDING again');
  await waitFor(async () => (await countOf('PROCESSED')) === 500, { what: 'the worker to process them' });
  t.match(await sql('SELECT count(*)::int AS n FROM paid'), [{ n: 500 }]);
  await page.goto(`${shop.base}/ops`);
  t.equal((await page.textContent('h1'))?.trim(), 'All is well.');
  t.match(await sql('SELECT operator, action, done FROM operator_actions'), [
    { operator: 'Ada', action: 'replay', done: 500 },
  ]);
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
