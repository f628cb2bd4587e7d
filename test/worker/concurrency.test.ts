// Handlers with `concurrency`: never more runs at once than that in all workers, none left out, and nobody else held up.
import { setTimeout as delay } from 'node:timers/promises';
import t, { type Test } from 'tap';
import { defineHandler, type Handler } from '../../src/handlers/handler.ts';
import { checkHandlers } from '../../src/handlers/load.ts';
import { clearVanishedJobs } from '../../src/maintenance/reconcile.ts';
import { loseJobs, openJobsOf, rowOf, startWorkerOn } from '../support/attempt.ts';
import { makeGate } from '../support/gate.ts';
import { type Inbox, newEvent, openInbox, openInboxOn, openSession, storeEvents } from '../support/inbox.ts';
import { waitFor } from '../support/wait.ts';

const startOn = (t: Test, inbox: Inbox, handlers: Handler[], concurrency = 4) =>
  startWorkerOn(t, inbox, handlers, { concurrency });

/** Counts the runs of a handler in all workers of this process. */
function limited(lanes: number, ms = 2, overrides: Partial<Handler> = {}) {
  const counts = { now: 0, most: 0, ran: [] as string[] };
  const handler = defineHandler({
    name: 'crm',
    provider: 'stripe',
    topic: 'crm.*',
    concurrency: lanes,
    async handle({ event }) {
      counts.now++;
      counts.most = Math.max(counts.most, counts.now);
      counts.ran.push(event.id);
      await delay(ms);
      counts.now--;
    },
    ...overrides,
  });
  return { handler, counts };
}

const some = (count: number, topic: string) => Array.from({ length: count }, () => newEvent({ topic }));

async function waitForProcessed(inbox: Inbox, topic: string, count: number): Promise<void> {
  const processed = `SELECT FROM webhook_events WHERE topic = $1 AND status = 'PROCESSED'`;
  await waitFor(async () => (await inbox.sql(processed, [topic])).length === count, {
    what: `${count} events of ${topic} to be PROCESSED`,
  });
}

t.test('two workers share two lanes, and other events pass', async (t) => {
  const inbox = await openInbox(t);
  const other = await openInboxOn(t, inbox.url);
  const { handler, counts } = limited(2);
  let passed = 0;
  const free = defineHandler({ provider: 'stripe', topic: 'free', handle: async () => void passed++ });
  await storeEvents(inbox, some(80, 'crm.sync'), 16);
  await storeEvents(inbox, some(100, 'free'), 16);
  startOn(t, inbox, [handler, free]);
  startOn(t, other, [handler, free]);
  await waitForProcessed(inbox, 'free', 100);
  t.ok(counts.ran.length < 80, `the others were done after ${counts.ran.length} of 80 limited runs`);
  await waitForProcessed(inbox, 'crm.sync', 80);
  t.equal(counts.most, 2, 'both lanes were used, and no more');
  t.equal(counts.ran.length, 80);
  t.equal(new Set(counts.ran).size, 80, 'each event ran once');
  t.equal(passed, 100);
});

t.test('a slot that the limit leaves free runs other events while a lane is busy', async (t) => {
  const inbox = await openInbox(t);
  const gate = makeGate();
  const { handler } = limited(1, 0, { handle: () => gate.pass() });
  const free = defineHandler({ provider: 'stripe', topic: 'free', handle: async () => {} });
  const waiting = some(40, 'crm.sync');
  await storeEvents(inbox, waiting, 16);
  startOn(t, inbox, [handler, free], 2);
  await storeEvents(inbox, some(40, 'free'), 16);
  await waitForProcessed(inbox, 'free', 40);
  const held = await inbox.sql(
    `SELECT count(*)::int AS count FROM pgboss.job WHERE name = 'webhooks-limited' AND state = 'active'`,
  );
  t.match(held, [{ count: 1 }], 'one job holds the lane');
  gate.open();
  await waitForProcessed(inbox, 'crm.sync', 40);
});

t.test('a batch counts as one run', async (t) => {
  const inbox = await openInbox(t);
  const sizes: number[] = [];
  let now = 0;
  let most = 0;
  const { handler } = limited(1, 0, {
    batch: async ({ items }) => {
      most = Math.max(most, ++now);
      sizes.push(items.length);
      await delay(5);
      now--;
    },
  });
  await storeEvents(inbox, some(64, 'crm.sync'), 16);
  startOn(t, inbox, [handler]);
  startOn(t, await openInboxOn(t, inbox.url), [handler]);
  await waitForProcessed(inbox, 'crm.sync', 64);
  t.equal(most, 1);
  t.ok(
    sizes.some((size) => size > 1),
    `batches of ${sizes.join()}`,
  );
});

t.test(
  'an event whose row is locked gives its lane to others, and waits for a lane afterwards',
  async (t) => {
    const inbox = await openInbox(t);
    const gates = { first: makeGate(), last: makeGate() };
    const { handler, counts } = limited(1);
    const gated = defineHandler({
      ...handler,
      handle: async (context) => {
        if (context.event.topic === 'crm.first') await gates.first.pass();
        if (context.event.topic === 'crm.last') await gates.last.pass();
        await handler.handle(context);
      },
    });
    const [first, locked, last] = ['first', 'locked', 'last'].map((name) =>
      newEvent({ topic: `crm.${name}` }),
    );
    await storeEvents(inbox, [first!, locked!, ...some(6, 'crm.sync')], 8);
    startOn(t, inbox, [gated]);
    await waitFor(() => gates.first.arrived() === 1, { what: 'the first event to run' });
    const operator = await openSession(t, inbox.url);
    await operator('BEGIN');
    await operator('SELECT FROM webhook_events WHERE event_id = $1 FOR UPDATE', [locked!.eventId]);
    gates.first.open();
    await waitForProcessed(inbox, 'crm.sync', 6);
    await storeEvents(inbox, [last!]);
    await waitFor(() => gates.last.arrived() === 1, { what: 'another event to hold the lane' });
    await operator('COMMIT');
    const isWaiting = async () =>
      (await openJobsOf(inbox, locked!)).some(
        ({ name, state }) => name === 'webhooks-limited' && state === 'created',
      );
    await waitFor(isWaiting, { what: 'the event to wait for a lane' });
    gates.last.open();
    await waitForProcessed(inbox, 'crm.locked', 1);
    await waitForProcessed(inbox, 'crm.last', 1);
    t.equal(counts.most, 1);
  },
);

t.test('a batch takes no event that is for another handler, too, or that no schema lets pass', async (t) => {
  const inbox = await openInbox(t);
  const batched: string[] = [];
  const alone: string[] = [];
  const { handler } = limited(1, 0, {
    handle: async ({ event }) => void alone.push(event.topic),
    batch: async ({ items }) => void batched.push(...items.map(({ event }) => event.topic)),
  });
  let others = 0;
  const other = defineHandler({ provider: 'stripe', topic: 'crm.both', handle: async () => void others++ });
  const events = ['sync', 'sync', 'both', 'sync', 'sync'].map((name) => newEvent({ topic: `crm.${name}` }));
  await storeEvents(inbox, events, 8);
  startOn(t, inbox, [handler, other]);
  await waitForProcessed(inbox, 'crm.sync', 4);
  await waitForProcessed(inbox, 'crm.both', 1);
  t.equal(others, 1, 'the other handler ran');
  t.strictSame(alone, ['crm.both']);
  t.strictSame(batched, Array(4).fill('crm.sync'));
});

t.test('an event whose row was locked before it came to a lane waits for a lane', async (t) => {
  const inbox = await openInbox(t);
  const gate = makeGate();
  const { handler } = limited(1, 0, { handle: () => gate.pass() });
  const [locked, running] = some(2, 'crm.sync');
  await storeEvents(inbox, [locked!]);
  const operator = await openSession(t, inbox.url);
  await operator('BEGIN');
  await operator('SELECT FROM webhook_events WHERE event_id = $1 FOR UPDATE', [locked!.eventId]);
  startOn(t, inbox, [handler]);
  const taken = `SELECT FROM pgboss.job WHERE name = 'webhooks' AND state = 'active'`;
  await waitFor(async () => (await inbox.sql(taken)).length === 1, {
    what: 'the locked event to be fetched',
  });
  await storeEvents(inbox, [running!]);
  await waitFor(() => gate.arrived() === 1, { what: 'the other event to hold the lane' });
  await operator('COMMIT');
  const isWaiting = async () =>
    (await openJobsOf(inbox, locked!)).some(
      ({ name, state }) => name === 'webhooks-limited' && state === 'created',
    );
  await waitFor(isWaiting, { what: 'the event to wait for a lane' });
  t.equal(gate.arrived(), 1);
  gate.open();
  await waitForProcessed(inbox, 'crm.sync', 2);
});

t.test('a failure leaves the lane, comes back to it, and costs one failure', async (t) => {
  const inbox = await openInbox(t);
  const { handler, counts } = limited(1);
  let fails = true;
  const failing = defineHandler({
    ...handler,
    handle: async (context) => {
      await handler.handle(context);
      if (fails && context.event.topic === 'crm.bad') throw new Error('the API is away');
    },
  });
  const bad = newEvent({ topic: 'crm.bad' });
  await storeEvents(inbox, [bad, ...some(7, 'crm.sync')], 8);
  startOn(t, inbox, [failing]);
  await waitForProcessed(inbox, 'crm.sync', 7);
  t.match(await rowOf(inbox, bad), { status: 'PENDING', failures: 1 });
  fails = false;
  await inbox.sql(`UPDATE pgboss.job SET start_after = now() WHERE state < 'active'`);
  await waitForProcessed(inbox, 'crm.bad', 1);
  t.equal(counts.ran.length, 9);
  t.equal(counts.most, 1);
});

t.test('events of a lost job run isolated, within the limit', async (t) => {
  const inbox = await openInbox(t);
  const gate = makeGate();
  const { handler, counts } = limited(1);
  const events = some(4, 'crm.sync');
  await storeEvents(inbox, events, 4);
  // The first worker gets as far as the lane, and dies there.
  const hung = startOn(t, inbox, [defineHandler({ ...handler, handle: () => gate.pass() })]);
  const lane = `SELECT FROM pgboss.job WHERE name = 'webhooks-limited' AND state = 'active'`;
  await waitFor(async () => (await inbox.sql(lane)).length === 1, { what: 'the lane to be taken' });
  const stopped = hung.stop(60_000, new Error('crash'));
  await loseJobs(inbox);
  startOn(t, await openInboxOn(t, inbox.url), [handler]);
  startOn(t, await openInboxOn(t, inbox.url), [handler]);
  await waitForProcessed(inbox, 'crm.sync', 4);
  t.equal(counts.most, 1, 'never two at once');
  for (const event of events) t.match(await rowOf(inbox, event), { failures: 0 });
  gate.open();
  await stopped;
});

t.test('a lane that an isolated event holds is not given to another', async (t) => {
  const inbox = await openInbox(t);
  const gate = makeGate();
  const started: string[] = [];
  const { handler } = limited(1, 0, {
    handle: async ({ event }) => {
      started.push(event.id);
      await gate.pass();
    },
  });
  const free = defineHandler({ provider: 'stripe', topic: 'free', handle: async () => {} });
  const [isolated, other] = some(2, 'crm.sync');
  await storeEvents(inbox, [isolated!]);
  await inbox.sql(`UPDATE pgboss.job SET name = 'webhooks-isolated'`);
  startOn(t, inbox, [handler]);
  await waitFor(() => started.length === 1, { what: 'the isolated event to run' });
  await storeEvents(inbox, [other!]);
  startOn(t, await openInboxOn(t, inbox.url), [handler, free]);
  const waits = async () => (await openJobsOf(inbox, other!)).some(({ name }) => name === 'webhooks-limited');
  await waitFor(waits, { what: 'the other event to wait for its lane' });
  const looks = `SELECT FROM pgboss.job WHERE name = 'webhooks-isolated' AND group_id = 'crm' AND state = 'active'`;
  t.equal((await inbox.sql(looks)).length, 1, 'the isolated job holds the lane');
  // A worker looks for lanes before it fetches other jobs.
  await storeEvents(inbox, some(1, 'free'));
  await waitForProcessed(inbox, 'free', 1);
  t.strictSame(started, [isolated!.eventId]);
  gate.open();
  await waitForProcessed(inbox, 'crm.sync', 2);
});

t.test('an isolated event waits for a lane that others hold', async (t) => {
  const inbox = await openInbox(t);
  const gate = makeGate();
  const { handler } = limited(1, 0, { handle: () => gate.pass() });
  const [first, isolated] = some(2, 'crm.sync');
  await storeEvents(inbox, [first!]);
  startOn(t, inbox, [handler]);
  await waitFor(() => gate.arrived() === 1, { what: 'the first event to run' });
  const [jobId] = await storeEvents(inbox, [isolated!]);
  await inbox.sql(`UPDATE pgboss.job SET name = 'webhooks-isolated' WHERE id = $1`, [jobId]);
  startOn(t, await openInboxOn(t, inbox.url), [handler]);
  const isReleased = async () =>
    (await openJobsOf(inbox, isolated!)).some(({ id, name }) => id !== jobId && name === 'webhooks-isolated');
  await waitFor(isReleased, { what: 'the isolated event to get another isolated job' });
  t.equal(gate.arrived(), 1, 'it did not run');
  gate.open();
  await waitForProcessed(inbox, 'crm.sync', 2);
});

t.test(
  'a worker that stops gives its lanes back; without the option the rest runs as other events',
  async (t) => {
    const inbox = await openInbox(t);
    const { handler, counts } = limited(2, 20);
    await storeEvents(inbox, some(64, 'crm.sync'), 16);
    const worker = startOn(t, inbox, [handler]);
    await waitFor(() => counts.ran.length >= 4, { what: 'some runs' });
    await worker.stop(1_000);
    const active = `SELECT FROM pgboss.job WHERE state = 'active'`;
    t.strictSame(await inbox.sql(active), [], 'no job is left with it');
    const { concurrency: _, ...plain } = handler;
    startOn(t, inbox, [defineHandler(plain)]);
    await waitForProcessed(inbox, 'crm.sync', 64);
    t.equal(counts.ran.length, 64);
  },
);

t.test('jobs that wait for a lane count as living', async (t) => {
  const inbox = await openInbox(t);
  const gate = makeGate();
  const { handler, counts } = limited(1, 0, { handle: () => gate.pass() });
  await storeEvents(inbox, some(40, 'crm.sync'), 16);
  startOn(t, inbox, [handler]);
  const waiting = `SELECT FROM pgboss.job WHERE name = 'webhooks-limited' AND state = 'created'`;
  await waitFor(async () => (await inbox.sql(waiting)).length > 0, { what: 'jobs to wait for the lane' });
  await inbox.sql(`UPDATE webhook_events SET received_at = received_at - interval '1 hour'`);
  t.equal((await clearVanishedJobs(inbox, undefined)).cleared, 0, 'nothing is healed');
  gate.open();
  await waitForProcessed(inbox, 'crm.sync', 40);
  t.equal(counts.ran.length, 0);
});

t.test('what cannot work is named at the start', async (t) => {
  const base = { provider: 'stripe', topic: 'a.*', handle: async () => {} };
  t.throws(() => defineHandler({ ...base, concurrency: 2 }), /concurrency needs a name/);
  for (const concurrency of [0, 1.5, 1_001, Number.NaN])
    t.throws(() => defineHandler({ ...base, name: 'a', concurrency }), /whole number from 1 to 1000/);
  const a = { ...base, name: 'a', concurrency: 1 };
  const problem = /"a" and "b" both have concurrency and match the same topic/;
  for (const topic of ['a.b', 'a.*', '*', 'a.b.*', ['x', 'a.c']])
    t.throws(() => checkHandlers([a, { ...a, name: 'b', topic }], 'handlers'), problem, String(topic));
  t.throws(() => checkHandlers([a, { ...a, name: 'b', provider: '*' }], 'handlers'), problem);
  for (const other of [{ topic: 'b.*' }, { topic: 'a' }, { provider: 'github' }])
    t.doesNotThrow(() => checkHandlers([a, { ...a, name: 'b', ...other }], 'handlers'));
  t.doesNotThrow(() =>
    checkHandlers(
      [
        { ...a, source: 'x' },
        { ...a, name: 'b', source: 'y' },
      ],
      'handlers',
    ),
  );
});
