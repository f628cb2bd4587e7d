// 200 hostile texts on every page, in a real browser: no script of somebody else runs, nothing is asked for elsewhere, and each
// page is whole. The page's policy would stop such a script; here already the attempt fails the test, since Chromium tells of it.
import t from 'tap';
import { hostileQueries, storeHostileRows } from '../ops/hostile.ts';
import { createTestDatabase } from '../support/database.ts';
import { openSession } from '../support/inbox.ts';
import { startProcess } from '../support/processes.ts';
import { isWithinScreen, openBrowser, openPage, password, signIn } from './browser.ts';
import { shopSources } from './shop-day.ts';

const { url } = await createTestDatabase(t);
const rowPages = await storeHostileRows(await openSession(t, url));
const browser = await openBrowser(t);
const web = startProcess(t, ['web'], {
  env: { ...shopSources, DATABASE_URL: url, OPS_PASSWORD: password, PORT: '0', HOST: '127.0.0.1' },
});
const base = String((await web.waitForLog((line) => line.msg === 'listening')).address);

const lists = [
  '/ops',
  '/ops/events',
  '/ops/events?status=FAILED',
  '/ops/dead-letters',
  '/ops/rejections',
  '/ops/requests',
  '/ops/actions',
  '/ops/action?id=201',
  '/ops/replay?status=FAILED',
];
/** Names the elements that are wider than the screen. */
const tooWide = `[...document.querySelectorAll('body *')].filter((one) => one.getBoundingClientRect().right + scrollX > 391)
  .map((one) => one.tagName + '.' + one.className + ' ' + one.scrollWidth + ' ' + one.textContent.slice(0, 60)).slice(0, 5).join(' | ')`;
/** A page that is whole: no text has ended an element of ours, or begun one. */
const wholePage = `document.querySelectorAll('body > header.top, body > main, body > dialog').length === 3
  && document.querySelectorAll('script, img, iframe, style, base, object, embed').length === 2
  && document.title.endsWith(' · Postbell')`;

t.test('no script of somebody else runs, and each page is whole', async (t) => {
  const page = await openPage(t, browser, { viewport: { width: 390, height: 844 } });
  page.on('request', (request) => {
    if (!request.url().startsWith(`${base}/ops`)) t.fail(`asked for ${request.url()}`);
  });
  await signIn(page, base);
  t.equal(rowPages.length, 400, 'events and captured requests');
  for (const path of [...lists, ...rowPages, ...hostileQueries]) {
    await page.goto(base + path);
    if (!/^\/ops\/(login|none)\b/.test(path) && !(await page.evaluate(wholePage)))
      t.fail(`not whole: ${path}`);
    if (!(await isWithinScreen(page))) t.fail(`wider than a phone: ${path}: ${await page.evaluate(tooWide)}`);
  }
});

t.test('what htmx brings when a page renews itself is as harmless', async (t) => {
  const page = await openPage(t, browser, { viewport: { width: 1280, height: 860 } });
  await signIn(page, base);
  for (const path of ['/ops', '/ops/dead-letters', ...rowPages.slice(0, 20)]) {
    await page.goto(base + path);
    const renewed = page.waitForResponse((response) => response.request().headers()['hx-request'] === 'true');
    await page.keyboard.press('r');
    await renewed;
    if (!(await page.evaluate(wholePage))) t.fail(`not whole: ${path}`);
  }
});
