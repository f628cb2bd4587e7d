// Rows that somebody's open transaction holds, be it psql with autocommit off: they wait, and nothing else does.
import t from 'tap';
import { createTestDatabase } from '../support/database.ts';
import { waitFor } from '../support/wait.ts';
import {
  chargedOf,
  concurrency,
  deliverAll,
  hold,
  idsOf,
  select,
  startsOf,
  unansweredOf,
  updateOfAll,
  waitForAll,
} from './held.ts';
import { openRig } from './rig.ts';

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
