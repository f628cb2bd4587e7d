// What stands beside a held row, in a worker's transaction, in a reconciler's pass, in a receiver's batch: it goes on.
import t from 'tap';
import { createTestDatabase } from '../support/database.ts';
import {
  answerLimitMs,
  deliverAll,
  hold,
  idsOf,
  select,
  startsOf,
  unansweredOf,
  waitForAll,
} from './held.ts';
import { openRig } from './rig.ts';

t.test('of quick events only the held one waits; no neighbour is run again', async (t) => {
  const rig = await openRig(t, await createTestDatabase(t));
  await rig.web();
  const ids = idsOf('quick', 150);
  await deliverAll(rig, ids);
  const held = [70, 100, 130].map((place) => ids[place]!);
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
  const jobsOf = 'SELECT job_id FROM webhook_events WHERE event_id';
  await rig.pool.query(`DELETE FROM pgboss.job WHERE id IN (${jobsOf} LIKE 'evt_vanished_%')`);
  // As a process leaves them that died in the last attempt.
  await rig.pool.query(`UPDATE pgboss.job SET state = 'active', retry_count = retry_limit, started_on = now() - interval '1 hour',
    heartbeat_on = now() - interval '1 hour' WHERE id IN (${jobsOf} LIKE 'evt_lost_%')`);
  await rig.pool.query(`UPDATE webhook_events SET status = 'FAILED' WHERE event_id = 'evt_replayed_free'`);
  await rig.pool.query(`UPDATE webhook_events SET status = 'PENDING' WHERE status = 'FAILED'`);
  await rig.worker();
  await waitForAll(rig, free, 'PROCESSED');
  t.same(startsOf(rig, held), [0, 0, 0]);
  await operator.end();
  await rig.drain();
  await waitForAll(rig, held, 'PROCESSED');
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
