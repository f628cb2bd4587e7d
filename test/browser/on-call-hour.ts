// An hour on call, played by a real browser on a real web and worker: 500 dead letters are found, rehearsed, replayed. Then
// every page in light and dark, on a desktop and a phone: no fault by axe, nothing wider than the screen, no script of others.
// `npm run test:browser`; with PICTURES=<folder> it keeps a picture of each page.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import sparticuz from '@sparticuz/chromium';
import { chromium, type Page } from 'playwright-core';
import t, { type Test } from 'tap';
import { atEnd } from '../support/at-end.ts';
import { createCli } from '../support/cli.ts';
import { createTestDatabase } from '../support/database.ts';
import { openSession } from '../support/inbox.ts';
import { startProcess } from '../support/processes.ts';
import { waitFor } from '../support/wait.ts';

const password = 'sixteen-letters-of-ops';
const pictures = process.env.PICTURES;
const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const attack = '"><img src=x onerror=alert(1)><a hx-get="/x" hx-trigger="load">';

const { url } = await createTestDatabase(t);
const sql = await openSession(t, url);
const browser = await chromium.launch({
  args: ['--no-sandbox', '--no-zygote'],
  executablePath: await sparticuz.executablePath(),
  headless: true,
});
atEnd(t, () => browser.close());

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

/** A page in which a script of somebody else, an error or a warning fails the test. */
async function openPage(
  t: Test,
  options: Parameters<typeof browser.newContext>[0],
  base: string,
): Promise<Page> {
  const context = await browser.newContext(options);
  const page = await context.newPage();
  page.on('dialog', (dialog) => void dialog.dismiss().then(() => t.fail('a script of somebody else ran')));
  page.on('pageerror', (error) => t.fail(error.message));
  page.on('console', (message) => {
    const isExpected = message.location().url.endsWith('/ops/none');
    if (!isExpected && ['error', 'warning'].includes(message.type())) t.fail(message.text());
  });
  await page.goto(`${base}/ops`);
  await page.fill('[name=name]', 'Ada');
  await page.fill('[name=password]', password);
  await page.keyboard.press('Enter');
  await page.waitForSelector('header.top');
  return page;
}

const shop = await openShop(t);

t.test('an hour on call: overview, group, rehearsal, replay of 500, all PROCESSED', async (t) => {
  await sql(`INSERT INTO webhook_events (source, provider, event_id, topic, payload, body_sha256)
    SELECT 'stripe', 'stripe', 'evt_' || n, 'invoice.paid', jsonb_build_object('id', 'evt_' || n), sha256(int8send(n))
    FROM generate_series(1, 500) n`);
  const countOf = async (status: string) =>
    (await sql('SELECT count(*)::int AS n FROM webhook_events WHERE status = $1', [status]))[0]!.n;
  await waitFor(async () => (await countOf('FAILED')) === 500, { what: '500 dead letters' });
  const page = await openPage(t, { viewport: { width: 1280, height: 860 } }, shop.base);
  t.equal((await page.textContent('h1'))?.trim(), '500 dead letters (stripe 500).');
  await page.click('h1 a');
  await page.click('text=See them');
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
  const page = await openPage(t, { viewport: { width: 1280, height: 860 } }, shop.base);
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
  const page = await openPage(t, { javaScriptEnabled: false }, shop.base);
  await page.goto(`${shop.base}/ops/event?source=stripe&id=evt_2`);
  await page.click('text=Replay…');
  await page.click('text=Replay all the same');
  await page.waitForSelector('text=The event is PENDING');
});

t.test('every page, light and dark, desktop and phone: clean by axe, no wider than the screen', async (t) => {
  await sql(
    `INSERT INTO webhook_events (source, provider, event_id, topic, payload, status, last_error, entity, body_sha256)
     VALUES ('stripe', 'stripe', $1::text, $1::text, jsonb_build_object($1::text, $1::text), 'FAILED', $1::text, $1::text, sha256('x'))`,
    [attack],
  );
  await sql(
    `INSERT INTO rejected_requests (source, reason, detail, request_id, received_at, body_bytes)
    VALUES ('stripe', 'wrong_signature', $1, 'req_1', now(), 12)`,
    [attack],
  );
  const event = `/ops/event?${new URLSearchParams({ source: 'stripe', id: attack })}`;
  const paths: Record<string, string> = {
    ...{
      overview: '/ops',
      events: '/ops/events',
      event,
      'dead-letters': '/ops/dead-letters',
      rejections: '/ops/rejections',
      requests: '/ops/requests',
    },
    ...{
      actions: '/ops/actions',
      action: '/ops/action?id=1',
      replay: '/ops/replay?status=FAILED',
      missing: '/ops/none',
    },
  };
  const sizes = { desktop: { width: 1280, height: 860 }, phone: { width: 390, height: 844 } };
  for (const [size, viewport] of Object.entries(sizes))
    for (const colorScheme of ['light', 'dark'] as const) {
      const page = await openPage(t, { viewport, colorScheme }, shop.base);
      for (const [name, path] of Object.entries(paths)) {
        const title = `${name}-${size}-${colorScheme}`;
        await page.goto(shop.base + path).catch((error) => t.fail(`${title}: ${error.message}`));
        await page.evaluate(axe);
        const faults = await page.evaluate(async () => {
          // biome-ignore lint/suspicious/noExplicitAny: a global of the page
          const { violations } = await (globalThis as any).axe.run({ resultTypes: ['violations'] });
          return violations.map(
            (found: { id: string; nodes: unknown[] }) => `${found.id} (${found.nodes.length})`,
          );
        });
        t.same(faults, [], title);
        t.ok(await page.evaluate('document.documentElement.scrollWidth <= innerWidth'), `${title}: width`);
        if (pictures) {
          mkdirSync(pictures, { recursive: true });
          await page.screenshot({ path: join(pictures, `${title}.png`) });
        }
      }
      await page.context().close();
    }
});
