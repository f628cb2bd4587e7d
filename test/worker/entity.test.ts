// Events of one entity run one at a time, and an older one is not run after a newer.
import t from 'tap';
import { defineHandler, type Handler } from '../../src/handlers/handler.ts';
import { timeOfUuid } from '../../src/queue/time-ordered-uuid.ts';
import { openJobsOf, rowOf, runJob, runNext, takeJob } from '../support/attempt.ts';
import { makeGate } from '../support/gate.ts';
import { newEvent, openInbox, openInboxOn, storeEvents } from '../support/inbox.ts';
import { waitFor } from '../support/wait.ts';

const inbox = await openInbox(t);
await inbox.sql('CREATE TABLE effects (n bigserial, event_id text, entity text)');

const at = (minute: number) => new Date(Date.UTC(2026, 0, 1, 12, minute));
const entityOf = (payload: unknown) => (payload as { entity: string | null }).entity;
const handlerOf = (overrides: Partial<Handler> = {}) =>
  defineHandler({
    provider: 'stripe',
    topic: '*',
    entity: entityOf,
    handle: async ({ event, payload, tx }) => {
      await tx.query('INSERT INTO effects (event_id, entity) VALUES ($1, $2)', [event.id, entityOf(payload)]);
    },
    ...overrides,
  } as Handler);
const eventAbout = (entity: string | null, occurredAt: Date | null, overrides = {}) =>
  newEvent({ payloadText: JSON.stringify({ entity }), occurredAt, ...overrides });

async function clockOf(entity: string, source = 'stripe'): Promise<unknown> {
  const [row] = await inbox.sql('SELECT * FROM entity_clock WHERE source = $1 AND entity = $2', [
    source,
    entity,
  ]);
  return row;
}

t.test('the older of an out-of-order pair is IGNORED as stale', async (t) => {
  const [older, newer] = [eventAbout('pi_1', at(1)), eventAbout('pi_1', at(2))];
  await storeEvents(inbox, [newer]);
  t.match(await runNext(inbox, [handlerOf()]), { kind: 'processed' });
  t.match(await clockOf('pi_1'), { last_occurred_at: at(2), last_event_id: newer.eventId });
  await storeEvents(inbox, [older]);
  t.match(await runNext(inbox, [handlerOf()]), { kind: 'ignored', reason: 'stale' });
  t.match(await rowOf(inbox, older), {
    status: 'IGNORED',
    ignored_reason: 'stale',
    entity: 'pi_1',
    attempts: 0,
  });
  t.match(await rowOf(inbox, newer), { status: 'PROCESSED', entity: 'pi_1' });
  t.same(await openJobsOf(inbox, older), []);
  t.match(
    await clockOf('pi_1'),
    { last_occurred_at: at(2), last_event_id: newer.eventId },
    'not turned back',
  );
});

t.test('equal times run, and so do events without a time', async (t) => {
  const events = [
    eventAbout('pi_2', at(5)),
    eventAbout('pi_2', at(5)),
    eventAbout('pi_2', null),
    eventAbout('pi_2', at(5)),
  ];
  for (const event of events) {
    await storeEvents(inbox, [event]);
    t.match(await runNext(inbox, [handlerOf()]), { kind: 'processed' });
  }
  t.match(await clockOf('pi_2'), { last_occurred_at: at(5), last_event_id: events[3]!.eventId });
});

t.test('whenStale "handle" runs the older one too, and does not turn the clock back', async (t) => {
  const [older, newer] = [eventAbout('pi_3', at(1)), eventAbout('pi_3', at(2))];
  for (const event of [newer, older]) {
    await storeEvents(inbox, [event]);
    t.match(await runNext(inbox, [handlerOf({ whenStale: 'handle' })]), { kind: 'processed' });
  }
  t.match(await clockOf('pi_3'), { last_occurred_at: at(2), last_event_id: newer.eventId });
});

t.test('an entity belongs to its source', async (t) => {
  const events = [eventAbout('pi_4', at(9)), eventAbout('pi_4', at(1), { source: 'stripe-eu' })];
  for (const event of events) {
    await storeEvents(inbox, [event]);
    t.match(await runNext(inbox, [handlerOf()]), { kind: 'processed' });
  }
  t.match(await clockOf('pi_4', 'stripe-eu'), { last_occurred_at: at(1) });
});

t.test('an event that failed does not move the clock', async (t) => {
  const event = eventAbout('pi_5', at(9));
  await storeEvents(inbox, [event]);
  const failing = handlerOf({
    handle: async () => {
      throw new Error('boom');
    },
  });
  t.match(await runNext(inbox, [failing]), { kind: 'failed' });
  t.equal(await clockOf('pi_5'), undefined);
  t.match(await runNext(inbox, [handlerOf()]), { kind: 'processed' });
});

t.test('of two handlers with an entity each, only the stale one is left out', async (t) => {
  const bySecond = (payload: unknown) => (payload as { second: string }).second;
  const handlers = [
    handlerOf(),
    handlerOf({
      entity: bySecond,
      handle: async ({ event, payload, tx }) => {
        await tx.query('INSERT INTO effects (event_id, entity) VALUES ($1, $2)', [
          event.id,
          bySecond(payload),
        ]);
      },
    }),
  ];
  const newest = eventAbout('a', at(8));
  const mixed = newEvent({ payloadText: '{"entity":"a","second":"b"}', occurredAt: at(3) });
  await storeEvents(inbox, [newest]);
  t.match(await runNext(inbox, [handlerOf()]), { kind: 'processed' });
  await storeEvents(inbox, [mixed]);
  t.match(await runNext(inbox, handlers), { kind: 'processed' });
  const effects = await inbox.sql('SELECT entity FROM effects WHERE event_id = $1', [mixed.eventId]);
  t.same(effects, [{ entity: 'b' }]);
  t.match(await clockOf('a'), { last_occurred_at: at(8) });
  t.match(await clockOf('b'), { last_occurred_at: at(3) });
});

t.test('an event whose handler names no entity is neither ordered nor serialised', async (t) => {
  const event = eventAbout(null, at(1));
  await storeEvents(inbox, [event]);
  t.match(await runNext(inbox, [handlerOf()]), { kind: 'processed' });
  t.match(await rowOf(inbox, event), { entity: null });
});

t.test('an entity that is no short text is a dead letter at once', async (t) => {
  for (const entity of ['', 'x'.repeat(256), 7]) {
    const event = newEvent({ payloadText: JSON.stringify({ entity }) });
    await storeEvents(inbox, [event]);
    t.match(await runNext(inbox, [handlerOf()]), { kind: 'failed', reason: /entity\(\) must return/ });
    t.match(await rowOf(inbox, event), { status: 'FAILED' });
  }
});

t.test('across two workers, the second waits for the first and then sees its clock', async (t) => {
  const other = await openInboxOn(t, inbox.url);
  const [older, newer] = [eventAbout('pi_6', at(1)), eventAbout('pi_6', at(2))];
  const gate = makeGate();
  await storeEvents(inbox, [newer]);
  const slow = handlerOf({ handle: () => gate.pass() });
  const first = runJob(inbox, await takeJob(inbox), [slow]);
  await waitFor(() => gate.arrived() === 1, { what: 'the newer event to be inside' });

  await storeEvents(inbox, [older]);
  let hasRun = false;
  const spy = handlerOf({
    handle: async () => {
      hasRun = true;
    },
  });
  const second = runJob(other, await takeJob(other), [spy]);
  await waitFor(
    async () =>
      (
        await inbox.sql(`SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted
         AND database = (SELECT oid FROM pg_database WHERE datname = current_database())`)
      ).length === 1,
    { what: 'the older event to wait' },
  );
  gate.open();
  t.match(await first, { kind: 'processed' });
  t.match(await second, { kind: 'ignored', reason: 'stale' });
  t.notOk(hasRun);
});

t.test('events that share two entities do not deadlock', async (t) => {
  const other = await openInboxOn(t, inbox.url);
  const pair = (first: string, second: string) =>
    newEvent({ payloadText: JSON.stringify({ entity: first, second }) });
  const handlers = [handlerOf(), handlerOf({ entity: (payload) => (payload as { second: string }).second })];
  const events = Array.from({ length: 20 }, (_, i) => (i % 2 ? pair('x', 'y') : pair('y', 'x')));
  await storeEvents(inbox, events);
  const run = async (side: typeof inbox) => {
    const kinds = [];
    for (let i = 0; i < 10; i++) kinds.push((await runJob(side, await takeJob(side), handlers)).kind);
    return kinds;
  };
  const kinds = (await Promise.all([run(inbox), run(other)])).flat();
  t.ok(
    kinds.every((kind) => kind === 'processed'),
    String(kinds),
  );
});

t.test('an entity that stays busy costs its event no failure: it comes back', async (t) => {
  const other = await openInboxOn(t, inbox.url);
  const [holder, waiter] = [eventAbout('pi_7', at(1)), eventAbout('pi_7', at(2))];
  const gate = makeGate();
  await storeEvents(inbox, [holder]);
  const first = runJob(inbox, await takeJob(inbox), [handlerOf({ handle: () => gate.pass() })]);
  await waitFor(() => gate.arrived() === 1, { what: 'the first event to be inside' });
  await storeEvents(inbox, [waiter]);
  const busy = await takeJob(other);
  const outcome = await runJob(other, busy, [handlerOf()]);
  t.match(outcome, { kind: 'released', reason: /another event of its entity/ });
  t.match(await rowOf(inbox, waiter), { status: 'PENDING', attempts: 0, deferrals: 0 });
  const [job] = await openJobsOf(inbox, waiter);
  t.ok((job?.in_seconds as number) > 0 && (job?.in_seconds as number) <= 2, 'in 2 s');
  const { job_id: jobId } = await rowOf(inbox, waiter);
  t.not(jobId, busy.id);
  t.equal(timeOfUuid(String(jobId)), timeOfUuid(busy.id), 'and it has waited since its first job');
  gate.open();
  t.match(await first, { kind: 'processed' });
});
