// The faults that the mutants are held against; each gives what the ledger finds, [] for code that keeps the promise.
import { setTimeout as delay } from 'node:timers/promises';
import type pg from 'pg';
import type { Test } from 'tap';
import { createTestDatabase } from '../../support/database.ts';
import { openSession } from '../../support/inbox.ts';
import { waitFor } from '../../support/wait.ts';
import { startCluster } from '../cluster.ts';
import type { Books, Violation } from '../ledger.ts';
import { startLoad } from '../load.ts';
import { startProxy } from '../proxy.ts';
import { openRig, type Rig } from '../rig.ts';
import { isAck } from '../sender.ts';
import { sendUnsigned, unsignedIdsEnvironment } from '../unsigned-ids.ts';

export interface Subject {
  t: Test;
  /** The copy of the source that is under test. */
  root: string;
  prepare: (pool: pg.Pool) => Promise<unknown>;
}
export type Scenario = (subject: Subject) => Promise<Violation[]>;

const drainTimeoutMs = 25_000;

async function open(
  { t, root, prepare }: Subject,
  options: { url?: string; processUrl?: string; env?: Record<string, string> } = {},
): Promise<Rig> {
  const url = options.url ?? (await createTestDatabase(t)).url;
  const rig = await openRig(t, { ...options, url, root });
  await prepare(rig.pool);
  return rig;
}

/** What does not drain is PENDING, which the books say in their own words. */
async function close(rig: Rig, expected: Partial<Books> = {}): Promise<Violation[]> {
  await rig.drain(drainTimeoutMs).catch(() => {});
  return rig.check(expected);
}

export const noFault: Scenario = async (subject) => {
  const rig = await open(subject);
  await Promise.all([rig.web(), rig.worker()]);
  await rig.sender.deliverUntilAcked({ id: 'evt_plain' });
  return close(rig);
};

/** After the jobs were inserted: several round trips behind the moment at which a hasty answer leaves. */
export const webKilledBeforeCommit: Scenario = async (subject) => {
  const rig = await open(subject);
  const victim = await rig.web({ POSTBELL_FAILPOINT: 'web.after-enqueue:kill' });
  await rig.sender.deliver({ id: 'evt_unsafe' });
  await victim.exited;
  return close(rig);
};

export const webKilledAfterCommit: Scenario = async (subject) => {
  const rig = await open(subject);
  const victim = await rig.web({ POSTBELL_FAILPOINT: 'web.after-commit:kill' });
  await rig.sender.deliver({ id: 'evt_jobless' });
  await victim.exited;
  await rig.settleSessions('postbell web');
  await delay(500); // several looks of those who watch
  await Promise.all([rig.web(), rig.worker()]);
  await rig.sender.deliverUntilAcked({ id: 'evt_jobless' });
  return close(rig);
};

export const concurrentDuplicates: Scenario = async (subject) => {
  const rig = await open(subject);
  await Promise.all([rig.web(), rig.web(), rig.worker()]);
  for (let round = 0; round < 10; round++) {
    const id = `evt_twin_${round}`;
    await Promise.all(Array.from({ length: 40 }, () => rig.sender.deliver({ id })));
  }
  return close(rig);
};

/** Where no signature covers the id: bodies under two ids at two processes at once, and under a third one later. */
export const repeatedBodies: Scenario = async (subject) => {
  const rig = await open(subject, { env: unsignedIdsEnvironment });
  const [web, other] = await Promise.all([rig.web(), rig.web(), rig.worker()]);
  const send = async (to: { url: string }, id: string, body: string) => {
    rig.sender.sent.push(await sendUnsigned(to.url, { source: 'github', topic: 'push', id, body }));
  };
  for (let round = 0; round < 5; round++) {
    const body = JSON.stringify({ round });
    await Promise.all([send(web, `one_${round}`, body), send(other, `two_${round}`, body)]);
    await send(web, `three_${round}`, body);
  }
  return close(rig);
};

export const workerKilledBeforeCommit: Scenario = (subject) => killWorker(subject, 'worker.after-handler');
export const workerKilledAfterCommit: Scenario = (subject) => killWorker(subject, 'worker.after-commit');

async function killWorker(subject: Subject, site: string): Promise<Violation[]> {
  const rig = await open(subject);
  await rig.web();
  const victim = await rig.worker({ POSTBELL_FAILPOINT: `${site}:kill` });
  await rig.sender.deliverUntilAcked({ id: 'evt_interrupted' });
  await victim.exited;
  await rig.worker();
  return close(rig);
}

/** The queue swallows what it is given, for a while. */
export const jobsNotInserted: Scenario = async (subject) => {
  const rig = await open(subject);
  await Promise.all([rig.web(), rig.worker()]);
  await rig.pool.query(`
    CREATE FUNCTION swallow_job() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
    CREATE TRIGGER swallow_job BEFORE INSERT ON pgboss.job FOR EACH ROW EXECUTE FUNCTION swallow_job()`);
  await rig.sender.deliver({ id: 'evt_swallowed' });
  await delay(500); // several looks of those who watch
  await rig.pool.query('DROP TRIGGER swallow_job ON pgboss.job');
  await rig.sender.deliverUntilAcked({ id: 'evt_swallowed' });
  return close(rig);
};

export const commitRolledBack: Scenario = async (subject) => {
  const { url } = await createTestDatabase(subject.t);
  const proxy = await startProxy(subject.t, url);
  const rig = await open(subject, { url, processUrl: proxy.url });
  await rig.web();
  proxy.rollBackCommits(1);
  await rig.sender.deliver({ id: 'evt_rolled_back' });
  if (proxy.rolledBack() !== 1) throw new Error('no COMMIT came by');
  return close(rig);
};

/**
 * A worker freezes with a failure to record until another worker runs the event, then wakes and wants to have the event
 * retried: a third attempt would start beside the second.
 */
export const zombieFails: Scenario = (subject) => wakeZombie(subject, (rig) => rig.attempts().length === 2);

/** The same, when the other worker has processed the event. */
export const zombieFailsLate: Scenario = (subject) =>
  wakeZombie(subject, async (rig) => (await rig.status('evt_zombie')) === 'PROCESSED');

async function wakeZombie(
  subject: Subject,
  isTime: (rig: Rig) => boolean | Promise<boolean>,
): Promise<Violation[]> {
  const rig = await open(subject);
  await rig.web();
  const zombie = await rig.worker({ POSTBELL_FAILPOINT: 'worker.before-fail:stop:1' });
  await rig.sender.deliverUntilAcked({ id: 'evt_zombie', act: { do: 'throw-until-allowed', ms: 8_000 } });
  await waitFor(() => rig.attempts()[0]?.endedAt !== undefined, { what: 'the first attempt to fail' });
  await rig.pool.query(`INSERT INTO allowed VALUES ('evt_zombie')`);
  await rig.worker();
  await waitFor(() => isTime(rig), { what: 'the second attempt' });
  zombie.kill('SIGCONT');
  await delay(1_000); // what it does with its failure
  return close(rig);
}

export const failsOnce: Scenario = async (subject) => {
  const rig = await open(subject);
  await Promise.all([rig.web(), rig.worker()]);
  await rig.sender.deliverUntilAcked({ id: 'evt_once', act: { do: 'throw-times', times: 1 } });
  return close(rig);
};

/** So many events at once that jobs carry lists. Nobody heals: what is lost stays lost. */
export const burst: Scenario = async (subject) => {
  const rig = await openBurst(subject);
  await rig.worker();
  return close(rig);
};

export const workerKilledInBurst: Scenario = async (subject) => {
  const rig = await openBurst(subject);
  const victim = await rig.worker({ POSTBELL_FAILPOINT: 'worker.after-handler:kill' });
  await victim.exited;
  await rig.worker();
  return close(rig);
};

async function openBurst(subject: Subject): Promise<Rig> {
  const rig = await open(subject, { env: { RECONCILE_SECONDS: '3600' } });
  await rig.web();
  await Promise.all(Array.from({ length: 300 }, (_, n) => rig.sender.deliverUntilAcked({ id: `evt_${n}` })));
  const lists = `SELECT FROM pgboss.job WHERE jsonb_array_length(data->'events') > 1`;
  if ((await rig.pool.query(lists)).rowCount === 0) throw new Error('no job carries a list');
  return rig;
}

/** Each attempt takes its process with it: nobody is left to say so. */
export const crashOnEveryAttempt: Scenario = async (subject) => {
  const rig = await open(subject, { env: { MAX_ATTEMPTS: '2' } });
  await rig.web();
  const lethal = { POSTBELL_FAILPOINT: 'worker.after-handler:kill' };
  const first = await rig.worker(lethal);
  await rig.sender.deliverUntilAcked({ id: 'evt_lethal' });
  await first.exited;
  // The first loss may be a neighbour's doing; in the second, the event ran alone.
  const second = await rig.worker(lethal);
  await second.exited;
  await rig.worker();
  return close(rig, { maxAttempts: 2 });
};

/** The log is written late, so that whoever does not wait for it loses much. */
export const databaseCrash: Scenario = async (subject) => {
  const cluster = await startCluster(subject.t, { settings: { wal_writer_delay: '10s' } });
  const rig = await open(subject, { url: cluster.url });
  await rig.pool.query('ALTER DATABASE postgres SET synchronous_commit = off');
  await rig.web();
  const load = startLoad(rig, { prefix: 'evt', perSecond: 50 });
  await waitFor(() => rig.sender.sent.filter(isAck).length > 40, { what: 'the load to run' });
  await cluster.restart('immediate');
  await load.stop();
  await rig.worker();
  return close(rig, { mayExceedAttemptsBy: 5 });
};

/** An operator leaves a transaction open over the event's row: its handler has to wait for the end of that. */
export const lockedRow: Scenario = async (subject) => {
  const rig = await open(subject, { env: { MAX_ATTEMPTS: '1' } });
  await rig.web();
  await rig.sender.deliverUntilAcked({ id: 'evt_held' });
  const operator = await openSession(subject.t, rig.pool.options.connectionString!);
  await operator('BEGIN');
  await operator('SELECT FROM webhook_events FOR UPDATE');
  await rig.worker();
  await operator('SELECT pg_sleep(12)'); // looked at twice, and a third look is near
  await operator('ROLLBACK');
  return close(rig, { maxAttempts: 1 });
};

/** Its job goes to another one while it runs, and the only worker there is takes that. */
export const enqueuedAgainWhileItRuns: Scenario = async (subject) => {
  const rig = await open(subject);
  await Promise.all([rig.web(), rig.worker()]);
  await rig.sender.deliverUntilAcked({ id: 'evt_busy', act: { do: 'wait-until-allowed', ms: 60_000 } });
  await waitFor(() => rig.attempts().length === 1, { what: 'the handler to start' });
  await rig.pool.query('UPDATE webhook_events SET job_id = NULL');
  await waitFor(
    async () => (await rig.pool.query('SELECT FROM webhook_events WHERE job_id IS NOT NULL')).rowCount,
    {
      what: 'the event to be enqueued again',
    },
  );
  for (const id of ['evt_behind', 'evt_last']) {
    await rig.sender.deliverUntilAcked({ id });
    await rig.waitForStatus(id, 'PROCESSED');
  }
  await rig.pool.query(`INSERT INTO allowed VALUES ('evt_busy')`);
  return close(rig);
};
