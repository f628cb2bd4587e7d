// The Procfile's own lines, on the repository as a platform builds it: a shop's day must come out as in the demo.
import { readFileSync } from 'node:fs';
import path from 'node:path';
import t from 'tap';
import { makeBooks, unbalancedLines } from '../../src/demo/books.ts';
import { createClient } from '../../src/demo/client.ts';
import { playDay } from '../../src/demo/day.ts';
import { countUnfinished, readEventFigures } from '../../src/demo/event-queries.ts';
import { expectedShop } from '../../src/demo/expected-shop.ts';
import { createJournal } from '../../src/demo/journal.ts';
import { createPatience } from '../../src/demo/patience.ts';
import { readRejections } from '../../src/demo/rejections.ts';
import { readShopFigures } from '../../src/demo/shop-queries.ts';
import { providers } from '../../src/providers/index.ts';
import { parseSources } from '../../src/providers/sources.ts';
import { createTestDatabase } from '../support/database.ts';
import { openPool } from '../support/inbox.ts';
import { runProcess, startProcess } from '../support/processes.ts';
import { deployRepository, productionEnvironment, shell } from './deployment.ts';

const dayLimitMs = 120_000;
const metricsToken = 'token-of-the-deployment';

const { url } = await createTestDatabase(t, { migrated: false });
const folder = await deployRepository(t);
const secrets = Object.fromEntries(
  (['stripe', 'shopify', 'fedex'] as const).map((name) => [
    `${name.toUpperCase()}_WEBHOOK_SECRET`,
    providers[name].secret.generate().secret,
  ]),
);
const env = {
  ...productionEnvironment(),
  ...secrets,
  DATABASE_URL: url,
  HOST: '127.0.0.1',
  PORT: '0',
  METRICS_TOKEN: metricsToken,
  // Fast where production is patient.
  RETRY_DELAY_SECONDS: '1',
  RETRY_DELAY_MAX_SECONDS: '1',
  POLL_SECONDS: '1',
  SUPERVISE_SECONDS: '1',
};
const lines = new Map(
  readFileSync(path.join(folder, 'Procfile'), 'utf8')
    .split('\n')
    .flatMap((line) => {
      const [, name, command] = /^(\w+): (.+)$/.exec(line) ?? [];
      return name && command ? [[name, command] as const] : [];
    }),
);

const processOf = (name: string) =>
  shell(lines.get(name) ?? `the Procfile has no ${name}`, { cwd: folder, env });

t.test('release, web and worker: the books of the day balance', async (t) => {
  t.same([...lines.keys()], ['release', 'web', 'worker']);
  const release = await runProcess(...processOf('release'));
  t.equal(release.code, 0, release.stderr);
  const web = startProcess(t, ...processOf('web'));
  const worker = startProcess(t, ...processOf('worker'));
  const { address } = await web.waitForLog(({ msg }) => msg === 'listening');
  const webUrl = String(address);
  await Promise.all([web.waitForLog('ready'), worker.waitForLog('ready')]);
  t.equal((await fetch(`${webUrl}/readyz`)).status, 200);

  const database = openPool(t, url);
  const journal = createJournal();
  const sources = parseSources(secrets).sources;
  const client = createClient({ webUrl, sources, journal, signal: new AbortController().signal });
  const patience = createPatience(dayLimitMs);
  await playDay({ client, database, maxAttempts: 5, patience, say: (text) => t.comment(text) });
  await patience.waitForNone(() => countUnfinished(database, journal.acknowledged()));

  const balance = async () =>
    makeBooks(journal, {
      events: await readEventFigures(database, journal.acknowledged()),
      shop: await readShopFigures(database, expectedShop(journal.events())),
      rejections: await readRejections(webUrl, metricsToken),
    });
  // Duplicates are counted a moment after their answer.
  await createPatience(10_000).waitForNone(async () => unbalancedLines(await balance()).length);
  const books = await balance();
  t.ok(books.length > 25);
  t.same(unbalancedLines(books), []);

  const attemptsOf = async (topic: string, status: string) =>
    (
      await database.query(
        `SELECT attempts, deferrals > 0 AS "isDeferred", last_error,
           (SELECT count(*)::int FROM failed_attempts f WHERE (f.source, f.event_id) = (e.source, e.event_id)) AS failures
         FROM webhook_events e WHERE topic = $1 AND status = $2`,
        [topic, status],
      )
    ).rows;
  t.match(
    await attemptsOf('charge.refunded', 'PROCESSED'),
    [{ attempts: 1, isDeferred: true, failures: 0, last_error: null }],
    'Later is no failure',
  );
  t.match(
    await attemptsOf('charge.refunded', 'FAILED'),
    [{ attempts: 1, isDeferred: false, failures: 1, last_error: /^PermanentError: a refund of/ }],
    'PermanentError is FAILED at once',
  );
});
