// One attempt: effects and status in one commit, or neither; and each of a handler's outcomes.
import t from 'tap';
import { z } from 'zod';
import { ConnectionLostError, type Database } from '../../src/database/database.ts';
import { Later, PermanentError } from '../../src/errors.ts';
import { defineHandler, type HandlerEvent } from '../../src/handlers/handler.ts';
import { enqueueEventsWithoutJob } from '../../src/maintenance/reconcile.ts';
import {
  failuresOf,
  loseJobs,
  makeDue,
  openJobsOf,
  rowOf,
  runJob,
  runJobs,
  runNext,
  takeJob,
} from '../support/attempt.ts';
import { makeGate } from '../support/gate.ts';
import { newEvent, openInbox, openSession, storeEvents } from '../support/inbox.ts';
import { waitFor } from '../support/wait.ts';

const inbox = await openInbox(t);
await inbox.sql('CREATE TABLE effects (event_id text, note text)'); // no unique key: twice would show

const effect = 'INSERT INTO effects (event_id, note) VALUES ($1, $2)';
const handlerOf = (handle: Parameters<typeof defineHandler>[0]['handle']) =>
  defineHandler({ provider: 'stripe', topic: '*', handle });

async function effectsOf({ eventId }: { eventId: string }): Promise<unknown[]> {
  const rows = await inbox.sql('SELECT note FROM effects WHERE event_id = $1', [eventId]);
  return rows.map(({ note }) => note);
}

t.test('the effects and PROCESSED are one commit', async (t) => {
  const event = newEvent({ occurredAt: new Date('2026-05-01T00:00:00Z'), headers: { 'user-agent': 'x' } });
  await storeEvents(inbox, [event]);
  const gate = makeGate();
  const seen: HandlerEvent[] = [];
  const handler = handlerOf(async ({ event, payload, tx }) => {
    seen.push(event);
    await tx.query(effect, [event.id, JSON.stringify(payload)]);
    await gate.pass();
  });
  const attempt = runNext(inbox, [handler]);
  await waitFor(() => gate.arrived() === 1, { what: 'the handler' });
  t.same(await effectsOf(event), [], 'not before the commit');
  t.match(await rowOf(inbox, event), { status: 'PENDING', attempts: 0 });
  gate.open();

  t.match(await attempt, { kind: 'processed' });
  t.same(await effectsOf(event), [`{"id":"${event.eventId}"}`]);
  const row = await rowOf(inbox, event);
  t.match(row, { status: 'PROCESSED', attempts: 1, last_error: null, ignored_reason: null });
  t.ok((row.processed_at as Date) >= (row.received_at as Date));
  t.same(await openJobsOf(inbox, event), []);
  t.same(seen, [
    {
      id: event.eventId,
      source: 'stripe',
      provider: 'stripe',
      topic: 'invoice.paid',
      receivedAt: row.received_at,
      occurredAt: event.occurredAt,
      attempt: 1,
      headers: { 'user-agent': 'x' },
      rawBody: null,
    },
  ]);
});

t.test(
  'a throw rolls back, is recorded, and is tried again after 1-2, 2-4, 4-8 and 8-16 minutes',
  async (t) => {
    const event = newEvent();
    await storeEvents(inbox, [event]);
    const attempts: number[] = [];
    const handler = handlerOf(async ({ event, tx }) => {
      attempts.push(event.attempt);
      await tx.query(effect, [event.id, 'never']);
      throw new Error(`boom ${event.attempt}`);
    });
    for (const [low, high] of [
      [60, 120],
      [120, 240],
      [240, 480],
      [480, 960],
    ] as const) {
      t.match(await runJob(inbox, await takeJob(inbox), [handler]), { kind: 'failed', isDead: false });
      const [job, ...others] = await openJobsOf(inbox, event);
      t.match(job, { state: 'created', name: 'webhooks', events: 1 });
      t.equal(others.length, 0);
      const seconds = job?.in_seconds as number;
      t.ok(seconds > low - 5 && seconds <= high, `${Math.round(seconds)} s`);
      t.match(await rowOf(inbox, event), { status: 'PENDING', attempts: attempts.length });
      await makeDue(inbox);
    }
    t.match(await runNext(inbox, [handler]), { kind: 'failed', isDead: true });
    t.match(await rowOf(inbox, event), { status: 'FAILED', attempts: 5, last_error: 'Error: boom 5' });
    const failures = await failuresOf(inbox, event);
    t.same(
      failures.map(({ error }) => error),
      [1, 2, 3, 4, 5].map((n) => `Error: boom ${n}`),
    );
    const jobIds = new Set<unknown>();
    for (const { stack, started_at, failed_at, job_id } of failures) {
      t.match(stack, /^\s+at .*attempt\.test\.ts/);
      t.notMatch(stack, /boom/);
      t.ok((started_at as Date) <= (failed_at as Date));
      jobIds.add(job_id);
    }
    t.equal(jobIds.size, 5, 'each attempt had a job of its own');
    t.same(attempts, [1, 2, 3, 4, 5]);
    t.same(await effectsOf(event), []);
    await inbox.queue.stop; // nothing is left to run
    t.equal((await inbox.queue.fetch(1)).length, 0);
  },
);

t.test('PermanentError is a dead letter at once', async (t) => {
  const event = newEvent();
  await storeEvents(inbox, [event]);
  const handler = handlerOf(async ({ event, tx }) => {
    await tx.query(effect, [event.id, 'never']);
    throw new PermanentError('the order was deleted');
  });
  t.match(await runNext(inbox, [handler]), { kind: 'failed' });
  t.match(await rowOf(inbox, event), {
    status: 'FAILED',
    attempts: 1,
    last_error: 'PermanentError: the order was deleted',
  });
  t.equal((await failuresOf(inbox, event)).length, 1);
  t.same(await openJobsOf(inbox, event), [], 'not even in the dead-letter queue');
  t.same(await effectsOf(event), []);
});

t.test(
  'a payload that does not match is a dead letter at once, and says where without the value',
  async (t) => {
    const event = newEvent({ payloadText: '{"amount":"a private matter","items":[{"sku":1}]}' });
    await storeEvents(inbox, [event]);
    const handler = defineHandler({
      provider: 'stripe',
      topic: '*',
      payload: z.object({ amount: z.number(), items: z.array(z.object({ sku: z.string() })) }),
      handle: async () => t.fail('it must not be called'),
    });
    t.match(await runNext(inbox, [handler]), { kind: 'failed' });
    const { status, last_error } = await rowOf(inbox, event);
    t.equal(status, 'FAILED');
    t.match(last_error, /at: amount, items\.0\.sku$/);
    t.notMatch(last_error, /private/);
  },
);

t.test('a handler gets the payload as its schema gives it', async (t) => {
  await storeEvents(inbox, [newEvent({ payloadText: '{"amount":"12","extra":true}' })]);
  let seen: unknown;
  const handler = defineHandler({
    provider: 'stripe',
    topic: '*',
    payload: z.object({ amount: z.coerce.number(), currency: z.string().default('eur') }),
    handle: async ({ payload }) => {
      seen = payload;
    },
  });
  t.match(await runNext(inbox, [handler]), { kind: 'processed' });
  t.same(seen, { amount: 12, currency: 'eur' });
});

t.test('Later comes back at its time and costs no failure', async (t) => {
  const event = newEvent();
  await storeEvents(inbox, [event]);
  let isThere = false;
  const handler = handlerOf(async ({ event, tx }) => {
    await tx.query(effect, [event.id, 'done']);
    if (!isThere) throw new Later({ afterSeconds: 90, reason: 'its order is not here yet' });
  });
  const outcome = await runJob(inbox, await takeJob(inbox), [handler]);
  t.match(outcome, { kind: 'deferred', reason: /its order is not here yet/ });
  const [job, ...others] = await openJobsOf(inbox, event);
  t.equal(others.length, 0);
  t.match(job, { state: 'created' });
  t.ok((job?.in_seconds as number) > 85 && (job?.in_seconds as number) <= 90);
  const row = await rowOf(inbox, event);
  t.match(row, { status: 'PENDING', attempts: 0, deferrals: 1, last_error: null, job_id: job?.id });
  t.same(await failuresOf(inbox, event), []);
  t.same(await effectsOf(event), [], 'rolled back');

  isThere = true;
  await makeDue(inbox);
  t.match(await runNext(inbox, [handler]), { kind: 'processed' });
  t.match(await rowOf(inbox, event), { status: 'PROCESSED', attempts: 1, deferrals: 1 });
  t.same(await effectsOf(event), ['done']);
});

t.test('Later keeps the count of the failures before it', async (t) => {
  const event = newEvent();
  await storeEvents(inbox, [event]);
  const fails = handlerOf(async () => {
    throw new Error('boom');
  });
  const later = handlerOf(async () => {
    throw new Later();
  });
  for (const handler of [fails, fails, later, fails, later, later, fails]) await runNext(inbox, [handler]);
  t.match(await rowOf(inbox, event), { status: 'PENDING', attempts: 4, deferrals: 3 });
  t.match(await runNext(inbox, [fails]), { kind: 'failed', isDead: true }, 'the fifth failure');
  t.match(await rowOf(inbox, event), { status: 'FAILED', attempts: 5 });
  t.equal((await failuresOf(inbox, event)).length, 5);
});

t.test('Later beyond MAX_DEFERRALS is a failure', async (t) => {
  const event = newEvent();
  await storeEvents(inbox, [event]);
  const handler = handlerOf(async () => {
    throw new Later({ reason: 'no order' });
  });
  const kinds = [];
  for (let i = 0; i < 8; i++) kinds.push((await runNext(inbox, [handler], { maxDeferrals: 3 })).kind);
  t.same(kinds, [...Array(3).fill('deferred'), ...Array(5).fill('failed')]);
  const { status, last_error } = await rowOf(inbox, event);
  t.equal(status, 'FAILED');
  t.match(last_error, /deferred 3 times \(MAX_DEFERRALS\): no order/);
});

t.test('an event that no handler is for is IGNORED, and replayable once there is one', async (t) => {
  const event = newEvent({ topic: 'account.updated' });
  await storeEvents(inbox, [event]);
  const other = defineHandler({ provider: 'shopify', topic: '*', handle: async () => {} });
  t.match(await runNext(inbox, [other]), { kind: 'ignored' });
  t.match(await rowOf(inbox, event), {
    status: 'IGNORED',
    ignored_reason: 'no handler for stripe account.updated',
    attempts: 0,
    processed_at: null,
  });
  t.same(await openJobsOf(inbox, event), []);

  await inbox.sql(`UPDATE webhook_events SET status = 'PENDING' WHERE event_id = $1`, [event.eventId]);
  t.equal(await enqueueEventsWithoutJob(inbox), 1);
  t.match(await runNext(inbox, [other, handlerOf(async () => {})]), { kind: 'processed' });
  t.match(await rowOf(inbox, event), { status: 'PROCESSED', ignored_reason: null });
});

t.test('several handlers of one event run in order, in one transaction', async (t) => {
  const [good, bad] = [newEvent(), newEvent()];
  await storeEvents(inbox, [good]);
  const note = (name: string) =>
    handlerOf(async ({ event, tx }) => void (await tx.query(effect, [event.id, name])));
  t.match(await runNext(inbox, [note('first'), note('second')]), { kind: 'processed' });
  t.same(await effectsOf(good), ['first', 'second']);
  t.match(await rowOf(inbox, good), { attempts: 1 });

  await storeEvents(inbox, [bad]);
  const third = handlerOf(async () => {
    throw new PermanentError('no');
  });
  t.match(await runNext(inbox, [note('first'), third]), { kind: 'failed' });
  t.same(await effectsOf(bad), [], 'the first one is rolled back with the second');
});

t.test('a job whose event is settled already runs nothing', async (t) => {
  const event = newEvent();
  await storeEvents(inbox, [event]);
  await inbox.sql(`UPDATE webhook_events SET status = 'PROCESSED' WHERE event_id = $1`, [event.eventId]);
  const handler = handlerOf(async () => t.fail('it must not be called'));
  t.match(await runNext(inbox, [handler]), { kind: 'gone' });
  t.same(await openJobsOf(inbox, event), []);
  t.match(await rowOf(inbox, event), { status: 'PROCESSED', attempts: 0 });
});

t.test('a value that cannot be sent fails its own attempt, and none after it', async (t) => {
  const single = await openInbox(t, { maxConnections: 1 }); // all attempts on one connection
  await single.sql('CREATE TABLE notes (event_id text, note jsonb)');
  const [wrong, right] = [newEvent({ topic: 'wrong' }), newEvent({ topic: 'right' })];
  await storeEvents(single, [wrong]);
  const handler = handlerOf(async ({ event, tx }) => {
    const note = event.topic === 'wrong' ? { amount: 10n } : {}; // JSON knows no bigint
    await tx.query('INSERT INTO notes (event_id, note) VALUES ($1, $2)', [event.id, note]);
  });
  t.match(await runJob(single, await takeJob(single), [handler]), { kind: 'failed', reason: /BigInt/ });
  await storeEvents(single, [right]);
  t.match(await runJob(single, await takeJob(single), [handler]), { kind: 'processed' });
});

t.test(
  'a handler that goes on after such a value commits, and its connection is not used again',
  async (t) => {
    const single = await openInbox(t, { maxConnections: 1 });
    await single.sql('CREATE TABLE notes (event_id text, note jsonb)');
    const events = [newEvent(), newEvent()];
    await storeEvents(single, events);
    const insert = 'INSERT INTO notes (event_id, note) VALUES ($1, $2)';
    const swallowing = handlerOf(({ event, tx }) =>
      tx.query(insert, [event.id, { amount: 10n }]).catch(() => {}),
    );
    const next = handlerOf(({ event, tx }) => tx.query(insert, [event.id, {}]));
    t.match(await runJob(single, await takeJob(single), [swallowing]), { kind: 'processed' });
    t.match(await runJob(single, await takeJob(single), [next]), { kind: 'processed' });
  },
);

t.test('an event without a handler whose row is locked stays in hand, and nothing waits', async (t) => {
  const event = newEvent();
  await storeEvents(inbox, [event]);
  const operator = await openSession(t, inbox.url);
  await operator('BEGIN');
  await operator('SELECT FROM webhook_events WHERE event_id = $1 FOR UPDATE', [event.eventId]);
  const { buffer } = await runJobs(inbox, [await takeJob(inbox)], []);
  t.equal(buffer.jobs().length, 1, 'its heartbeat goes on');
  await operator('ROLLBACK');
  t.same(await failuresOf(inbox, event), []);
  await loseJobs(inbox);
  await inbox.sql(`DELETE FROM pgboss.job`);
});

t.test('a failure whose COMMIT was not answered is recorded once', async (t) => {
  const event = newEvent();
  await storeEvents(inbox, [event]);
  let count = 0;
  const database: Database = {
    ...inbox.database,
    transaction: async (work, options) => {
      const result = await inbox.database.transaction(work, options);
      const isSettling = options?.settings?.synchronous_commit === 'on';
      if (isSettling && ++count === 1) throw new ConnectionLostError(new Error('no answer'));
      return result;
    },
  };
  const boom = handlerOf(async () => {
    throw new Error('boom');
  });
  await runJob({ ...inbox, database }, await takeJob(inbox), [boom]);
  t.equal(count, 2, 'it was settled twice');
  t.match(await failuresOf(inbox, event), [{ error: 'Error: boom' }]);
  t.equal((await failuresOf(inbox, event)).length, 1);
  t.match(await rowOf(inbox, event), { status: 'PENDING', attempts: 1 });
  t.match(await openJobsOf(inbox, event), [{ state: 'created' }]);
});
