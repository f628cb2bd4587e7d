// Forwarding by environment alone to docs/forwarding.md's app in Python, which is killed and started again under load: it has
// every event, and by its id each exactly once.
import { spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { fileURLToPath } from 'node:url';
import t, { type Test } from 'tap';
import { temporaryFolder } from '../support/folders.ts';
import { newEvent, openInbox, storeEvents } from '../support/inbox.ts';
import { freePort } from '../support/ports.ts';
import { startProcess } from '../support/processes.ts';
import { waitFor } from '../support/wait.ts';

const script = fileURLToPath(new URL('app.py', import.meta.url));
const hasPython = spawnSync('python3', ['-c', 'import sqlite3']).status === 0;
const isCi = process.env.CI !== undefined;
const whyNot = isCi && !hasPython ? 'not run: this CI machine has no python3' : false;

/** The app, its database, and its death. */
async function openApp(t: Test, secret: string) {
  const folder = temporaryFolder(t);
  const port = await freePort();
  const file = join(folder, 'app.db');
  const start = () =>
    startProcess(t, [script, String(port)], {
      program: 'python3',
      env: { FORWARD_SECRET: secret, DATABASE: file },
    });
  const all = (sql: string) => {
    if (!existsSync(file)) return [];
    const database = new DatabaseSync(file, { readOnly: true });
    try {
      return database.prepare(sql).all();
    } finally {
      database.close();
    }
  };
  return { url: `http://127.0.0.1:${port}/webhooks`, start, all };
}

t.test(
  'an app in Python, killed under load, gets every event exactly once by its id',
  { skip: whyNot },
  async (t) => {
    t.ok(hasPython, 'python3 with sqlite3 is needed: install it');
    if (!hasPython) return;
    const secret = `whsec_${randomBytes(32).toString('base64')}`;
    const inbox = await openInbox(t);
    const app = await openApp(t, secret);
    startProcess(t, ['worker', '--json'], {
      cwd: temporaryFolder(t),
      env: {
        DATABASE_URL: inbox.url,
        FORWARD_URL: app.url,
        FORWARD_SECRET: secret,
        WORKER_CONCURRENCY: '8',
        MAX_ATTEMPTS: '100',
        RETRY_DELAY_SECONDS: '1',
        RETRY_DELAY_MAX_SECONDS: '2',
      },
    });
    const count = () => Number(app.all('SELECT count(*) AS n FROM events')[0]?.n ?? 0);
    const failedAttempts = async () =>
      Number((await inbox.sql('SELECT count(*) AS n FROM failed_attempts'))[0]?.n);
    // Every other event has its bytes; two sources have the same ids.
    const events = Array.from({ length: 600 }, (_, index) => {
      const eventId = `evt_${index >> 1}`;
      const text = `{"number":${index}}`;
      return newEvent({
        source: index % 2 === 0 ? 'stripe' : 'stripe-eu',
        eventId,
        payloadText: text,
        rawBody: index % 4 < 2 ? Buffer.from(text) : null,
      });
    });
    let running = app.start();
    for (let round = 0; round < 3; round++) {
      await storeEvents(inbox, events.slice(round * 200, (round + 1) * 200));
      const before = count();
      await waitFor(() => count() > before + 20, { what: 'the app to be at work' });
      const failedBefore = await failedAttempts();
      running.kill('SIGKILL');
      await running.exited;
      await waitFor(async () => (await failedAttempts()) > failedBefore, {
        what: 'attempts without the app',
      });
      running = app.start();
    }
    const pending = () => inbox.sql(`SELECT FROM webhook_events WHERE status = 'PENDING'`);
    await waitFor(async () => (await pending()).length === 0, { what: 'every event to be settled' });
    t.same(await inbox.sql('SELECT status, count(*)::int FROM webhook_events GROUP BY status'), [
      { status: 'PROCESSED', count: events.length },
    ]);
    const got = app.all('SELECT source, id, CAST(body AS TEXT) AS body FROM events');
    t.same(
      got.map(({ source, id, body }) => `${source} ${id} ${JSON.stringify(JSON.parse(String(body)))}`).sort(),
      events.map(({ source, eventId, payloadText }) => `${source} ${eventId} ${payloadText}`).sort(),
    );
    t.same(app.all('SELECT orders FROM shop'), [{ orders: events.length }]);

    // A second delivery for certain.
    await inbox.sql(`UPDATE webhook_events SET status = 'PENDING' WHERE event_id IN ('evt_0', 'evt_1')`);
    await waitFor(
      async () =>
        (
          await inbox.sql(
            'SELECT FROM webhook_events WHERE attempts > 1 AND status = $1 AND event_id IN ($2, $3)',
            ['PROCESSED', 'evt_0', 'evt_1'],
          )
        ).length === 4,
      {
        what: 'the replays to be processed',
      },
    );
    t.same(app.all('SELECT orders FROM shop'), [{ orders: events.length }]);
  },
);

t.test('the app refuses another secret', { skip: whyNot }, async (t) => {
  if (!hasPython) return void t.fail('python3 with sqlite3 is needed: install it');
  const app = await openApp(t, `whsec_${randomBytes(32).toString('base64')}`);
  const inbox = await openInbox(t);
  app.start();
  await waitFor(() => fetch(app.url, { method: 'POST' }), { what: 'the app to answer' });
  const event = newEvent();
  await storeEvents(inbox, [event]);
  startProcess(t, ['worker', '--json'], {
    cwd: temporaryFolder(t),
    env: {
      DATABASE_URL: inbox.url,
      FORWARD_URL: app.url,
      FORWARD_SECRET: `whsec_${randomBytes(32).toString('base64')}`,
      MAX_ATTEMPTS: '1',
    },
  });
  const status = async () => (await inbox.sql('SELECT status, last_error AS error FROM webhook_events'))[0];
  await waitFor(async () => (await status())?.status === 'FAILED', { what: 'the event to fail' });
  t.match(await status(), { error: /answered 401$/ });
});
