// Quick attempts that share a transaction: what one of them does is never another's loss.
import t from 'tap';
import { ConnectionLostError } from '../../src/database/database.ts';
import { PermanentError } from '../../src/errors.ts';
import { readEvents } from '../../src/events/event.ts';
import { defineHandler, type Handler } from '../../src/handlers/handler.ts';
import { type AttemptDeps, assign } from '../../src/worker/attempt.ts';
import { isShareable, mayJoin, runShared, type SharedOutcome } from '../../src/worker/shared-transaction.ts';
import { type HandlerPace, trackPace } from '../../src/worker/timings.ts';
import { rowOf, takeJob } from '../support/attempt.ts';
import { newEvent, openInbox, openSession, storeEvents } from '../support/inbox.ts';

const inbox = await openInbox(t);
// No unique key: twice would show.
await inbox.sql('CREATE TABLE effects (event_id text, transaction xid8 DEFAULT pg_current_xact_id())');
await inbox.sql('CREATE TABLE checked (value int UNIQUE DEFERRABLE INITIALLY DEFERRED)');

const quick: HandlerPace = { record: () => {}, recordConflict: () => {}, isQuick: () => true };
type Handle = Parameters<typeof defineHandler>[0]['handle'];
const handlerOf = (handle: Handle) => defineHandler({ provider: 'stripe', topic: '*', handle });

/** Writes the effect of each event and then does what `also` has under the event's place in the row. */
function effects(also: Record<number, Handle> = {}) {
  const seen: string[] = [];
  const handler = handlerOf(async (context) => {
    const place = seen.push(context.event.id) - 1;
    await context.tx.query('INSERT INTO effects (event_id) VALUES ($1)', [context.event.id]);
    await also[place]?.(context);
  });
  return { handler, seen };
}

/** Runs `count` new events through `handler` in one transaction, if they allow it. */
async function share(
  count: number,
  handler: Handler,
  deps: Partial<AttemptDeps> = {},
  signal?: AbortSignal,
  before: (ids: string[]) => Promise<void> = async () => {},
) {
  const events = Array.from({ length: count }, () => newEvent());
  await storeEvents(inbox, events);
  const jobs = await inbox.queue.fetch(count);
  const rows = await readEvents(inbox.database, events);
  const assignments = events.map(({ eventId, jobId }) =>
    assign(jobs.find(({ id }) => id === jobId)!, rows.find((row) => row.eventId === eventId)!, [handler]),
  );
  const ids = events.map(({ eventId }) => eventId);
  await before(ids);
  const outcome = await runShared(
    assignments,
    () => true,
    { ...inbox, timeoutMs: 60_000, maxDeferrals: 100, pace: quick, ...deps },
    signal ?? new AbortController().signal,
    () => {},
  );
  return {
    events,
    ids,
    jobs,
    told: places(outcome, ids),
    failed: outcome.failed,
    left: outcome.left.length,
    held: outcome.held.map(({ event }) => ids.indexOf(event.eventId)),
  };
}

/** The outcome, with each event as its place in the row. */
function places(outcome: SharedOutcome, ids: string[]) {
  const placeOf = ({ event }: { event: { eventId: string } }) => ids.indexOf(event.eventId);
  return {
    processed: outcome.processed.map(({ assignment }) => placeOf(assignment)),
    failed: outcome.failed.map(({ assignment }) => placeOf(assignment)),
    alone: outcome.alone.map(placeOf),
  };
}

/** Which of the events are PROCESSED; each of these must have one effect, and the others none. */
async function processedOf(ids: string[]): Promise<number[]> {
  const rows = await inbox.sql(
    `SELECT event_id, status, (SELECT count(*)::int FROM effects f WHERE f.event_id = e.event_id) AS effects
     FROM webhook_events e WHERE event_id = ANY($1)`,
    [ids],
  );
  for (const { status, effects } of rows) {
    if (effects !== (status === 'PROCESSED' ? 1 : 0)) throw new Error(`${effects} effects and ${status}`);
  }
  return rows
    .filter(({ status }) => status === 'PROCESSED')
    .map((row) => ids.indexOf(row.event_id as string))
    .sort();
}

t.test('events in a row are one transaction, and each is PROCESSED with its effect', async (t) => {
  const { handler } = effects();
  const { ids, told, events } = await share(4, handler);
  t.same(told, { processed: [0, 1, 2, 3], failed: [], alone: [] });
  t.same(await processedOf(ids), [0, 1, 2, 3]);
  const transactions = await inbox.sql('SELECT DISTINCT transaction FROM effects WHERE event_id = ANY($1)', [
    ids,
  ]);
  t.equal(transactions.length, 1);
  t.match(await rowOf(inbox, events[3]!), { attempts: 1, last_error: null });
});

t.test('what fails is taken back alone, ends the row, and the others are not run again', async (t) => {
  for (const [title, fails] of Object.entries<Handle>({
    'a throw': async () => {
      throw new PermanentError('not this one');
    },
    'a statement that failed': ({ tx }) => tx.query('SELECT 1/0'),
    'a failed statement that was swallowed': async ({ tx }) => {
      await tx.query('SELECT 1/0').catch(() => {});
    },
    'a refused statement': ({ tx }) => tx.query('COMMIT'),
  })) {
    const { handler, seen } = effects({ 2: fails });
    const { ids, told, left } = await share(5, handler);
    t.same(told, { processed: [0, 1], failed: [2], alone: [] }, title);
    t.same(await processedOf(ids), [0, 1], title);
    t.equal(left, 2, 'the rest has not begun');
    t.same(seen, ids.slice(0, 3), 'each was run once');
  }
});

t.test('the first one fails with nobody beside it', async (t) => {
  const { handler } = effects({ 0: ({ tx }) => tx.query('SELECT 1/0') });
  const { ids, told, failed } = await share(3, handler);
  t.same(told, { processed: [], failed: [0], alone: [] });
  t.match(failed[0]?.error, { code: '22012' });
  t.same(await processedOf(ids), []);
});

t.test('a statement that was not awaited and fails is charged to its own handler', async (t) => {
  const forgets: Handle = async ({ tx }) => {
    void tx.query('SELECT 1/0').catch(() => {});
  };
  const { handler, seen } = effects({ 1: forgets });
  const { ids, told, failed } = await share(3, handler);
  t.same(told, { processed: [0], failed: [1], alone: [] });
  t.match(String(failed[0]?.error), /division by zero/);
  t.same(await processedOf(ids), [0]);
  t.same(seen, ids.slice(0, 2));
});

t.test('where two wait for each other, the one that is told to yield is run alone', async (t) => {
  // As a deadlock's victim is told: a function may raise it, and two rows in two orders would take a second.
  await inbox.sql(`CREATE FUNCTION yield_to_other() RETURNS void LANGUAGE plpgsql AS
    $$ BEGIN RAISE SQLSTATE '40P01'; END $$`);
  const conflicts: Handler[] = [];
  const pace = { ...quick, recordConflict: (handler: Handler) => void conflicts.push(handler) };
  const { handler } = effects({ 1: ({ tx }) => tx.query('SELECT yield_to_other()') });
  const { ids, told } = await share(3, handler, { pace });
  t.same(told, { processed: [0], failed: [], alone: [1] });
  t.same(await processedOf(ids), [0]);
  t.same(conflicts, [handler]);
});

t.test(
  'one that runs out of its time takes the connection along: it is charged, the others are not',
  async (t) => {
    const { handler } = effects({ 1: () => new Promise(() => {}) });
    const { ids, told, failed } = await share(3, handler, { timeoutMs: 200 });
    t.same(told, { processed: [], failed: [1], alone: [0] });
    t.match(failed[0]?.error, { name: 'HandlerTimeoutError' });
    t.same(await processedOf(ids), []);
  },
);

t.test('a lost connection is nobody’s fault', async (t) => {
  const { handler } = effects({ 1: ({ tx }) => tx.query('SELECT pg_terminate_backend(pg_backend_pid())') });
  const { ids, told, failed } = await share(3, handler);
  t.same(told, { processed: [], failed: [0, 1], alone: [] });
  for (const { error } of failed) t.ok(error instanceof ConnectionLostError);
  t.same(await processedOf(ids), []);
});

t.test('a COMMIT that fails: each is run alone, where it fails alone', async (t) => {
  const { handler } = effects({
    1: ({ tx }) => tx.query('INSERT INTO checked VALUES (1), (1)'), // deferred: only COMMIT finds it
  });
  const { ids, told } = await share(3, handler);
  t.same(told, { processed: [], failed: [], alone: [0, 1, 2] });
  t.same(await processedOf(ids), []);
});

t.test(
  'an event that somebody else settled meanwhile, or holds, is left out before the first handler',
  async (t) => {
    const operator = await openSession(t, inbox.url);
    for (const [title, change] of Object.entries({
      settled: `UPDATE webhook_events SET status = 'IGNORED', ignored_reason = 'by hand' WHERE event_id = $1`,
      held: 'SELECT FROM webhook_events WHERE event_id = $1 FOR UPDATE',
    })) {
      for (const place of [0, 1, 2]) {
        const { handler, seen } = effects();
        const { ids, told, held } = await share(3, handler, {}, undefined, async (ids) => {
          await operator('BEGIN');
          await operator(change, [ids[place]]);
          if (title === 'settled') await operator('COMMIT');
        });
        const others = [0, 1, 2].filter((other) => other !== place);
        t.same(
          { ...told, held },
          { processed: others, failed: [], alone: [], held: [place] },
          `${title} ${place}`,
        );
        t.same(
          seen,
          others.map((other) => ids[other]),
        );
        t.same(await processedOf(ids), others);
        if (title === 'held') await operator('ROLLBACK');
      }
    }
  },
);

t.test('what outlives a statement ends the row: the next handler must not find it', async (t) => {
  for (const text of [
    `SET LOCAL statement_timeout = '1h'`,
    `SELECT set_config('lock_timeout', '1h', true)`,
    'SELECT pg_advisory_xact_lock(1)',
    'CREATE TEMP TABLE scratch (id int) ON COMMIT DROP',
    'SAVEPOINT mine',
  ]) {
    const { handler } = effects({ 1: ({ tx }) => tx.query(text) });
    const { ids, told, left } = await share(3, handler);
    t.same({ ...told, left }, { processed: [0, 1], failed: [], alone: [], left: 1 }, text);
    t.same(await processedOf(ids), [0, 1]);
  }
});

t.test('one that is interrupted ends the row, and what was before it is committed', async (t) => {
  const stop = new AbortController();
  const { handler } = effects({ 1: async () => stop.abort(new Error('stops')) });
  const { told, left } = await share(4, handler, {}, stop.signal);
  t.same({ ...told, left }, { processed: [0], failed: [1], alone: [], left: 2 });
});

t.test('who may share', async (t) => {
  const event = newEvent();
  await storeEvents(inbox, [event]);
  const job = (await inbox.queue.fetch(100)).find(({ id }) => id === event.jobId) ?? (await takeJob(inbox));
  const [row] = await readEvents(inbox.database, [event]);
  const plain = handlerOf(async () => {});
  const first = assign(job, row!, [plain]);
  t.ok(isShareable(first, quick));
  t.notOk(isShareable(first, { ...quick, isQuick: () => false }), 'not quick');
  const lost = { inCompany: 1, alone: 0 };
  for (const [title, other] of Object.entries({
    'failed before': { ...first, job: { ...job, retryCount: 1 } },
    'put off before': { ...first, event: { ...row!, deferrals: 1 } },
    'replayed after a failure': { ...first, event: { ...row!, attempts: 1 } },
    'lost its process': { ...first, suspicion: lost },
    'is settled': { ...first, event: { ...row!, status: 'PROCESSED' as const } },
    'has no handler': assign(job, row!, []),
    'has an entity': assign(job, row!, [{ ...plain, entity: () => 'order 1' }]),
    'has a batch': assign(job, row!, [{ ...plain, batch: async () => {} }]),
  })) {
    t.notOk(isShareable(other, quick), title);
  }
  t.ok(mayJoin(0, 1));
  t.notOk(mayJoin(0, 32));
  t.notOk(mayJoin(1_000, 1));
});

t.test('a run that fails slowly counts as slow, too', async (t) => {
  const pace = trackPace();
  const handler = handlerOf(async ({ tx }) => {
    await tx.query('SELECT pg_sleep(0.05)');
    throw new Error('after a while');
  });
  pace.record(handler, 2, true);
  t.ok(pace.isQuick(handler));
  const { told } = await share(1, handler, { pace });
  t.same(told.failed, [0]);
  t.notOk(pace.isQuick(handler), 'the next ones are not to wait for it');
});

t.test('a handler is quick when it was so lately, and left nothing behind', async (t) => {
  const handler = handlerOf(async () => {});
  const pace = trackPace();
  t.notOk(pace.isQuick(handler), 'never seen');
  pace.record(handler, 2, true);
  t.ok(pace.isQuick(handler));
  pace.record(handler, 50, true);
  t.notOk(pace.isQuick(handler), 'slow once');
  for (let run = 0; run < 20; run++) pace.record(handler, 2, true);
  t.ok(pace.isQuick(handler), 'quick again');
  pace.recordConflict(handler);
  t.notOk(pace.isQuick(handler), 'met a lock');
  for (let run = 0; run < 60; run++) pace.record(handler, 2, true);
  t.ok(pace.isQuick(handler));
  pace.record(handler, 2, false);
  for (let run = 0; run < 60; run++) pace.record(handler, 2, true);
  t.notOk(pace.isQuick(handler), 'what was not plain once may be so again');
});
