// A handler's schema: an asynchronous one runs within the attempt's time limit, and no message of one reaches an operator.
import t from 'tap';
import { z } from 'zod';
import { Later } from '../../src/errors.ts';
import { defineHandler, type Handler } from '../../src/handlers/handler.ts';
import type { StandardSchema } from '../../src/handlers/schema.ts';
import { startWorker } from '../../src/worker/worker.ts';
import { atEnd } from '../support/at-end.ts';
import {
  type AttemptOptions,
  failuresOf,
  openJobsOf,
  rowOf,
  runJob,
  runJobs,
  takeJob,
  workerDefaults,
} from '../support/attempt.ts';
import { makeGate } from '../support/gate.ts';
import { eventRows, newEvent, openInbox, openSession, storeEvents } from '../support/inbox.ts';
import { waitFor } from '../support/wait.ts';

type Validate = StandardSchema<unknown, unknown>['~standard']['validate'];

const schemaOf = (validate: Validate): StandardSchema<unknown, unknown> => ({
  '~standard': { version: 1, vendor: 'test', validate },
});

const handlerOf = (validate: Validate, handle: Handler['handle'] = async () => {}) =>
  defineHandler({ provider: 'stripe', topic: '*', payload: schemaOf(validate), handle });

const planted = 'planted-4242';
const inbox = await openInbox(t);

/** Stores an event and runs it once. @returns all that is kept of it afterwards */
async function runOnce(handlers: readonly Handler[], options?: AttemptOptions) {
  const event = newEvent();
  await storeEvents(inbox, [event]);
  await runJob(inbox, await takeJob(inbox), handlers, options);
  const kept = {
    event,
    row: await rowOf(inbox, event),
    failures: await failuresOf(inbox, event),
    jobs: await openJobsOf(inbox, event),
  };
  await inbox.sql('DELETE FROM pgboss.job');
  return kept;
}

t.test('no message of a schema is kept, of a path only names', async (t) => {
  const refuse = (path: PropertyKey[]) => ({ issues: [{ message: `bad ${planted}`, path }] });
  const schemas: Record<string, Validate> = {
    'data.items.0.sku': () => refuse(['data', 'items', 0, 'sku']),
    body: () => refuse([]),
    'people.….age': () => refuse(['people', `${planted}@example.com`, 'age']),
    'a, b': () => ({ issues: ['a', 'b', 'a'].map((key) => ({ message: planted, path: [{ key }] })) }),
    x: async () => refuse(['x']),
  };
  for (const [paths, validate] of Object.entries(schemas)) {
    const { row } = await runOnce([handlerOf(validate)]);
    t.match(row, { status: 'FAILED', attempts: 1 });
    t.equal(row.last_error, `PermanentError: the payload does not match the handler's schema at: ${paths}`);
  }
  t.notMatch(JSON.stringify(inbox.logs), planted);
});

t.test('a schema that throws is an ordinary failure: its message is not kept, its line is', async (t) => {
  const readJson = () => ({ value: JSON.parse(`${planted} is no JSON`) as unknown });
  for (const validate of [readJson, async () => readJson()]) {
    const kept = await runOnce([handlerOf(validate)]);
    t.match(kept.row, { status: 'PENDING', attempts: 1, last_error: /schema threw \(SyntaxError\)/ });
    t.match(kept.failures, [{ stack: /schema\.test\.ts/ }]);
    t.notMatch(JSON.stringify({ ...kept, event: null }), planted);
  }
  t.notMatch(JSON.stringify(inbox.logs), planted);
});

t.test('an asynchronous schema gives payload and entity; Later defers the event', async (t) => {
  const payload = z.object({ id: z.string() }).transform(async ({ id }) => ({ id, isKnown: true }));
  const seen: unknown[] = [];
  const handler = defineHandler({
    ...{ provider: 'stripe', topic: '*', payload },
    entity: ({ id, isKnown }) => `${id} ${isKnown}`,
    handle: async ({ payload }) => seen.push(payload),
  });
  const { event, row } = await runOnce([handler]);
  t.match(row, { status: 'PROCESSED', entity: `${event.eventId} true` });
  t.same(seen, [{ id: event.eventId, isKnown: true }]);

  const later = handlerOf(async () => {
    throw new Later({ afterSeconds: 60, reason: 'its order is not here yet' });
  });
  t.match((await runOnce([later])).row, { status: 'PENDING', attempts: 0, deferrals: 1 });
});

t.test('of two handlers one rejects at once and one later: the later one ends no process', async (t) => {
  const gate = makeGate();
  const handlers = [
    handlerOf(async () => {
      await gate.pass();
      throw new Error('later');
    }),
    handlerOf(() => ({ issues: [{ message: '', path: ['now'] }] })),
  ];
  t.match((await runOnce(handlers)).row, { status: 'FAILED', last_error: /at: now$/ });
  gate.open(); // an unhandled rejection would fail this file
  await new Promise(setImmediate);
});

t.test('validation and handler share one time limit', async (t) => {
  const timeoutMs = 4_000;
  let beganAt = 0;
  let abortedAt = 0;
  const slow = async (value: unknown) => {
    await new Promise((resolve) => setTimeout(resolve, timeoutMs - 1_000));
    return { value };
  };
  const handler = handlerOf(slow, async ({ signal }) => {
    beganAt = performance.now();
    await new Promise((resolve) => signal.addEventListener('abort', resolve));
    abortedAt = performance.now();
  });
  const { row } = await runOnce([handler], { timeoutMs });
  t.match(row, { status: 'PENDING', last_error: /handler ran longer than 4 s/ });
  t.ok(abortedAt - beganAt < timeoutMs - 1, `the handler had ${abortedAt - beganAt} ms, the rest`);

  const never = handlerOf(() => new Promise<never>(() => {}));
  t.match((await runOnce([never], { timeoutMs: 100 })).row, {
    ...{ status: 'PENDING', attempts: 1 },
    last_error: /the handler's schema ran longer than 0.1 s \(HANDLER_TIMEOUT_SECONDS\)/,
  });
});

t.test('asynchronous schemas run in the slots, each event alone, and not for a locked row', async (t) => {
  let calls = 0;
  let running = 0;
  let most = 0;
  const validate = async (value: unknown) => {
    calls++;
    most = Math.max(most, ++running);
    await new Promise(setImmediate);
    running--;
    return { value };
  };
  const transactions = new Set<unknown>();
  const handler = defineHandler({
    ...{ provider: 'stripe', topic: '*', payload: schemaOf(validate) },
    handle: async ({ tx }) => {
      transactions.add((await tx.query('SELECT pg_current_xact_id()::text AS id')).rows[0]!.id);
    },
    batch: async () => t.fail('batch was called'),
  });
  await runOnce([handler]); // from now on the schema is known to be asynchronous
  transactions.clear();
  calls = 0;
  most = 0;
  const events = Array.from({ length: 8 }, () => newEvent());
  const locked = newEvent();
  await storeEvents(inbox, [...events, locked], 9);
  const operator = await openSession(t, inbox.url);
  await operator('BEGIN');
  await operator('SELECT FROM webhook_events WHERE event_id = $1 FOR UPDATE', [locked.eventId]);
  await runJobs(inbox, [await takeJob(inbox)], [handler], { concurrency: 2 });
  t.same(new Set((await eventRows(inbox, events)).map(({ status }) => status)), new Set(['PROCESSED']));
  t.equal(transactions.size, events.length);
  t.ok(most <= 2, `${most} validations at once, no more than slots`);
  t.match(await rowOf(inbox, locked), { status: 'PENDING', attempts: 0 });
  t.equal(calls, events.length, 'none for the locked row');
});

t.test('while a schema does not settle, its event holds no connection', async (t) => {
  const inbox = await openInbox(t, { maxConnections: 1 });
  const stuck = newEvent({ topic: 'stuck' });
  const others = Array.from({ length: 5 }, () => newEvent());
  await storeEvents(inbox, [stuck, ...others]);
  const gate = makeGate();
  const slow = defineHandler({
    ...{ provider: 'stripe', topic: 'stuck' },
    payload: schemaOf(async (value) => {
      await gate.pass();
      return { value };
    }),
    handle: async () => {},
  });
  const quick = defineHandler({ provider: 'stripe', topic: 'invoice.paid', handle: async () => {} });
  const worker = startWorker({
    ...{ ...inbox, ...workerDefaults, concurrency: 2, heartbeatMs: 30_000, pollMs: 100 },
    handlers: () => [slow, quick],
  });
  atEnd(t, () => worker.stop(1_000));
  const areProcessed = async (events: typeof others) =>
    (await eventRows(inbox, events)).every(({ status }) => status === 'PROCESSED');
  await waitFor(() => areProcessed(others), { what: 'the other events to be handled', timeoutMs: 60_000 });
  t.match(await rowOf(inbox, stuck), { status: 'PENDING', attempts: 0 });
  t.equal(gate.arrived(), 2, 'at the first sight and in the attempt');
  gate.open();
  await waitFor(() => areProcessed([stuck]), { what: 'the slow event to be handled', timeoutMs: 60_000 });
});

t.test('a payload that is no Standard Schema is refused with the remedy', async (t) => {
  const old = { safeParse: () => ({ success: true }) } as unknown as StandardSchema;
  t.throws(
    () => defineHandler({ provider: 'stripe', topic: '*', payload: old, handle: async () => {} }),
    /payload must be a schema of zod 3\.24 or newer/,
  );
});
