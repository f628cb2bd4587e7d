// The worker in a team's own process.
import t from 'tap';
import { ConfigError } from '../../src/errors.ts';
import { readSample } from '../../src/events/sample.ts';
import { defineHandler, PermanentError } from '../../src/index.ts';
import { startSampler } from '../../src/maintenance/sampler.ts';
import { startWorker } from '../../src/worker.ts';
import { createCli } from '../support/cli.ts';
import { createTestDatabase } from '../support/database.ts';
import { parseExposition } from '../support/exposition.ts';
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
  const connections = `SELECT FROM pg_stat_activity
    WHERE datname = current_database() AND application_name = 'postbell worker'`;
  await waitFor(async () => (await inbox.sql(connections)).length === 0, { what: 'its connections to end' });
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

t.test('its metrics: results of attempts, and figures of the inbox', async (t) => {
  const inbox = await openInbox(t);
  const handlers = [
    defineHandler({ provider, topic: 'invoice.paid', handle: async () => {} }),
    defineHandler({
      provider,
      topic: 'invoice.void',
      handle: async () => {
        throw new PermanentError('never');
      },
    }),
  ];
  const events = [newEvent(), newEvent({ topic: 'invoice.void' }), newEvent({ topic: 'other' })];
  await storeEvents(inbox, events);
  const worker = await startWorker({ handlers, env: { DATABASE_URL: inbox.url }, log: captureLog().log });
  t.teardown(() => worker.stop());
  await worker.ready;
  const read = async () => parseExposition(await worker.metrics());
  const figure = async (name: string, labels: Record<string, string> = {}) => {
    const isMatch = (found: Record<string, string>) =>
      Object.entries(labels).every(([label, value]) => found[label] === value);
    return (await read()).get(name)?.series.find((series) => isMatch(series.labels))?.value;
  };
  const source = 'stripe';
  for (const result of ['processed', 'dead', 'ignored'])
    await waitFor(async () => (await figure('postbell_attempts_total', { source, result })) === 1, {
      what: result,
    });
  const durations = (await read()).get('postbell_handler_duration_seconds')!;
  const counts = durations.series
    .filter(({ name }) => name.endsWith('_count'))
    .map(({ labels, value }) => [labels.handler, value]);
  t.same(Object.fromEntries(counts), { 'stripe invoice.paid': 1, 'stripe invoice.void': 1 });
  t.ok((await figure('postbell_fetched_jobs_total'))! >= 3);

  await waitFor(async () => (await figure('postbell_sample_age_seconds')) !== undefined, {
    what: 'a sample',
  });
  const worked = await readSample(inbox.database);
  t.match(worked, {
    sources: [source],
    pending: { bySource: [] },
    failed: { bySource: [{ source, events: 1 }] },
  });
  t.equal(await figure('postbell_processes', { kind: 'web' }), 0);
});

t.test('the figures of the inbox read so many events at most, and none is older than it says', async (t) => {
  const inbox = await openInbox(t);
  const sources = ['quiet', 'busy', 'busy', 'busy'];
  for (const source of sources) await storeEvents(inbox, [newEvent({ source })]);
  await inbox.sql(`UPDATE webhook_events SET received_at = now() - interval '1 hour' WHERE source = 'quiet'`);
  const limits = { counted: 3, newest: 3 };
  const all = await readSample(inbox.database);
  t.same([...all.lastReceived.keys()].sort(), ['busy', 'quiet']);
  t.equal(all.pending.isCapped, false);
  t.ok(all.pending.bySource.find(({ source }) => source === 'quiet')!.oldestUntriedSeconds! >= 3_600);
  await inbox.sql(`UPDATE pgboss.job SET name = 'webhooks-paused'`);
  const paused = await readSample(inbox.database);
  t.same(
    paused.pending.bySource.map(({ oldestUntriedSeconds }) => oldestUntriedSeconds),
    [null, null],
    'events that a pause holds are not late',
  );
  t.ok(paused.pending.bySource.find(({ source }) => source === 'quiet')!.oldestSeconds >= 3_600);
  const capped = await readSample(inbox.database, undefined, limits);
  t.equal(capped.pending.isCapped, true);
  t.same(
    capped.pending.bySource.map(({ source, events }) => [source, events]).sort(),
    [
      ['busy', 2],
      ['quiet', 1],
    ],
    'the oldest',
  );
  t.same([...capped.lastReceived.keys()], ['busy'], 'the quiet one is unknown');
  t.same([...(await readSample(inbox.database, all, limits)).lastReceived.keys()], ['busy']);
  // The newest three reach back to that sample: whatever came since is among them.
  await inbox.sql(
    `UPDATE webhook_events SET received_at = received_at + interval '1 minute' WHERE source = 'busy'`,
  );
  await inbox.sql(`UPDATE webhook_events SET received_at = received_at - interval '2 minutes'
    WHERE event_id = (SELECT event_id FROM webhook_events WHERE source = 'busy' LIMIT 1)`);
  t.same([...(await readSample(inbox.database, all, limits)).lastReceived.keys()].sort(), ['busy', 'quiet']);
});

t.test('a sample that fails is gone, and nobody waits for one', async (t) => {
  let isBroken = false;
  let taken = 0;
  const sampler = startSampler({
    take: async () => {
      if (isBroken) throw new Error('no database');
      return ++taken;
    },
    log: captureLog().log,
    intervalMs: 5,
  });
  t.teardown(() => sampler.stop());
  t.equal(taken, 0, 'nobody has asked');
  t.equal(sampler.latest(), undefined);
  await waitFor(() => (sampler.latest()?.value ?? 0) > 1, { what: 'a second sample' });
  isBroken = true;
  await waitFor(() => sampler.latest() === undefined, { what: 'the sample to go' });
  isBroken = false;
  await waitFor(() => sampler.latest() !== undefined, { what: 'the next sample' });
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
