// The worker's loop: what one job meets must not be held against those beside it.
import t from 'tap';
import { PermanentError } from '../../src/errors.ts';
import { defineHandler } from '../../src/handlers/handler.ts';
import { enqueueEventsWithoutJob } from '../../src/maintenance/reconcile.ts';
import type { Queue } from '../../src/queue/queue.ts';
import { atEnd } from '../support/at-end.ts';
import { loseJobs, openJobsOf, rowOf, runJob, startWorkerOn, takeJob } from '../support/attempt.ts';
import { makeGate } from '../support/gate.ts';
import { type Inbox, newEvent, openInbox, openInboxOn, openSession, storeEvents } from '../support/inbox.ts';
import { waitFor } from '../support/wait.ts';

const quick = defineHandler({
  provider: 'stripe',
  topic: '*',
  handle: ({ tx }) => tx.query('SELECT 1'),
});

const statusOf = async (inbox: Inbox, event: Parameters<typeof rowOf>[1]) =>
  (await rowOf(inbox, event)).status;

t.test('a job that names no event is completed, and those fetched with it are run', async (t) => {
  const inbox = await openInbox(t);
  const events = [newEvent(), newEvent()];
  await storeEvents(inbox, events.slice(0, 1));
  await inbox.sql(`INSERT INTO pgboss.job (name, data) VALUES
    ('webhooks', NULL), ('webhooks', '{}'), ('webhooks', '"text"'), ('webhooks', '{"source": 1, "eventId": null}')`);
  await storeEvents(inbox, events.slice(1));
  startWorkerOn(t, inbox, [quick]);
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
    complete: (tx, jobs) => gate.pass().then(() => inbox.queue.complete(tx, jobs)),
  };
  const event = newEvent();
  await storeEvents(inbox, [event]);
  const worker = startWorkerOn(t, { ...inbox, queue }, [quick]);
  atEnd(t, async () => gate.open());
  await waitFor(() => gate.arrived() === 1, { what: 'the completion to begin' });
  await inbox.sql(`UPDATE webhook_events SET status = 'PENDING'`);
  await enqueueEventsWithoutJob(inbox);
  worker.wake();
  await waitFor(async () => (await statusOf(inbox, event)) === 'PROCESSED', { what: 'the replay to be run' });
  t.match(await rowOf(inbox, event), { attempts: 2 });
});

t.test('jobs of the format before are run, and their failures count on', async (t) => {
  const inbox = await openInbox(t);
  const events = [newEvent(), newEvent()];
  const jobIds = await storeEvents(inbox, events);
  await inbox.sql(`UPDATE pgboss.job j SET data = jsonb_build_object('source', source, 'eventId', event_id)
    FROM webhook_events e WHERE j.id = e.job_id`);
  // As migration 6 leaves an event that has failed under such a job; pg-boss has retried the job.
  await inbox.sql('UPDATE webhook_events SET attempts = 4, failures = 4 WHERE event_id = $1', [
    events[1]!.eventId,
  ]);
  await inbox.sql('UPDATE pgboss.job SET retry_count = 4, retry_limit = 4 WHERE id = $1', [jobIds[1]]);
  const handler = defineHandler({
    provider: 'stripe',
    topic: '*',
    handle: ({ event }) => {
      if (event.id === events[1]!.eventId) throw new Error('once more');
      return Promise.resolve();
    },
  });
  startWorkerOn(t, inbox, [handler]);
  await waitFor(async () => (await statusOf(inbox, events[0]!)) === 'PROCESSED', { what: 'the first one' });
  await waitFor(async () => (await statusOf(inbox, events[1]!)) === 'FAILED', { what: 'the fifth failure' });
  t.match(await rowOf(inbox, events[1]!), { attempts: 5, failures: 5 });
});

t.test('a settled event whose completion was lost runs nothing again', async (t) => {
  const inbox = await openInbox(t);
  const event = newEvent();
  await storeEvents(inbox, [event]);
  const deaf = { ...inbox, queue: { ...inbox.queue, complete: async () => 0 } };
  t.match(await runJob(deaf, await takeJob(inbox), [quick]), { kind: 'processed' });
  await loseJobs(inbox);
  startWorkerOn(t, inbox, [quick]);
  await waitFor(async () => (await inbox.sql('SELECT FROM pgboss.job')).length === 0, {
    what: 'no job left',
  });
  t.match(await rowOf(inbox, event), { status: 'PROCESSED', attempts: 1 });
});

t.test('events that could not be released are not kept alive', async (t) => {
  const inbox = await openInbox(t);
  const events = Array.from({ length: 20 }, () => newEvent());
  await storeEvents(inbox, events);
  const gate = makeGate();
  const touched: number[] = [];
  const queue: Queue = {
    ...inbox.queue,
    enqueue: async () => {
      throw new Error('the database is away');
    },
    touch: async (fetched) => void touched.push(fetched.length),
  };
  const waiting = defineHandler({
    provider: 'stripe',
    topic: '*',
    transaction: 'own',
    handle: () => gate.pass(),
  });
  startWorkerOn(t, { ...inbox, queue }, [waiting], { heartbeatMs: 300, concurrency: 2 });
  await waitFor(() => gate.arrived() === 2, { what: 'two handlers' });
  await waitFor(() => touched.at(-1) === 2, { what: 'a heartbeat of those that run, and of no other' });
  gate.open();
});

t.test('events that would wait for a slow handler go back to the queue, ahead of the others', async (t) => {
  const inbox = await openInbox(t);
  const events = Array.from({ length: 16 }, () => newEvent());
  await storeEvents(inbox, events, 16);
  const gate = makeGate();
  const slow = defineHandler({
    provider: 'stripe',
    topic: '*',
    transaction: 'own',
    handle: () => gate.pass(),
  });
  startWorkerOn(t, inbox, [slow], { concurrency: 2 });
  await waitFor(() => gate.arrived() === 2, { what: 'two handlers' });
  const other = await openInboxOn(t, inbox.url, { maxConnections: 16 });
  startWorkerOn(t, other, [slow], { concurrency: 14 });
  await waitFor(() => gate.arrived() === 16, { what: 'the other worker to run the rest' });
  gate.open();
  for (const event of events) {
    await waitFor(async () => (await statusOf(inbox, event)) === 'PROCESSED', {
      what: 'the event to be run',
    });
    t.match(await rowOf(inbox, event), { attempts: 1, failures: 0, deferrals: 0 });
  }
});

t.test(
  'a list that was lost with its worker: each event runs alone, and new work goes on beside',
  async (t) => {
    const inbox = await openInbox(t);
    const lost = Array.from({ length: 6 }, () => newEvent());
    await storeEvents(inbox, lost, 6);
    await takeJob(inbox);
    await loseJobs(inbox);
    const fresh = Array.from({ length: 6 }, () => newEvent({ topic: 'fresh' }));
    const running = new Set<string>();
    const seen: { topic: string; beside: number }[] = [];
    const handler = defineHandler({
      provider: 'stripe',
      topic: '*',
      handle: async ({ event, tx }) => {
        running.add(event.id);
        await tx.query('SELECT pg_sleep(0.01)');
        seen.push({ topic: event.topic, beside: running.size - 1 });
        running.delete(event.id);
      },
    });
    await storeEvents(inbox, fresh, 1);
    startWorkerOn(t, inbox, [handler], { concurrency: 4 });
    for (const event of [...lost, ...fresh]) {
      await waitFor(async () => (await statusOf(inbox, event)) === 'PROCESSED', {
        what: 'the event to be run',
      });
      t.match(await rowOf(inbox, event), { attempts: 1, failures: 0 });
    }
    t.same(
      seen.filter(({ topic, beside }) => topic !== 'fresh' && beside > 0),
      [],
    );
  },
);

t.test('an isolated event whose worker dies is charged for each death, and FAILED at the last', async (t) => {
  const inbox = await openInbox(t, { policy: { MAX_ATTEMPTS: 2 } });
  const event = newEvent();
  await storeEvents(inbox, [event]);
  await inbox.sql(`UPDATE pgboss.job SET name = 'webhooks-isolated', retry_limit = 1`);
  const die = async () => {
    const job = await inbox.queue.fetchIsolated();
    t.equal(job?.retryCount, 0);
    await loseJobs(inbox);
  };
  await die();
  const handler = defineHandler({
    ...quick,
    handle: async () => t.fail('it must not run: its time has not come'),
  });
  startWorkerOn(t, inbox, [handler], { maxAttempts: 2 });
  await waitFor(async () => (await rowOf(inbox, event)).failures === 1, { what: 'the charge' });
  t.match(await openJobsOf(inbox, event), [{ name: 'webhooks-isolated', state: 'created', retry_limit: 0 }]);
});

t.test('behind a pooler, locked rows take no connection from the events that wait for them', async (t) => {
  const inbox = await openInbox(t);
  const events = [newEvent(), newEvent(), newEvent()];
  await storeEvents(inbox, events);
  const operator = await openSession(t, inbox.url);
  await operator('BEGIN');
  await operator('SELECT FROM webhook_events FOR UPDATE');
  const concurrency = 1;
  const maxConnections = concurrency + 1;
  const pooled = await openInboxOn(t, inbox.url, { pooler: true, maxConnections });
  startWorkerOn(t, pooled, [quick], { concurrency });
  const taken = `SELECT FROM pgboss.job WHERE state = 'active'`;
  await waitFor(async () => (await inbox.sql(taken)).length === 3, { what: 'the jobs to be fetched' });
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
  const inbox = await openInbox(t);
  await inbox.sql('CREATE TABLE effects (event_id text, transaction xid8 DEFAULT pg_current_xact_id())');
  const runs = new Map<string, number>();
  const handler = defineHandler({
    provider: 'stripe',
    topic: '*',
    handle: async ({ event, tx }) => {
      runs.set(event.id, (runs.get(event.id) ?? 0) + 1);
      await tx.query('INSERT INTO effects (event_id) VALUES ($1)', [event.id]);
      if (event.topic === 'fails') throw new PermanentError('not this one');
    },
  });
  startWorkerOn(t, inbox, [handler], { concurrency: 2, maxAttempts: 1 });
  const [perRound, failsPerRound] = [200, 10];
  const good = perRound - failsPerRound;
  const pending = `SELECT FROM webhook_events WHERE status = 'PENDING'`;
  /** @returns transactions that committed the effects of a round */
  const playRound = async () => {
    await inbox.sql('DELETE FROM effects');
    const topic = (place: number) => (place % (perRound / failsPerRound) === 7 ? 'fails' : 'works');
    const events = Array.from({ length: perRound }, (_, place) => newEvent({ topic: topic(place) }));
    await storeEvents(inbox, events, 8);
    await waitFor(async () => (await inbox.sql(pending)).length === 0, { what: 'all to be settled' });
    const [books] = await inbox.sql(`
      SELECT count(*)::int AS effects, count(DISTINCT e.event_id)::int AS events,
        count(DISTINCT transaction)::int AS transactions,
        bool_and(status = 'PROCESSED' AND topic = 'works') AS are_processed
      FROM effects JOIN webhook_events e USING (event_id)`);
    t.match(books, { effects: good, events: good, are_processed: true });
    return books!.transactions as number;
  };
  // Handlers share as long as they are quick: on a machine that is busy at this moment none may be.
  let rounds = 1;
  for (; (await playRound()) > good / 2; rounds++);
  const twice = [...runs.values()].filter((times) => times !== 1);
  t.same(twice, [], 'each was run once');
  const statuses = `SELECT status, count(*)::int FROM webhook_events GROUP BY 1 ORDER BY 1`;
  t.same(await inbox.sql(statuses), [
    { status: 'FAILED', count: rounds * failsPerRound },
    { status: 'PROCESSED', count: rounds * good },
  ]);
  t.equal((await inbox.sql('SELECT FROM failed_attempts')).length, rounds * failsPerRound);
});

t.test('a batch that fails while its worker stops is released, and not run one by one', async (t) => {
  const inbox = await openInbox(t);
  const events = [newEvent(), newEvent(), newEvent()];
  await storeEvents(inbox, events, events.length);
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
  const worker = startWorkerOn(t, inbox, [handler]);
  await waitFor(() => gate.arrived() === 1, { what: 'the batch' });
  const stopped = worker.stop(30_000);
  gate.open();
  await stopped;
  t.equal(handled, 0);
  const again = await inbox.queue.fetch(10);
  t.same(
    again.flatMap((job) => job.events.map(({ eventId }) => eventId)).sort(),
    events.map(({ eventId }) => eventId).sort(),
  );
  t.same(
    again.filter(({ retryCount }) => retryCount > 0),
    [],
  );
  for (const event of events) t.match(await rowOf(inbox, event), { status: 'PENDING', attempts: 0 });
});

t.test('a batch whose statement was not awaited and fails is told by that error', async (t) => {
  const inbox = await openInbox(t);
  const events = [newEvent(), newEvent()];
  await storeEvents(inbox, events, events.length);
  const handler = defineHandler({
    ...quick,
    batch: async ({ tx }) => void tx.query('SELECT nonsense').catch(() => {}),
  });
  startWorkerOn(t, inbox, [handler]);
  for (const event of events) {
    await waitFor(async () => (await statusOf(inbox, event)) === 'PROCESSED', { what: 'it to run alone' });
  }
  const failed = inbox.logs.find(({ msg }) => String(msg).startsWith('a batch failed'));
  t.match(failed, { error: /column "nonsense" does not exist/, events: 2 });
});

t.test('an uncaught exception: what ran is left to be found as lost, and never released', async (t) => {
  const inbox = await openInbox(t);
  const events = [newEvent(), newEvent(), newEvent()];
  const [jobId] = await storeEvents(inbox, events, events.length);
  const gate = makeGate();
  const waitForSignal = async (signal: AbortSignal) => {
    void gate.pass();
    await new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)));
  };
  const handler = defineHandler({
    ...quick,
    handle: ({ signal }) => waitForSignal(signal),
    batch: ({ signal }) => waitForSignal(signal),
  });
  const worker = startWorkerOn(t, inbox, [handler]);
  await waitFor(() => gate.arrived() === 1, { what: 'the batch' });
  await worker.stop(0, new Error('thrown where no promise could catch it'));
  for (const event of events)
    t.match(await rowOf(inbox, event), { status: 'PENDING', job_id: jobId, attempts: 0 });
  t.match(await inbox.sql('SELECT id, state::text FROM pgboss.job'), [{ id: jobId, state: 'active' }]);
});

t.test('an uncaught exception in a shared transaction: only the event that ran is left', async (t) => {
  const inbox = await openInbox(t);
  const gate = makeGate();
  atEnd(t, async () => gate.open());
  const handler = defineHandler({
    provider: 'stripe',
    topic: '*',
    handle: async ({ event, tx }) => {
      await tx.query('SELECT 1');
      if (event.topic !== 'last') return;
      await gate.pass(); // it ignores its signal: its connection is closed
    },
  });
  const worker = startWorkerOn(t, inbox, [handler]);
  await storeEvents(inbox, [newEvent()]); // the forecast: the handler is quick
  await waitFor(async () => (await inbox.sql('SELECT FROM pgboss.job')).length === 0, {
    what: 'the first event',
  });
  const events = [newEvent(), newEvent(), newEvent({ topic: 'last' })];
  const [jobId] = await storeEvents(inbox, events, events.length);
  await waitFor(() => gate.arrived() === 1, { what: 'the last handler' });
  await worker.stop(0, new Error('thrown where no promise could catch it'));
  t.match(await rowOf(inbox, events[2]!), { status: 'PENDING', job_id: jobId, attempts: 0 });
  t.match(await inbox.sql('SELECT id, state::text FROM pgboss.job'), [{ id: jobId, state: 'active' }]);
});
