// Finds a Chromium that runs here, and opens pages in it: signed in, and failing the test at whatever must not happen.
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import sparticuz from '@sparticuz/chromium';
import { type Browser, type BrowserContextOptions, chromium, type Page } from 'playwright-core';
import type { Test } from 'tap';
import { atEnd } from '../support/at-end.ts';

export const password = 'sixteen-letters-of-ops';
const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

/** Closed when `t` ends. */
export async function openBrowser(t: Test): Promise<Browser> {
  const browser = await chromium.launch({
    args: ['--no-sandbox', '--no-zygote'],
    executablePath: await findChromium(),
    headless: true,
  });
  atEnd(t, () => browser.close());
  return browser;
}

/** @throws Error with what to do, if none runs */
async function findChromium(): Promise<string> {
  const given = process.env.CHROMIUM;
  const candidates = given
    ? [given]
    : [
        // Fails where npm has no Chromium for this machine.
        await sparticuz.executablePath().catch(() => undefined),
        ...['chromium', 'chromium-browser', 'google-chrome'],
        '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome',
      ];
  const problems: string[] = [];
  for (const candidate of candidates) {
    if (candidate === undefined) continue;
    try {
      execFileSync(candidate, ['--version'], { stdio: ['ignore', 'ignore', 'pipe'] });
      return candidate.includes('/') ? candidate : whichOf(candidate);
    } catch (error) {
      problems.push(`${candidate}: ${(error as { stderr?: Buffer }).stderr?.toString().trim() || error}`);
    }
  }
  throw new Error(
    `no Chromium runs here: install one (apt-get install chromium), or set CHROMIUM to the path of one\n${problems.join('\n')}`,
  );
}

const whichOf = (name: string) =>
  execFileSync('sh', ['-c', 'command -v "$0"', name], { encoding: 'utf8' }).trim();

/** A page in which a script of somebody else, an error or a warning fails the test. Nobody is signed in. Closed when `t` ends. */
export async function openPage(t: Test, browser: Browser, options: BrowserContextOptions): Promise<Page> {
  const context = await browser.newContext(options);
  atEnd(t, () => context.close());
  const page = await context.newPage();
  page.on('dialog', (dialog) => void dialog.dismiss().then(() => t.fail('a script of somebody else ran')));
  page.on('pageerror', (error) => t.fail(error.message));
  page.on('console', (message) => {
    // Addresses of the tests that lead nowhere.
    const isExpected = /\/ops\/(none|request\?source=)/.test(message.location().url);
    if (!isExpected && ['error', 'warning'].includes(message.type())) t.fail(message.text());
  });
  return page;
}

export async function signIn(page: Page, base: string): Promise<void> {
  await page.goto(`${base}/ops`);
  await page.fill('[name=name]', 'Ada');
  await page.fill('[name=password]', password);
  await page.keyboard.press('Enter');
  await page.waitForSelector('header.top');
}

/** The faults that axe finds; the page's policy does not hold for scripts that playwright brings. */
export async function accessibilityFaults(page: Page): Promise<string[]> {
  await page.evaluate(axe);
  return page.evaluate(async () => {
    // biome-ignore lint/suspicious/noExplicitAny: a global of the page
    const { violations } = await (globalThis as any).axe.run({ resultTypes: ['violations'] });
    return violations.map(
      (found: { id: string; nodes: { target: unknown }[] }) =>
        `${found.id} (${found.nodes.length}, first ${found.nodes[0]?.target})`,
    );
  });
}

export const isWithinScreen = (page: Page): Promise<boolean> =>
  page.evaluate('document.documentElement.scrollWidth <= innerWidth');
