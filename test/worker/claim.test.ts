// Who may commit: of several attempts of one event one at most, and none whose event was taken from it.
import t from 'tap';
import { splitLostJob } from '../../src/events/release.ts';
import { defineHandler } from '../../src/handlers/handler.ts';
import { enqueueEventsWithoutJob } from '../../src/maintenance/reconcile.ts';
import type { FetchedJob } from '../../src/queue/queue.ts';
import {
  failuresOf,
  loseJobs,
  openJobsOf,
  rowOf,
  runJob,
  runJobs,
  runNext,
  takeJob,
} from '../support/attempt.ts';
import { type Gate, makeGate } from '../support/gate.ts';
import { newEvent, openInbox, openInboxOn, openSession, storeEvents } from '../support/inbox.ts';
import { waitFor } from '../support/wait.ts';

const inbox = await openInbox(t);
await inbox.sql('CREATE TABLE effects (event_id text, note text)');

/** Writes, then waits at the gate. */
const slowHandler = (gate: Gate, note = 'effect') =>
  defineHandler({
    provider: 'stripe',
    topic: '*',
    handle: async ({ event, tx }) => {
      await tx.query('INSERT INTO effects VALUES ($1, $2)', [event.id, note]);
      await gate.pass();
    },
  });
const quickHandler = (note: string) => {
  const gate = makeGate();
  gate.open();
  return slowHandler(gate, note);
};

async function effectsOf({ eventId }: { eventId: string }): Promise<unknown[]> {
  const rows = await inbox.sql('SELECT note FROM effects WHERE event_id = $1', [eventId]);
  return rows.map(({ note }) => note);
}

/** The heartbeat has ended; another worker fetches the job, splits it, and takes what it made of it. */
async function takeFromZombie(): Promise<FetchedJob> {
  await loseJobs(inbox);
  const lost = await takeJob(inbox);
  await splitLostJob({ ...inbox, maxAttempts: 5 }, lost, (tx) => inbox.queue.complete(tx, [lost]));
  return (await inbox.queue.fetchIsolated())!;
}

t.test('two attempts of one event at the same time have their effects once', async (t) => {
  const event = newEvent();
  await storeEvents(inbox, [event]);
  const job = await takeJob(inbox);
  const gate = makeGate();
  const attempts: ReturnType<typeof runJob>[] = [];
  for (const n of [1, 2, 3]) {
    const side = await openInboxOn(t, inbox.url); // a log of its own
    attempts.push(runJob(side, job, [slowHandler(gate, `effect of ${n}`)]));
    // In turn: an attempt that meets the lock of another attempt's claim looks at the row again after 2 s only.
    await waitFor(() => gate.arrived() === n, { what: `attempt ${n} to be inside` });
  }
  gate.open();
  const outcomes = await Promise.all(attempts);
  t.same(outcomes.map(({ kind }) => kind).sort(), ['gone', 'gone', 'processed']);
  t.equal((await effectsOf(event)).length, 1);
  t.match(await rowOf(inbox, event), { status: 'PROCESSED', attempts: 1 });
  t.same(await failuresOf(inbox, event), []);
});

t.test('an attempt whose job was taken away and finished by another worker does not commit', async (t) => {
  const event = newEvent();
  await storeEvents(inbox, [event]);
  const gate = makeGate();
  const zombie = runJob(inbox, await takeJob(inbox), [slowHandler(gate, 'zombie')]);
  await waitFor(() => gate.arrived() === 1, { what: 'the zombie to be inside' });
  const other = await openInboxOn(t, inbox.url);
  t.match(await runJob(other, await takeFromZombie(), [quickHandler('second')]), { kind: 'processed' });
  gate.open();
  t.match(await zombie, { kind: 'gone' });
  t.same(await effectsOf(event), ['second']);
  t.match(await rowOf(inbox, event), { status: 'PROCESSED', attempts: 1, last_error: null });
  t.same(await openJobsOf(inbox, event), []);
});

t.test('a zombie that fails does not undo what another worker did', async (t) => {
  const event = newEvent();
  await storeEvents(inbox, [event]);
  const gate = makeGate();
  const failing = defineHandler({
    provider: 'stripe',
    topic: '*',
    handle: async () => {
      await gate.pass();
      throw new Error('too late');
    },
  });
  const zombie = runJob(inbox, await takeJob(inbox), [failing]);
  await waitFor(() => gate.arrived() === 1, { what: 'the zombie to be inside' });
  const other = await openInboxOn(t, inbox.url);
  t.match(await runJob(other, await takeFromZombie(), [quickHandler('second')]), { kind: 'processed' });
  gate.open();
  t.match(await zombie, { kind: 'gone' });
  t.match(await rowOf(inbox, event), { status: 'PROCESSED', attempts: 1, last_error: null });
  t.same(await failuresOf(inbox, event), []);
});

t.test('a zombie that fails while the next attempt runs does not take its job from it', async (t) => {
  const event = newEvent();
  await storeEvents(inbox, [event]);
  const [zombieGate, secondGate] = [makeGate(), makeGate()];
  const failing = defineHandler({
    provider: 'stripe',
    topic: '*',
    handle: async () => {
      await zombieGate.pass();
      throw new Error('too late');
    },
  });
  const zombie = runJob(inbox, await takeJob(inbox), [failing]);
  await waitFor(() => zombieGate.arrived() === 1, { what: 'the zombie to be inside' });
  const other = await openInboxOn(t, inbox.url);
  const second = runJob(other, await takeFromZombie(), [slowHandler(secondGate, 'second')]);
  await waitFor(() => secondGate.arrived() === 1, { what: 'the second attempt to be inside' });
  zombieGate.open();
  await zombie;
  t.same(
    (await openJobsOf(inbox, event)).map(({ state, name }) => ({ state, name })),
    [{ state: 'active', name: 'webhooks-isolated' }],
    'the second attempt still has the job',
  );
  secondGate.open();
  t.match(await second, { kind: 'processed' });
  t.match(await rowOf(inbox, event), { status: 'PROCESSED' });
  t.same(await effectsOf(event), ['second']);
});

for (const status of ['PROCESSED', 'IGNORED', 'FAILED']) {
  t.test(
    `an event set to ${status} by hand while its handler runs stays so, without the effects`,
    async (t) => {
      const event = newEvent();
      await storeEvents(inbox, [event]);
      const gate = makeGate();
      const attempt = runNext(inbox, [slowHandler(gate)]);
      await waitFor(() => gate.arrived() === 1, { what: 'the handler' });
      // The handler is at its gate: an UPDATE that waits for it never ends.
      await inbox.sql('UPDATE webhook_events SET status = $1 WHERE event_id = $2', [status, event.eventId]);
      gate.open();
      t.match(await attempt, { kind: 'gone' });
      t.match(await rowOf(inbox, event), { status, attempts: 0 });
      t.same(await effectsOf(event), []);
    },
  );
}

t.test('an event replayed by hand while its old attempt runs is run once', async (t) => {
  const event = newEvent();
  await storeEvents(inbox, [event]);
  const gate = makeGate();
  const old = runJob(inbox, await takeJob(inbox), [slowHandler(gate, 'old')]);
  await waitFor(() => gate.arrived() === 1, { what: 'the handler' });
  for (const status of ['IGNORED', 'PENDING']) {
    await inbox.sql('UPDATE webhook_events SET status = $1 WHERE event_id = $2', [status, event.eventId]);
  }
  t.equal(await enqueueEventsWithoutJob(inbox), 1);
  gate.open();
  t.match(await old, { kind: 'gone' });
  t.match(await runNext(inbox, [quickHandler('new')]), { kind: 'processed' });
  t.same(await effectsOf(event), ['new']);
});

t.test(
  'an operator who holds the row for long keeps its handler from running, uncharged, and nothing is lost',
  async (t) => {
    const event = newEvent();
    const [jobId] = await storeEvents(inbox, [event]);
    const job = await takeJob(inbox);
    const operator = await openSession(t, inbox.url);
    await operator('BEGIN');
    await operator('SELECT FROM webhook_events WHERE event_id = $1 FOR UPDATE', [event.eventId]);
    const { outcomes, buffer } = await runJobs(inbox, [job], [quickHandler('waited')]);
    t.same(outcomes, []);
    t.same(buffer.jobs(), [job], 'its worker keeps it');
    t.same(await effectsOf(event), []);
    await operator('COMMIT');
    t.match(await rowOf(inbox, event), { status: 'PENDING', attempts: 0, deferrals: 0, job_id: jobId });
    t.match(await runJob(inbox, job, [quickHandler('waited')]), { kind: 'processed' });
    t.same(await effectsOf(event), ['waited']);
    t.same(await failuresOf(inbox, event), []);
  },
);

t.test("a handler's own division by zero is its failure, not a lost claim", async (t) => {
  const event = newEvent();
  await storeEvents(inbox, [event]);
  const handler = defineHandler({
    provider: 'stripe',
    topic: '*',
    handle: async ({ tx }) => void (await tx.query('SELECT 1/0')),
  });
  t.match(await runNext(inbox, [handler]), { kind: 'failed' });
  t.match(await rowOf(inbox, event), {
    attempts: 1,
    last_error: /^error: division by zero \(SQLSTATE 22012\); statement: /,
  });
  await inbox.sql(`UPDATE webhook_events SET status = 'IGNORED' WHERE event_id = $1`, [event.eventId]);
  t.match(await runNext(inbox, []), { kind: 'gone' });
});

t.test('what fails only at COMMIT is a failure, with its cause', async (t) => {
  await inbox.sql('CREATE TABLE parents (id text PRIMARY KEY)');
  await inbox.sql('CREATE TABLE children (parent text REFERENCES parents DEFERRABLE INITIALLY DEFERRED)');
  const event = newEvent();
  await storeEvents(inbox, [event]);
  const handler = defineHandler({
    provider: 'stripe',
    topic: '*',
    handle: async ({ tx }) => void (await tx.query(`INSERT INTO children VALUES ('nobody')`)),
  });
  t.match(await runNext(inbox, [handler]), { kind: 'failed' });
  const { status, attempts, last_error } = await rowOf(inbox, event);
  t.same({ status, attempts }, { status: 'PENDING', attempts: 1 });
  t.match(last_error, /violates foreign key constraint.*23503/);
});

for (const [what, change] of [
  ['changes', `UPDATE webhook_events SET status = 'IGNORED' WHERE source = $1 AND event_id = $2`],
  ['deletes', 'DELETE FROM webhook_events WHERE source = $1 AND event_id = $2'],
] as const) {
  t.test(`an event whose handler ${what} its row is a dead letter that says so`, async (t) => {
    const inbox = await openInbox(t);
    const event = newEvent();
    await storeEvents(inbox, [event]);
    const handler = defineHandler({
      provider: 'stripe',
      topic: '*',
      handle: ({ event, tx }) => tx.query(change, [event.source, event.id]),
    });
    t.match(await runNext(inbox, [handler]), { kind: 'failed', reason: /own row/ });
    t.match(await rowOf(inbox, event), { status: 'FAILED', attempts: 1, last_error: /own row/ });
    t.same(await openJobsOf(inbox, event), []);
  });
}
