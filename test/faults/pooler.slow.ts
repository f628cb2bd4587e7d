// Behind PgBouncer in transaction mode: receive, work, retry, defer, batch and replay (F23).
import t from 'tap';
import { createTestDatabase } from '../support/database.ts';
import { impossibilities } from '../support/impossibilities.ts';
import { startPgBouncer } from '../support/pgbouncer.ts';
import { openRig } from './rig.ts';

const { url } = await createTestDatabase(t);
const processUrl = await startPgBouncer(t, url);
const skip = processUrl === undefined && impossibilities.F23;

t.test('every way of an event, through a pooler', { skip }, async (t) => {
  const rig = await openRig(t, { url, processUrl: processUrl!, env: { DATABASE_POOLER: 'true' } });
  const worker = await rig.worker();
  await worker.waitForLog((line) => line.level === 40 && /no LISTEN/.test(line.msg ?? ''));
  await rig.web();
  await rig.web();
  const acts: Record<string, Record<string, unknown>> = {
    plain: {},
    retried: { do: 'throw-times', times: 1 },
    deferred: { do: 'later-times', times: 1 },
    permanent: { do: 'permanent' },
    savepoint: { do: 'savepoint' },
    ordered: { entity: 'one' },
  };
  for (const [name, act] of Object.entries(acts)) {
    const topic = name === 'ordered' ? 'ledger.entity' : 'ledger.event';
    // Twice, to both: the second is a duplicate, on whatever server connection it lands.
    await rig.sender.deliverUntilAcked({ id: `evt_${name}`, topic, act });
    t.match(await rig.sender.deliverUntilAcked({ id: `evt_${name}`, topic, act }), { duplicate: true });
  }
  const many = Array.from({ length: 100 }, (_, index) => ({
    id: `evt_batch_${index}`,
    topic: 'ledger.batch',
  }));
  await Promise.all(many.map((order) => rig.sender.deliverUntilAcked(order)));
  await rig.drain();
  t.equal(await rig.status('evt_permanent'), 'FAILED');
  await rig.pool.query(`UPDATE webhook_events SET status = 'PENDING' WHERE event_id = 'evt_permanent'`);
  await rig.drain();
  const locks = await rig.pool.query(`SELECT FROM pg_locks WHERE locktype = 'advisory'`);
  t.equal(locks.rowCount, 0, 'no session keeps an advisory lock');
  const prepared = [/prepared statement/, /08P01/, /26000/, /42P05/];
  const output = worker.output();
  for (const problem of prepared) t.notMatch(output, problem);

  const untold = await rig.worker({ DATABASE_POOLER: 'false' }, { wait: false });
  const { remedy } = await untold.waitForLog('cannot be reached');
  t.match(remedy, /DATABASE_POOLER=true/, 'a process that was not told of it says what to set');
  t.same(await rig.check({ replayed: new Set(['evt_permanent']) }), []);
});
