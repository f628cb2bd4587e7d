// A burst that comes after an idle time: Postgres is told of it before autovacuum looks.
import t, { type Test } from 'tap';
import type { Queryable, Statement } from '../../src/database/database.ts';
import { newJobId } from '../../src/queue/queue.ts';
import { createQueueStatistics } from '../../src/queue/statistics.ts';
import { newEvent, openInbox, openInboxOn } from '../support/inbox.ts';
import { waitFor } from '../support/wait.ts';

const inbox = await openInbox(t);
const { queue, sql } = inbox;
// As long as it is idle elsewhere.
await sql('ALTER TABLE pgboss.job_common SET (autovacuum_enabled = false)');

async function enqueue(count: number): Promise<void> {
  for (let left = count; left > 0; left -= 1_000) {
    const jobs = Array.from({ length: Math.min(left, 1_000) }, () => ({
      jobId: newJobId(),
      events: [newEvent()],
    }));
    await inbox.database.transaction((tx) => queue.enqueue(tx, jobs));
  }
}

/** Jobs that Postgres believes to be there. */
async function believed(): Promise<number> {
  const [row] = await sql(
    `SELECT greatest(reltuples, 0)::int AS count FROM pg_class WHERE oid = 'pgboss.job_common'::regclass`,
  );
  return row!.count as number;
}

/** A table that was full once, and statistics of a time when it was empty. */
async function idle(): Promise<void> {
  await enqueue(3_000);
  await sql('DELETE FROM pgboss.job');
  await sql('ANALYZE pgboss.job_common');
}

/** With a clock of its own, and what it asks the real database. */
function watched(t: Test) {
  const texts: string[] = [];
  let nowMs = 0;
  const database: Queryable = {
    query: (statement) => {
      texts.push((statement as Statement).text.trim());
      return inbox.database.query(statement);
    },
  };
  const statistics = createQueueStatistics(database, inbox.log, () => nowMs);
  t.teardown(() => statistics.settled());
  return {
    statistics,
    pass: (ms: number) => (nowMs += ms),
    /** How often it has looked and renewed since it was asked last. */
    done: async () => {
      await statistics.settled();
      const renewals = texts.filter((text) => text.startsWith('ANALYZE')).length;
      const looks = texts.length - renewals;
      texts.length = 0;
      return { looks, renewals };
    },
  };
}

/** Entries of the job table's indexes that `work` made Postgres read, on the one session of `database`. */
async function entriesRead(database: Queryable, work: () => Promise<unknown>): Promise<number> {
  const total = async () => {
    await database.query('SELECT pg_stat_force_next_flush()');
    await database.query('SELECT 1');
    const [row] = await sql(
      `SELECT sum(idx_tup_read)::int AS count FROM pg_stat_user_indexes WHERE relname = 'job_common'`,
    );
    return row!.count as number;
  };
  const before = await total();
  await work();
  return (await total()) - before;
}

t.test('a full fetch from what Postgres believes to be empty makes it count, and plan anew', async (t) => {
  const inOneSession = await openInboxOn(t, inbox.url, { maxConnections: 1 });
  await idle();
  t.equal(await believed(), 0);
  await enqueue(2_000);
  const fetch = async () => t.equal((await inOneSession.queue.fetch(256)).length, 256);
  const blind = await entriesRead(inOneSession.database, fetch);
  await waitFor(async () => (await believed()) > 1_000, { what: 'the statistics' });
  const seeing = await entriesRead(inOneSession.database, fetch);
  t.comment(`index entries read by a fetch of 256: ${blind}, then ${seeing}`);
  t.ok(seeing < 3_000, 'each job is found by its id');
});

t.test('a fetch that brings less than was asked for asks nothing', async (t) => {
  await idle();
  const { statistics, done } = watched(t);
  statistics.noteFetch(255, 256, 5);
  t.same(await done(), { looks: 0, renewals: 0 });
});

t.test('a queue whose statistics are right is left alone, looked at once a second', async (t) => {
  await idle();
  await enqueue(2_000);
  await sql('ANALYZE pgboss.job_common');
  const { statistics, pass, done } = watched(t);
  for (let n = 0; n < 3; n++) statistics.noteFetch(256, 256, 5);
  t.same(await done(), { looks: 1, renewals: 0 });
  pass(500);
  statistics.noteFetch(256, 256, 5);
  t.same(await done(), { looks: 0, renewals: 0 });
  pass(500);
  statistics.noteFetch(256, 256, 5);
  t.same(await done(), { looks: 1, renewals: 0 });
});

t.test('a table that has doubled is counted anew', async (t) => {
  await sql('TRUNCATE pgboss.job_common');
  await enqueue(2_000);
  await sql('ANALYZE pgboss.job_common');
  await enqueue(3_000);
  const { statistics, done } = watched(t);
  statistics.noteFetch(1, 1, 5);
  t.same(await done(), { looks: 1, renewals: 1 });
  t.ok((await believed()) > 4_000);
});

t.test('a backlog out of which more has come than was known of is counted, ever less often', async (t) => {
  await idle();
  await enqueue(300);
  await sql('ANALYZE pgboss.job_common');
  const { statistics, pass, done } = watched(t);
  const renewedAt: number[] = [];
  for (let second = 0; second <= 20; second++) {
    // The workers keep up: 300 are there at any time, and each second 1,000 others go through.
    for (let n = 0; n < 4; n++) statistics.noteFetch(256, 256, 5);
    if ((await done()).renewals > 0) renewedAt.push(second);
    pass(1_000);
  }
  t.same(renewedAt, [1, 3, 7, 15]);
  statistics.noteFetch(10, 256, 5);
  statistics.noteFetch(256, 256, 5);
  t.same(await done(), { looks: 1, renewals: 0 });
  pass(1_000);
  for (let n = 0; n < 4; n++) statistics.noteFetch(256, 256, 5);
  t.same(await done(), { looks: 1, renewals: 1 }, 'the next backlog begins from the start');
});

t.test('a fetch that failed may have been too slow: they are counted at once', async (t) => {
  await sql('TRUNCATE pgboss.job_common');
  await enqueue(4_000);
  await sql('ANALYZE pgboss.job_common');
  const { statistics, done } = watched(t);
  statistics.noteFailure();
  statistics.noteFailure();
  t.same(await done(), { looks: 1, renewals: 1 });
});

t.test('a fetch that was long in coming counts as one, however little it brought', async (t) => {
  await sql('TRUNCATE pgboss.job_common');
  await enqueue(4_000);
  await sql('ANALYZE pgboss.job_common');
  const { statistics, pass, done } = watched(t);
  const renewedAt: number[] = [];
  for (let second = 0; second <= 4; second++) {
    statistics.noteFetch(0, 256, 101);
    if ((await done()).renewals > 0) renewedAt.push(second);
    pass(1_000);
  }
  t.same(renewedAt, [1, 3]);
});

t.test('a queue of a few pages is left alone', async (t) => {
  await sql('TRUNCATE pgboss.job_common');
  await enqueue(50);
  const { statistics, done } = watched(t);
  statistics.noteFetch(32, 32, 5);
  t.same(await done(), { looks: 1, renewals: 0 });
});

t.test('a database that cannot say is logged, and asked again', async (t) => {
  let asked = 0;
  let nowMs = 0;
  const failing: Queryable = {
    query: () => {
      asked++;
      return Promise.reject(new Error('no answer'));
    },
  };
  const statistics = createQueueStatistics(failing, inbox.log, () => nowMs);
  statistics.noteFetch(1, 1, 5);
  await statistics.settled();
  nowMs += 1_000;
  statistics.noteFetch(1, 1, 5);
  await statistics.settled();
  t.equal(asked, 2);
  t.match(inbox.logs.at(-1), { level: 40, error: 'Error: no answer' });
});
