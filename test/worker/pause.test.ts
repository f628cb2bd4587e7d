// Pauses: what a pause is for waits uncharged and is lost by nobody; what it is not for runs; its end brings all of it back.
import t, { type Test } from 'tap';
import { z } from 'zod';
import { beginPause, endPauses, type PauseScope } from '../../src/events/pauses.ts';
import { defineHandler, type Handler } from '../../src/handlers/handler.ts';
import { releaseResumed } from '../../src/maintenance/pauses.ts';
import { clearVanishedJobs, enqueueEventsWithoutJob } from '../../src/maintenance/reconcile.ts';
import { timeOfUuid } from '../../src/queue/time-ordered-uuid.ts';
import { atEnd } from '../support/at-end.ts';
import { loseJobs, openJobsOf, rowOf, startWorkerOn, takeJob } from '../support/attempt.ts';
import { makeGate } from '../support/gate.ts';
import { type Inbox, newEvent, openInbox, openInboxOn, openSession, storeEvents } from '../support/inbox.ts';
import { waitFor } from '../support/wait.ts';

const all = defineHandler({ provider: 'stripe', topic: '*', handle: ({ tx }) => tx.query('SELECT 1') });

const startOn = (t: Test, inbox: Inbox, handlers: Handler[], concurrency = 4) =>
  startWorkerOn(t, inbox, handlers, { concurrency });

const pause = (inbox: Inbox, scope: Partial<PauseScope>) =>
  beginPause(inbox.database, { source: null, topic: null, handler: null, ...scope }, null, undefined);
const resumer = (inbox: Inbox) => ({ ...inbox, maxAttempts: 5 });
const some = (count: number, overrides: Parameters<typeof newEvent>[0] = {}) =>
  Array.from({ length: count }, () => newEvent(overrides));

async function waitForStatus(inbox: Inbox, topic: string, status: string, count: number): Promise<void> {
  const counted = 'SELECT FROM webhook_events WHERE topic = $1 AND status = $2';
  await waitFor(async () => (await inbox.sql(counted, [topic, status])).length === count, {
    what: `${count} events of ${topic} to be ${status}`,
  });
}

/** How many events each job carries that the row of an event still bears, in the order of the jobs. */
async function jobsOf(inbox: Inbox, queue: string): Promise<unknown[]> {
  const rows = await inbox.sql(
    `SELECT (SELECT count(*)::int FROM webhook_events WHERE status = 'PENDING' AND job_id = j.id) AS events
     FROM pgboss.job j WHERE name = $1 AND state = 'created' ORDER BY created_on, events DESC`,
    [queue],
  );
  return rows.map(({ events }) => events);
}

/** @returns the numbers of events that the paused jobs carry */
async function waitForPaused(inbox: Inbox, count: number): Promise<number[]> {
  const paused = async () => (await jobsOf(inbox, 'webhooks-paused')) as number[];
  await waitFor(async () => (await paused()).reduce((sum, number) => sum + number, 0) === count, {
    what: `${count} events to be paused`,
  });
  return paused();
}

t.test(
  'paused events wait together and uncharged, others run, and the end of the pause runs them',
  async (t) => {
    const inbox = await openInbox(t);
    await pause(inbox, { source: 'stripe', topic: 'orders/*' });
    const paused = some(40, { topic: 'orders/create' });
    const firstJobIds = await storeEvents(inbox, paused);
    await storeEvents(
      inbox,
      [...some(3, { topic: 'orders/paid' }), ...some(3, { topic: 'products/update' })],
      6,
    );
    const ran: string[] = [];
    const handler = defineHandler({ ...all, handle: async ({ event }) => void ran.push(event.id) });
    const worker = startOn(t, inbox, [handler], 8);
    await waitForStatus(inbox, 'products/update', 'PROCESSED', 3);
    const waiting = await waitForPaused(inbox, 43);
    t.ok(waiting.length < 20, `many in a job: ${waiting.join()}`);
    t.match(await rowOf(inbox, paused[0]!), { status: 'PENDING', attempts: 0, failures: 0, deferrals: 0 });
    const couldRunAt = firstJobIds.map(timeOfUuid);
    const timeOfJob = async () => timeOfUuid(String((await rowOf(inbox, paused[0]!)).job_id));
    t.ok(couldRunAt.includes(await timeOfJob()), 'a job that others took over keeps its time');

    await inbox.sql(`UPDATE webhook_events SET received_at = received_at - interval '1 minute'`);
    t.equal((await clearVanishedJobs(inbox, undefined)).cleared, 0, 'their jobs live');
    t.equal(await releaseResumed(resumer(inbox)), 0, 'while the pause lasts, nothing leaves');
    await endPauses(inbox.database, 'all');
    ran.length = 0;
    const resumedAt = Date.now();
    await worker.stop(1_000); // another worker finds them in the order of arrival
    t.equal(await releaseResumed(resumer(inbox)), 43);
    t.ok((await timeOfJob())! >= resumedAt, 'the events wait since the end of the pause');
    const first = await takeJob(inbox);
    t.equal(first.events.length, 3, '43 events of one slice are as many jobs as a commit of the receiver');
    await loseJobs(inbox);
    startOn(t, inbox, [handler], 1);
    await waitForStatus(inbox, 'orders/create', 'PROCESSED', 40);
    await waitForStatus(inbox, 'orders/paid', 'PROCESSED', 3);
    t.equal(new Set(ran).size, ran.length, 'each ran once');
    t.match(await rowOf(inbox, paused[0]!), { attempts: 1, failures: 0 });
    await waitFor(async () => (await inbox.sql('SELECT FROM pgboss.job')).length === 0, {
      what: 'no job left',
    });
  },
);

t.test(
  'a handler is paused by its name; an event with several handlers waits if one is paused',
  async (t) => {
    const inbox = await openInbox(t);
    await pause(inbox, { handler: 'charge' });
    await pause(inbox, { source: 'shop' });
    const strict = z.object({ amount: z.number() });
    const charge = defineHandler({ ...all, name: 'charge', topic: ['both', 'charge'], payload: strict });
    const mail = defineHandler({ ...all, name: 'mail', topic: ['both', 'mail'] });
    for (const topic of ['both', 'charge', 'mail', 'nobody']) await storeEvents(inbox, some(1, { topic }));
    await storeEvents(inbox, some(1, { source: 'shop', topic: 'unwanted' }));
    startOn(t, inbox, [charge, mail]);
    await waitForStatus(inbox, 'mail', 'PROCESSED', 1);
    await waitForStatus(inbox, 'nobody', 'IGNORED', 1);
    await waitForPaused(inbox, 3);
    for (const topic of ['both', 'charge', 'unwanted']) await waitForStatus(inbox, topic, 'PENDING', 1);
    await endPauses(inbox.database, { source: null, topic: null, handler: 'charge' });
    t.equal(await releaseResumed(resumer(inbox)), 2, 'the other pause holds its event');
    // Nobody has told this worker: it reads the pauses before it leaves an event to one.
    await waitForStatus(inbox, 'both', 'FAILED', 1);
    await waitForStatus(inbox, 'charge', 'FAILED', 1);
    t.same(await jobsOf(inbox, 'webhooks-paused'), [1]);
  },
);

t.test(
  'a pause that begins takes the events that wait in the worker, and lets the running one end',
  async (t) => {
    const inbox = await openInbox(t);
    const gate = makeGate();
    const handler = defineHandler({ ...all, transaction: 'own', handle: () => gate.pass() });
    const events = some(3);
    await storeEvents(inbox, events, 3);
    const worker = startOn(t, inbox, [handler], 1);
    atEnd(t, async () => gate.open());
    await waitFor(() => gate.arrived() === 1, { what: 'the handler to start' });
    await pause(inbox, { source: 'stripe' });
    worker.readPauses();
    await waitForPaused(inbox, 2);
    gate.open();
    await waitForStatus(inbox, 'invoice.paid', 'PROCESSED', 1);
    t.equal(gate.arrived(), 1);
  },
);

t.test('what was settled, replayed or locked meanwhile is left alone; several resume at once', async (t) => {
  const inbox = await openInbox(t);
  const other = await openInboxOn(t, inbox.url);
  await pause(inbox, { source: 'stripe' });
  const events = some(40);
  await storeEvents(inbox, events);
  const worker = startOn(t, inbox, [all]);
  await waitForPaused(inbox, 40);
  await worker.stop(1_000);
  const [settled, replayed, locked] = events.map(({ eventId }) => eventId) as [string, string, string];
  const set = 'UPDATE webhook_events SET status = $1 WHERE event_id = ANY($2)';
  await inbox.sql(set, ['IGNORED', [settled, replayed]]);
  await inbox.sql(set, ['PENDING', [replayed]]);
  await enqueueEventsWithoutJob(inbox);
  const operator = await openSession(t, inbox.url);
  await operator('BEGIN');
  await operator('SELECT FROM webhook_events WHERE event_id = $1 FOR UPDATE', [locked]);
  await endPauses(inbox.database, 'all');
  const counts = await Promise.all([releaseResumed(resumer(inbox)), releaseResumed(resumer(other))]);
  t.equal(counts[0] + counts[1], 37, 'each once');
  t.same(await jobsOf(inbox, 'webhooks-paused'), [1], 'the job of the locked one');
  await operator('ROLLBACK');
  t.equal(await releaseResumed(resumer(inbox)), 1);
  t.same(await jobsOf(inbox, 'webhooks-paused'), []);
  t.equal((await openJobsOf(inbox, { source: 'stripe', eventId: settled })).length, 0);
  startOn(t, inbox, [all]);
  await waitForStatus(inbox, 'invoice.paid', 'PROCESSED', 39);
  t.same(await inbox.sql('SELECT FROM webhook_events WHERE attempts > 1'), []);
});

t.test(
  'an isolated event that was paused is isolated again, and its loss is charged as before',
  async (t) => {
    const inbox = await openInbox(t);
    const events = some(2);
    await storeEvents(inbox, events, 2);
    await takeJob(inbox);
    await loseJobs(inbox);
    await pause(inbox, { source: 'stripe' });
    const worker = startOn(t, inbox, [all]);
    t.same(await waitForPaused(inbox, 2), [1, 1]);
    await worker.stop(1_000);
    await endPauses(inbox.database, 'all');
    t.equal(await releaseResumed(resumer(inbox)), 2);
    const jobs =
      await inbox.sql(`SELECT name, data->'hasUnchargedLoss' AS uncharged, retry_limit FROM pgboss.job
    WHERE state = 'created'`);
    const isolated = { name: 'webhooks-isolated', uncharged: true, retry_limit: 3 };
    t.same(jobs, [isolated, isolated]);
    startOn(t, inbox, [all]);
    await waitForStatus(inbox, 'invoice.paid', 'PROCESSED', 2);
  },
);
