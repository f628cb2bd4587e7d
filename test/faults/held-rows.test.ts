// Rows that somebody's open transaction holds, be it psql with autocommit off: they wait, and nothing else does.
import t, { type Test } from 'tap';
import { createTestDatabase } from '../support/database.ts';
import { openSession } from '../support/inbox.ts';
import { waitFor } from '../support/wait.ts';
import { openRig, type Rig } from './rig.ts';
import { isAck, type Sent } from './sender.ts';

/** RECEIVE_TIMEOUT_MS, and time for a machine that is busy with other tests. */
const answerLimitMs = 6_000;
const concurrency = 3;

const idsOf = (prefix: string, count: number) =>
  Array.from({ length: count }, (_, index) => `evt_${prefix}_${index}`);

async function deliverAll(
  rig: Rig,
  ids: readonly string[],
  act: Record<string, unknown> = {},
): Promise<void> {
  await Promise.all(ids.map((id) => rig.sender.deliverUntilAcked({ id, act })));
}

/** An operator's session with these rows locked by `statement`, whose $1 are their ids, until the returned call. */
async function hold(t: Test, rig: Rig, statement: string, ids: readonly string[]) {
  const operator = await openSession(t, rig.pool.options.connectionString!);
  await operator('BEGIN');
  await operator(statement, [ids]);
  return {
    /** For so long, as a clock of Postgres. */
    keepFor: (seconds: number) => operator(`SELECT pg_sleep(${seconds})`),
    end: () => operator('COMMIT'),
  };
}

const updateOfAll = `UPDATE webhook_events SET status = 'PENDING' WHERE event_id = ANY ($1)`;
const select = 'SELECT FROM webhook_events WHERE event_id = ANY ($1) FOR UPDATE';

async function waitForAll(rig: Rig, ids: readonly string[], status: string): Promise<void> {
  for (const id of ids) await rig.waitForStatus(id, status);
}

const startsOf = (rig: Rig, ids: readonly string[]) =>
  ids.map((id) => rig.attempts().filter(({ eventId }) => eventId === id).length);

async function chargedOf(rig: Rig, ids: readonly string[]) {
  const { rows } = await rig.pool.query<{ status: string; attempts: number; failures: number }>(
    `SELECT status, attempts, (SELECT count(*)::int FROM failed_attempts f WHERE f.event_id = e.event_id) AS failures
     FROM webhook_events e WHERE event_id = ANY ($1)`,
    [ids],
  );
  return rows;
}

const unansweredOf = (sent: readonly Sent[]) =>
  sent.filter((one) => !isAck(one) || one.repliedAt - one.sentAt > answerLimitMs);

for (const [name, statement] of [
  ["README's bulk UPDATE", updateOfAll],
  ['SELECT … FOR UPDATE', select],
] as const) {
  t.test(`${name} left open over more PENDING rows than there are slots`, async (t) => {
    const rig = await openRig(t, await createTestDatabase(t));
    const held = idsOf('held', 4 * concurrency);
    await rig.web();
    await deliverAll(rig, held);
    const operator = await hold(t, rig, statement, held);
    await rig.worker({ WORKER_CONCURRENCY: String(concurrency) });

    const others = idsOf('other', 20);
    await deliverAll(rig, others);
    await waitForAll(rig, others, 'PROCESSED');
    const again = await Promise.all(held.map((id) => rig.sender.deliver({ id })));
    t.same(unansweredOf(again), [], 'deliveries of the held events are answered');
    t.ok(again.every(({ duplicate }) => duplicate));

    await operator.keepFor(8); // in which a handler could be run over and over
    const late = idsOf('late', 5);
    await deliverAll(rig, late);
    await waitForAll(rig, late, 'PROCESSED');
    t.ok(
      startsOf(rig, held).every((starts) => starts <= 1),
      `handlers were started ${startsOf(rig, held)} times behind the lock`,
    );
    await operator.end();
    await rig.drain();
    t.same(
      await chargedOf(rig, held),
      held.map(() => ({ status: 'PROCESSED', attempts: 1, failures: 0 })),
    );
    t.same(await rig.check(), []);
  });
}

t.test('rows that are taken while their handlers run', async (t) => {
  const rig = await openRig(t, await createTestDatabase(t));
  await Promise.all([rig.web(), rig.worker({ WORKER_CONCURRENCY: String(concurrency) })]);
  const held = idsOf('held', concurrency);
  await deliverAll(rig, held, { do: 'wait-until-allowed', ms: 60_000 });
  await waitFor(() => startsOf(rig, held).every((starts) => starts === 1), { what: 'the handlers to start' });
  const operator = await hold(t, rig, select, held);
  await rig.pool.query('INSERT INTO allowed SELECT unnest($1::text[])', [held]);
  const others = idsOf('other', 20);
  await deliverAll(rig, others);
  await waitForAll(rig, others, 'PROCESSED');
  await operator.keepFor(8);
  t.same(
    startsOf(rig, held).filter((starts) => starts > 1),
    [],
    'no handler runs again behind the lock',
  );
  await operator.end();
  await rig.drain();
  t.same(
    await chargedOf(rig, held),
    held.map(() => ({ status: 'PROCESSED', attempts: 1, failures: 0 })),
  );
  t.same(await rig.check(), []);
});

t.test('a handler that throws while its row is held', async (t) => {
  const rig = await openRig(t, await createTestDatabase(t));
  await Promise.all([rig.web(), rig.worker({ WORKER_CONCURRENCY: '1' })]);
  await rig.sender.deliverUntilAcked({ id: 'evt_throws', act: { do: 'throw-times', times: 1 } });
  await rig.waitForStatus('evt_throws', 'PROCESSED');
  const acts = { permanent: 'permanent', later: 'later-for', throws: 'throw' };
  const held = Object.keys(acts).map((name) => `evt_held_${name}`);
  // Their rows are taken before the worker comes to them, and after that it has them in hand.
  await rig.sender.deliverUntilAcked({ id: 'evt_first', act: { do: 'wait-until-allowed', ms: 60_000 } });
  await waitFor(() => startsOf(rig, ['evt_first'])[0] === 1, { what: 'the slot to be taken' });
  for (const [name, what] of Object.entries(acts))
    await rig.sender.deliverUntilAcked({ id: `evt_held_${name}`, act: { do: what, ms: 1 } });
  const operator = await hold(t, rig, select, [...held, 'evt_first']);
  await rig.pool.query(`INSERT INTO allowed VALUES ('evt_first')`);
  await rig.sender.deliverUntilAcked({ id: 'evt_other' });
  await rig.waitForStatus('evt_other', 'PROCESSED');
  await operator.end();
  await rig.drain();
  t.equal(await rig.status('evt_first'), 'PROCESSED');
  t.equal(await rig.status('evt_held_permanent'), 'FAILED');
  t.equal(await rig.status('evt_held_later'), 'PROCESSED');
  t.same(await rig.check(), []);
});

t.test("a lock that the handler's own statement did not get is its failure", async (t) => {
  const { url, name } = await createTestDatabase(t);
  const rig = await openRig(t, { url, env: { MAX_ATTEMPTS: '2' } });
  await rig.pool.query(`ALTER DATABASE ${name} SET lock_timeout = '300ms'`);
  await rig.pool.query(`INSERT INTO allowed VALUES ('A')`);
  await Promise.all([rig.web(), rig.worker()]);
  const operator = await openSession(t, url);
  await operator('BEGIN');
  await operator('SELECT FROM allowed FOR UPDATE');
  await rig.sender.deliverUntilAcked({ id: 'evt_own', act: { do: 'lock', locks: ['A'] } });
  await rig.waitForStatus('evt_own', 'FAILED');
  const { rows } = await rig.pool.query('SELECT error FROM failed_attempts');
  t.equal(rows.length, 2);
  for (const { error } of rows) t.match(error, '55P03');
  await operator('ROLLBACK');
  t.same(await rig.check({ maxAttempts: 2 }), []);
});

t.test('of quick events only the held one waits; no neighbour is run again', async (t) => {
  const rig = await openRig(t, await createTestDatabase(t));
  await rig.web();
  const ids = idsOf('quick', 300);
  await deliverAll(rig, ids);
  const held = [140, 200, 260].map((place) => ids[place]!);
  const operator = await hold(t, rig, select, held);
  await rig.worker({ WORKER_CONCURRENCY: '1' });
  const free = ids.filter((id) => !held.includes(id));
  await waitForAll(rig, free, 'PROCESSED');
  t.same([...new Set(startsOf(rig, free))], [1], 'each was run once');
  await operator.end();
  await rig.drain();
  t.same(await rig.check(), []);
});

t.test('replays, vanished jobs and dead letters of others do not wait for a held row', async (t) => {
  const rig = await openRig(t, await createTestDatabase(t));
  await rig.web();
  const kinds = ['vanished', 'lost', 'replayed'];
  const [held, free] = ['held', 'free'].map((one) => kinds.map((kind) => `evt_${kind}_${one}`)) as [
    string[],
    string[],
  ];
  // The held ones are the older ones, so that whoever waits for them comes to no other.
  await deliverAll(rig, held);
  await deliverAll(rig, free);
  const old = `received_at - interval '1 hour'`;
  await rig.pool.query(`UPDATE webhook_events SET received_at = ${old}`);
  const operator = await hold(t, rig, select, held);
  await rig.pool.query(`DELETE FROM pgboss.job WHERE data->>'eventId' LIKE 'evt_vanished_%'`);
  // As a process leaves them that died in the last attempt.
  await rig.pool.query(`UPDATE pgboss.job SET state = 'active', retry_count = retry_limit, started_on = now() - interval '1 hour',
    heartbeat_on = now() - interval '1 hour' WHERE data->>'eventId' LIKE 'evt_lost_%'`);
  await rig.pool.query(`UPDATE webhook_events SET status = 'FAILED' WHERE event_id = 'evt_replayed_free'`);
  await rig.pool.query(`UPDATE webhook_events SET status = 'PENDING' WHERE status = 'FAILED'`);
  await rig.worker();
  await waitForAll(rig, free, 'PROCESSED');
  t.same(startsOf(rig, held), [0, 0, 0]);
  await operator.end();
  await rig.drain();
  await waitForAll(rig, held, 'PROCESSED');
});

t.test('SIGTERM while rows in hand are held: the worker ends in time, and nothing is charged', async (t) => {
  const rig = await openRig(t, await createTestDatabase(t));
  await rig.web();
  const worker = await rig.worker({ WORKER_CONCURRENCY: '1', SHUTDOWN_TIMEOUT_SECONDS: '20' });
  const held = idsOf('held', 6);
  await deliverAll(rig, held, { do: 'wait-until-allowed', ms: 60_000 });
  await waitFor(() => rig.attempts().length >= 1, { what: 'a handler to start' });
  const operator = await hold(t, rig, select, held);
  worker.kill('SIGTERM');
  t.equal((await worker.exited).code, 0, 'it did not have to exit hard');
  await rig.pool.query('INSERT INTO allowed SELECT unnest($1::text[])', [held]);
  await operator.end();
  await rig.worker();
  await rig.drain();
  t.same(
    await chargedOf(rig, held),
    held.map(() => ({ status: 'PROCESSED', attempts: 1, failures: 0 })),
  );
  t.same(await rig.check(), []);
});

t.test(
  'the receiver: a key that an open transaction inserts keeps only its own delivery waiting',
  async (t) => {
    const rig = await openRig(t, await createTestDatabase(t));
    await rig.web();
    await rig.sender.deliverUntilAcked({ id: 'evt_seed' });
    const copy = `INSERT INTO webhook_events SELECT (jsonb_populate_record(e,
      jsonb_build_object('event_id', id, 'job_id', NULL, 'status', 'PROCESSED', 'processed_at', now()))).*
    FROM webhook_events e, unnest($1::text[]) AS id WHERE e.event_id = 'evt_seed'`;
    const operator = await hold(t, rig, copy, ['evt_locked']);
    for (let round = 0; round < 3; round++) {
      const ids = idsOf(`beside_${round}`, 100);
      ids.splice(37, 0, 'evt_locked');
      const answers = await Promise.all(ids.map((id) => rig.sender.deliver({ id })));
      const locked = answers.filter(({ eventId }) => eventId === 'evt_locked');
      t.same(
        unansweredOf(answers.filter((one) => !locked.includes(one))),
        [],
        'all others are accepted in time',
      );
      t.match(locked, [{ status: 503 }]);
      t.ok(locked[0]!.repliedAt - locked[0]!.sentAt <= answerLimitMs);
    }
    await operator.end();
    t.match(await rig.sender.deliver({ id: 'evt_locked' }), { status: 200, duplicate: true });
  },
);
