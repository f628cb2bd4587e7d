// The worker in a team's own process.
import t from 'tap';
import { ConfigError } from '../../src/errors.ts';
import { defineHandler } from '../../src/index.ts';
import { startWorker } from '../../src/worker.ts';
import { createCli } from '../support/cli.ts';
import { createTestDatabase } from '../support/database.ts';
import { captureLog, eventRows, newEvent, openInbox, storeEvents } from '../support/inbox.ts';
import { waitFor } from '../support/wait.ts';

const provider = 'stripe';

t.test('an event is PROCESSED; stop lets the running handler finish, and nothing stays behind', async (t) => {
  const inbox = await openInbox(t);
  await inbox.sql('CREATE TABLE effects (event_id text)');
  const isRunning = Promise.withResolvers<void>();
  const mayFinish = Promise.withResolvers<void>();
  const handlers = [
    defineHandler({
      provider,
      topic: 'invoice.paid',
      handle: ({ event, tx }) => tx.query('INSERT INTO effects VALUES ($1)', [event.id]),
    }),
    defineHandler({
      provider,
      topic: 'invoice.slow',
      handle: async () => {
        isRunning.resolve();
        await mayFinish.promise;
      },
    }),
  ];
  const before = process.eventNames().map((event) => [event, process.listenerCount(event)]);
  const worker = await startWorker({ handlers, env: { DATABASE_URL: inbox.url }, log: captureLog().log });
  t.teardown(() => worker.stop());
  await worker.ready;
  const listening = process.eventNames().map((event) => [event, process.listenerCount(event)]);
  t.same(listening, before, 'no signal, exception or exit is listened for');

  const [quick, slow] = [newEvent(), newEvent({ topic: 'invoice.slow' })];
  await storeEvents(inbox, [quick, slow]);
  await isRunning.promise;
  await waitFor(async () => (await eventRows(inbox, [quick]))[0]?.status === 'PROCESSED', {
    what: 'PROCESSED',
  });
  t.same(await inbox.sql('SELECT event_id AS id FROM effects'), [{ id: quick.eventId }]);
  const stopping = worker.stop();
  mayFinish.resolve();
  await stopping;
  t.match(await eventRows(inbox, [slow]), [{ status: 'PROCESSED', attempts: 1 }]);
  await waitFor(
    async () =>
      (await inbox.sql("SELECT FROM pg_stat_activity WHERE application_name = 'postbell worker'")).length ===
      0,
    { what: 'its connections to end' },
  );
});

t.test('a pause begins and ends at once, by LISTEN, with plain SQL', async (t) => {
  const inbox = await openInbox(t);
  const handle = async () => {};
  const handlers = [
    defineHandler({ provider, topic: 'invoice.paid', handle }),
    defineHandler({ provider, topic: 'invoice.slow', handle }),
  ];
  const env = { DATABASE_URL: inbox.url, POLL_SECONDS: '300', RECONCILE_SECONDS: '3600' };
  const worker = await startWorker({ handlers, env, log: captureLog().log });
  t.teardown(() => worker.stop());
  await worker.ready;
  const [first, paused, other] = [newEvent(), newEvent(), newEvent({ topic: 'invoice.slow' })];
  const waitForStatus = (event: typeof first, status: string) =>
    waitFor(async () => (await eventRows(inbox, [event]))[0]?.status === status, { what: status });
  const store = async (...events: (typeof first)[]) => {
    await storeEvents(inbox, events, events.length);
    await inbox.sql(`SELECT pg_notify('postbell', 'jobs')`);
  };
  await store(first);
  await waitForStatus(first, 'PROCESSED');
  await inbox.sql(`INSERT INTO pauses (source, topic) VALUES ('stripe', 'invoice.p*')`);
  await store(paused, other);
  await waitForStatus(other, 'PROCESSED');
  const held = `SELECT FROM pgboss.job j JOIN webhook_events e ON e.job_id = j.id WHERE name = 'webhooks-paused'`;
  await waitFor(async () => (await inbox.sql(held)).length === 1, { what: 'the event to be set aside' });
  t.match(await eventRows(inbox, [paused]), [{ status: 'PENDING', attempts: 0 }]);
  await inbox.sql('DELETE FROM pauses');
  await waitForStatus(paused, 'PROCESSED');
  t.match(await eventRows(inbox, [paused]), [{ attempts: 1 }]);
});

t.test('a database that is not migrated rejects `ready`; after the migration the worker works', async (t) => {
  const { url } = await createTestDatabase(t, { migrated: false });
  const env = { DATABASE_URL: url };
  const { log, logs } = captureLog();
  const worker = await startWorker({ handlers: [], env, log });
  t.teardown(() => worker.stop());
  await t.rejects(worker.ready, { name: 'CommandError', message: /postbell migrate/ });
  t.equal((await createCli(t, env).inside(['migrate'])).code, 0);
  await waitFor(() => logs.some(({ msg }) => msg === 'ready'), { what: 'the next try' });
});

t.test('wrong settings and handlers are told at the start', async (t) => {
  const env = { DATABASE_URL: 'postgres://localhost/none' };
  await t.rejects(startWorker({ handlers: [], env: {} }), ConfigError);
  await t.rejects(startWorker({ handlers: [{ provider } as never], env }), /topic must be/);
  await t.rejects(
    startWorker({ handlers: 'no/such/module.js', env }),
    /there is no file .*no\/such\/module\.js/,
  );
});
