// Signs of life: which processes are alive, which were stopped, which died, and when one could not commit.
import t, { type Test } from 'tap';
import { type ProcessKind, readProcesses } from '../../src/events/processes.ts';
import { startLiveness } from '../../src/maintenance/liveness.ts';
import { identifySelf } from '../../src/runtime/self.ts';
import { atEnd } from '../support/at-end.ts';
import { openInbox } from '../support/inbox.ts';
import { waitFor } from '../support/wait.ts';

const inbox = await openInbox(t);
const { database, log, sql } = inbox;
t.beforeEach(async () => void (await sql('DELETE FROM postbell_processes')));
const rowOf = async (id: string) =>
  (await sql('SELECT * FROM postbell_processes WHERE process_id = $1', [id]))[0];
const start = (
  t: Test,
  kind: ProcessKind,
  options: { intervalMs?: number; database?: typeof database } = {},
) => {
  const self = { ...identifySelf(kind), host: `${kind}.1` };
  const liveness = startLiveness({ database, log, self, ...options });
  atEnd(t, () => liveness.stop());
  return { ...self, liveness };
};
const known = (id: string) =>
  waitFor(async () => (await rowOf(id)) !== undefined, { what: 'its first sign' });

t.test('a process is seen at once, again and again, and its stop is recorded', async (t) => {
  const { id, liveness } = start(t, 'worker', { intervalMs: 10 });
  await known(id);
  const first = await rowOf(id);
  t.match(first, { kind: 'worker', host: 'worker.1', version: /^\d+\.\d+\.\d+/, stopped_at: null });
  t.equal(first!.outage_began_at, null);
  await waitFor(async () => (await rowOf(id))!.seen_at! > first!.seen_at!, { what: 'another sign' });
  const [web, worker] = await readProcesses(database);
  t.same(web, { kind: 'web', alive: 0, last: null });
  t.match(worker, { kind: 'worker', alive: 1, last: { host: 'worker.1', wasStopped: false } });
  await liveness.stop();
  t.ok((await rowOf(id))!.stopped_at);
  t.match((await readProcesses(database))[1], { alive: 0, last: { wasStopped: true } });
});

t.test('a process that died is told from one that was stopped', async (t) => {
  const first = start(t, 'web');
  const second = start(t, 'web');
  await known(first.id);
  await known(second.id);
  await sql(`UPDATE postbell_processes SET seen_at = seen_at - interval '3 minutes' WHERE process_id = $1`, [
    first.id,
  ]);
  t.match((await readProcesses(database))[0], { alive: 1 });
  await sql(`UPDATE postbell_processes SET seen_at = seen_at - interval '2 minutes' WHERE process_id = $1`, [
    second.id,
  ]);
  const [web] = await readProcesses(database);
  t.match(web, { alive: 0, last: { wasStopped: false } });
  t.ok(web!.last!.seenSecondsAgo >= 120);
});

t.test('a stretch in which a process could not commit is known afterwards', async (t) => {
  let failures = 0;
  const isOut = () => failures > 0 && failures < 4;
  const failing: typeof database = {
    ...database,
    query: (statement, values) => {
      if (!isOut()) return database.query(statement, values);
      failures++;
      return Promise.reject(new Error('no connection'));
    },
  };
  const { id } = start(t, 'web', { intervalMs: 30, database: failing });
  await known(id);
  failures = 1;
  await waitFor(async () => (await rowOf(id))!.outage_ended_at !== null, { what: 'the end of the outage' });
  const lastedMs = async () =>
    (
      await sql(
        `SELECT 1000 * extract(epoch FROM outage_ended_at - outage_began_at)::float8 AS ms FROM postbell_processes`,
      )
    )[0]!.ms as number;
  const ms = await lastedMs();
  t.ok(ms >= 60, `it lasted ${ms} ms: from the first of three failed signs to the next that was committed`);
  const seen = (await rowOf(id))!.seen_at;
  await waitFor(async () => (await rowOf(id))!.seen_at! > seen!, { what: 'a further sign' });
  t.equal(await lastedMs(), ms, 'later signs leave it as it was');
});

t.test('a process that was last seen a month ago is forgotten when another starts', async (t) => {
  await sql(`INSERT INTO postbell_processes (process_id, kind, host, version, seen_at) VALUES
    (gen_random_uuid(), 'web', 'old', '0.1.0', now() - interval '31 days'),
    (gen_random_uuid(), 'web', 'recent', '0.1.0', now() - interval '29 days')`);
  const { id } = start(t, 'worker');
  await known(id);
  const hosts = async () =>
    (await sql('SELECT host FROM postbell_processes ORDER BY host')).map(({ host }) => host);
  await waitFor(async () => !(await hosts()).includes('old'), { what: 'the old row to be deleted' });
  t.same(await hosts(), ['recent', 'worker.1']);
});
