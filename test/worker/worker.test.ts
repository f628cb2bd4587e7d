// The worker's loop: what one job meets must not be held against those beside it.
import t, { type Test } from 'tap';
import { PermanentError } from '../../src/errors.ts';
import { defineHandler, type Handler } from '../../src/handlers/handler.ts';
import { enqueueEventsWithoutJob } from '../../src/maintenance/reconcile.ts';
import type { Queue } from '../../src/queue/queue.ts';
import { startWorker, type Worker, type WorkerOptions } from '../../src/worker/worker.ts';
import { atEnd } from '../support/at-end.ts';
import { failuresOf, rowOf, runJob, takeJob } from '../support/attempt.ts';
import { countTransactions, makeGate } from '../support/gate.ts';
import { type Inbox, newEvent, openInbox, openInboxOn, openSession, storeEvents } from '../support/inbox.ts';
import { waitFor } from '../support/wait.ts';

const quick = defineHandler({
  provider: 'stripe',
  topic: '*',
  handle: ({ tx }) => tx.query('SELECT 1'),
});

function startOn(
  t: Test,
  inbox: Inbox,
  handlers: Handler[],
  options: Partial<Pick<WorkerOptions, 'concurrency' | 'timeoutMs' | 'heartbeatMs'>> = {},
): Worker {
  const worker = startWorker({
    ...inbox,
    handlers: () => handlers,
    concurrency: 1,
    timeoutMs: 60_000,
    maxDeferrals: 100,
    heartbeatMs: 30_000,
    pollMs: 100,
    ...options,
  });
  atEnd(t, () => worker.stop(1_000));
  return worker;
}

const statusOf = async (inbox: Inbox, event: Parameters<typeof rowOf>[1]) =>
  (await rowOf(inbox, event)).status;

t.test('a job that names no event is completed, and those fetched with it are run', async (t) => {
  const inbox = await openInbox(t);
  const events = [newEvent(), newEvent()];
  await storeEvents(inbox, events.slice(0, 1));
  await inbox.sql(`INSERT INTO pgboss.job (name, data) VALUES
    ('webhooks', NULL), ('webhooks', '{}'), ('webhooks', '"text"'), ('webhooks', '{"source": 1, "eventId": null}')`);
  await storeEvents(inbox, events.slice(1));
  startOn(t, inbox, [quick]);
  for (const event of events) {
    await waitFor(async () => (await statusOf(inbox, event)) === 'PROCESSED', {
      what: 'the event to be run',
    });
    t.match(await rowOf(inbox, event), { attempts: 1 });
  }
  await waitFor(async () => (await inbox.sql('SELECT FROM pgboss.job')).length === 0, {
    what: 'no job left',
  });
  t.same(
    inbox.logs.filter(({ msg }) => String(msg).includes('could not be fetched')),
    [],
  );
});

t.test('a replay does not wait until the job before it is completed', async (t) => {
  const inbox = await openInbox(t);
  const gate = makeGate();
  const queue: Queue = {
    ...inbox.queue,
    complete: (jobs) => gate.pass().then(() => inbox.queue.complete(jobs)),
  };
  const event = newEvent();
  await storeEvents(inbox, [event]);
  const worker = startOn(t, { ...inbox, queue }, [quick]);
  atEnd(t, async () => gate.open());
  await waitFor(() => gate.arrived() === 1, { what: 'the completion to begin' });
  await inbox.sql(`UPDATE webhook_events SET status = 'PENDING'`);
  await enqueueEventsWithoutJob(inbox);
  worker.wake();
  await waitFor(async () => (await statusOf(inbox, event)) === 'PROCESSED', { what: 'the replay to be run' });
  t.match(await rowOf(inbox, event), { attempts: 2 });
  t.same(
    inbox.logs.filter(({ msg }) => String(msg).includes('put off')),
    [],
  );
});

t.test('an attempt behind a COMMIT that waits for a locked row has its whole time left', async (t) => {
  const inbox = await openInbox(t);
  const events = [newEvent(), newEvent()];
  await storeEvents(inbox, events);
  const begun: string[] = [];
  const gate = makeGate();
  const handler = defineHandler({
    provider: 'stripe',
    topic: '*',
    handle: async ({ event, tx }) => {
      begun.push(event.id);
      await gate.pass();
      await tx.query('SELECT 1');
    },
  });
  const timeoutMs = 1_000;
  startOn(t, inbox, [handler], { timeoutMs });
  await waitFor(() => gate.arrived() === 1, { what: 'the first handler' });
  const operator = await openSession(t, inbox.url);
  await operator('BEGIN');
  await operator('SELECT FROM webhook_events WHERE event_id = $1 FOR UPDATE', begun);
  gate.open();
  await waitFor(() => begun.length === 2, { what: 'the second handler, behind the COMMIT of the first' });
  // As a clock of Postgres: the lock is held for twice the handlers' time.
  await operator(`SELECT pg_sleep(${(2 * timeoutMs) / 1_000})`);
  await operator('ROLLBACK');
  for (const event of events) {
    await waitFor(async () => (await statusOf(inbox, event)) === 'PROCESSED', {
      what: 'the event to be run',
    });
    t.same(await failuresOf(inbox, event), []);
  }
});

t.test('a settled event whose completion was lost is not held to have ended its process', async (t) => {
  const inbox = await openInbox(t);
  const event = newEvent();
  await storeEvents(inbox, [event]);
  const deaf = { ...inbox, queue: { ...inbox.queue, complete: async () => {} } };
  t.match(await runJob(deaf, await takeJob(inbox), [quick]), { kind: 'processed' });
  // As pg-boss does when a heartbeat has ended.
  await inbox.sql(
    `UPDATE pgboss.job SET state = 'retry', retry_count = 1, start_after = now() - interval '1 second'`,
  );
  startOn(t, inbox, [quick]);
  await waitFor(async () => (await inbox.sql('SELECT FROM pgboss.job')).length === 0, {
    what: 'no job left',
  });
  t.match(await rowOf(inbox, event), { status: 'PROCESSED', attempts: 1 });
  t.same(await inbox.sql('SELECT * FROM lone_attempts'), []);
});

t.test('a job that could not be handed back is not kept alive', async (t) => {
  const inbox = await openInbox(t);
  const events = [newEvent(), newEvent()];
  await storeEvents(inbox, events);
  await inbox.sql(`UPDATE pgboss.job SET retry_count = 1`); // lost with their process: they run alone
  const gate = makeGate();
  const touched: string[][] = [];
  const queue: Queue = {
    ...inbox.queue,
    completeManyIn: async () => {
      throw new Error('the database is away');
    },
    touch: async (claimed) => {
      touched.push(claimed.map(({ id }) => id));
    },
  };
  const waiting = defineHandler({ provider: 'stripe', topic: '*', handle: () => gate.pass() });
  startOn(t, { ...inbox, queue }, [waiting], { heartbeatMs: 300, concurrency: 2 });
  await waitFor(() => gate.arrived() === 1, { what: 'the one that runs alone' });
  const before = touched.length;
  await waitFor(() => touched.length > before + 1, { what: 'a heartbeat' });
  t.equal(touched.at(-1)?.length, 1);
  gate.open();
});

t.test('behind a pooler no attempt is begun for which there is no connection', async (t) => {
  const inbox = await openInbox(t);
  const events = [newEvent(), newEvent(), newEvent()];
  await storeEvents(inbox, events);
  const operator = await openSession(t, inbox.url);
  await operator('BEGIN');
  await operator('SELECT FROM webhook_events FOR UPDATE'); // every COMMIT waits
  const concurrency = 1;
  const maxConnections = concurrency + 1;
  const pooled = await openInboxOn(t, inbox.url, { pooler: true, maxConnections });
  const counting = countTransactions(pooled.database);
  startOn(t, { ...pooled, database: counting.database }, [quick], { concurrency });
  await waitFor(() => counting.transactions() >= 1, { what: 'an attempt' });
  await operator('SELECT pg_sleep(3)'); // longer than anything waits for a connection
  await operator('ROLLBACK');
  for (const event of events) {
    await waitFor(async () => (await statusOf(inbox, event)) === 'PROCESSED', {
      what: 'the event to be run',
    });
    t.match(await rowOf(inbox, event), { attempts: 1, deferrals: 0 });
  }
});

t.test('quick attempts share transactions, and those that fail among them fail alone', async (t) => {
  const inbox = await openInbox(t, { policy: { MAX_ATTEMPTS: 1 } });
  await inbox.sql('CREATE TABLE effects (event_id text, transaction xid8 DEFAULT pg_current_xact_id())');
  const events = Array.from({ length: 200 }, () => newEvent());
  await storeEvents(inbox, events);
  const fails = new Set(events.filter((_, place) => place % 20 === 7).map(({ eventId }) => eventId));
  const runs = new Map<string, number>();
  const handler = defineHandler({
    provider: 'stripe',
    topic: '*',
    handle: async ({ event, tx }) => {
      runs.set(event.id, (runs.get(event.id) ?? 0) + 1);
      await tx.query('INSERT INTO effects (event_id) VALUES ($1)', [event.id]);
      if (fails.has(event.id)) throw new PermanentError('not this one');
    },
  });
  startOn(t, inbox, [handler], { concurrency: 2 });
  const count = async (status: string) =>
    (await inbox.sql('SELECT count(*)::int AS n FROM webhook_events WHERE status = $1', [status]))[0]?.n;
  await waitFor(async () => (await count('PENDING')) === 0, { what: 'all to be settled' });
  t.equal(await count('FAILED'), fails.size);
  t.equal(await count('PROCESSED'), events.length - fails.size);
  const [books] = await inbox.sql(`
    SELECT count(*)::int AS effects, count(DISTINCT e.event_id)::int AS events, count(DISTINCT transaction)::int AS transactions,
      bool_and(status = 'PROCESSED') AS all_processed
    FROM effects JOIN webhook_events e USING (event_id)`);
  const good = events.length - fails.size;
  t.match(books, { effects: good, events: good, all_processed: true });
  t.ok((books?.transactions as number) < good / 2, `${books?.transactions} transactions`);
  t.same(
    [...runs.values()].filter((times) => times !== 1),
    [],
    'each was run once',
  );
  t.equal((await inbox.sql('SELECT FROM failed_attempts')).length, fails.size);
});

t.test('a batch that fails while its worker stops is handed back, and not run one by one', async (t) => {
  const inbox = await openInbox(t);
  const events = [newEvent(), newEvent(), newEvent()];
  await storeEvents(inbox, events);
  const gate = makeGate();
  let handled = 0;
  const handler = defineHandler({
    provider: 'stripe',
    topic: '*',
    handle: async () => handled++,
    batch: async () => {
      await gate.pass();
      throw new Error('not together');
    },
  });
  const worker = startOn(t, inbox, [handler]);
  await waitFor(() => gate.arrived() === 1, { what: 'the batch' });
  const stopped = worker.stop(30_000);
  gate.open();
  await stopped;
  t.equal(handled, 0);
  const again = await inbox.queue.fetch(10);
  t.same(
    again.map(({ key, retryCount, retryLimit }) => [key.eventId, retryLimit - retryCount]).sort(),
    events.map(({ eventId }) => [eventId, 4]).sort(),
  );
  for (const event of events) t.match(await rowOf(inbox, event), { status: 'PENDING', attempts: 0 });
});

t.test('a batch whose statement was not awaited and fails is told by that error', async (t) => {
  const inbox = await openInbox(t);
  const events = [newEvent(), newEvent()];
  await storeEvents(inbox, events);
  const handler = defineHandler({
    ...quick,
    batch: async ({ tx }) => void tx.query('SELECT nonsense').catch(() => {}),
  });
  startOn(t, inbox, [handler]);
  for (const event of events) {
    await waitFor(async () => (await statusOf(inbox, event)) === 'PROCESSED', { what: 'it to run alone' });
  }
  const failed = inbox.logs.find(({ msg }) => String(msg).startsWith('a batch failed'));
  t.match(failed, { error: /column "nonsense" does not exist/, events: 2 });
});
