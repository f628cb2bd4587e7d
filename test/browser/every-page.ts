// Every page on a shop's day, in light and dark, on a desktop and a phone: no fault by axe, nothing wider than the screen.
// With PICTURES=<folder> it keeps pictures, as WebP; docs/images/ops is made so.
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Page } from 'playwright-core';
import t from 'tap';
import { createTestDatabase } from '../support/database.ts';
import { openSession } from '../support/inbox.ts';
import { startProcess } from '../support/processes.ts';
import { accessibilityFaults, isWithinScreen, openBrowser, openPage, password, signIn } from './browser.ts';
import { fillShopDay, shopSources, shown } from './shop-day.ts';

const pictures = process.env.PICTURES;
const quality = 72;

const eventPath = (key: { source: string; id: string }) => `/ops/event?${new URLSearchParams(key)}`;
const paths: Record<string, string> = {
  overview: '/ops',
  events: '/ops/events?since=24h',
  'no-events': '/ops/events?topic=customer.deleted',
  'event-dead': eventPath(shown.dead),
  'event-retrying': eventPath(shown.retrying),
  'event-processed': eventPath(shown.processed),
  rehearsal: `${eventPath(shown.rehearsed)}#rehearsal`,
  'dead-letters': '/ops/dead-letters',
  'no-dead-letters': '/ops/dead-letters?source=slack',
  replay: '/ops/replay?status=FAILED&source=stripe&topic=charge.refunded',
  'replay-processed': '/ops/replay?status=PROCESSED&source=slack',
  rejections: '/ops/rejections',
  requests: '/ops/requests',
  request: '/ops/request?id=9',
  actions: '/ops/actions',
  action: '/ops/action?id=4',
  missing: '/ops/none',
};

/** Those that have pictures; the others are variants. */
const pictured = new Set([
  ...['sign-in', 'overview', 'events', 'event-dead', 'event-retrying'],
  ...['rehearsal', 'dead-letters', 'replay', 'rejections', 'requests', 'request', 'actions'],
]);

const { url } = await createTestDatabase(t);
await fillShopDay(await openSession(t, url));
const browser = await openBrowser(t);
const web = startProcess(t, ['web'], {
  env: { ...shopSources, DATABASE_URL: url, OPS_PASSWORD: password, PORT: '0', HOST: '127.0.0.1' },
});
const { address } = await web.waitForLog((line) => line.msg === 'listening');
const base = String(address);

/** Chromium makes WebP by itself; playwright would make PNG, four times as large. */
async function keepPicture(page: Page, name: string, title: string): Promise<void> {
  if (!pictures || !pictured.has(name)) return;
  const session = await page.context().newCDPSession(page);
  const { data } = await session.send('Page.captureScreenshot', { format: 'webp', quality });
  mkdirSync(pictures, { recursive: true });
  writeFileSync(join(pictures, `${title}.webp`), Buffer.from(data, 'base64'));
}

const sizes = { desktop: { width: 1280, height: 860 }, phone: { width: 390, height: 844 } };
for (const [size, viewport] of Object.entries(sizes))
  for (const colorScheme of ['light', 'dark'] as const)
    t.test(`${size}, ${colorScheme}`, async (t) => {
      const page = await openPage(t, browser, { viewport, colorScheme });
      const look = async (name: string) => {
        const title = `${name}-${size}-${colorScheme}`;
        t.same(await accessibilityFaults(page), [], title);
        t.ok(await isWithinScreen(page), `${title}: width`);
        await keepPicture(page, name, title);
      };
      await page.goto(`${base}/ops/login`);
      await look('sign-in');
      await signIn(page, base);
      for (const [name, path] of Object.entries(paths)) {
        await page.goto(base + path);
        await look(name);
      }
    });
