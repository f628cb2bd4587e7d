// An id without its source is found by the primary key: no table is read whole. So many sources, because Postgres 18 skips
// through that key by itself where they are few; 15 to 17 never do.
import t from 'tap';
import { createCli } from '../support/cli.ts';
import { createTestDatabase } from '../support/database.ts';
import { openSession } from '../support/inbox.ts';
import { waitFor } from '../support/wait.ts';

const { url } = await createTestDatabase(t);
const sql = await openSession(t, url);
const cli = createCli(t, { DATABASE_URL: url });
const sources = 2_500;
await sql(
  `INSERT INTO webhook_events (source, provider, event_id, topic, payload, status, processed_at, body_sha256)
   SELECT 'shop-' || n % ${sources}, 'stripe', 'evt_' || n, 't', '{}', 'PROCESSED', now(), sha256(int8send(n))
   FROM generate_series(0, 49999) n`,
);
await sql(`INSERT INTO tombstones (source, event_id) SELECT 'shop-' || n % ${sources}, 'old_' || n
  FROM generate_series(0, 49999) n`);
await sql(`UPDATE webhook_events SET event_id = 'evt_both' WHERE event_id IN ('evt_100', 'evt_101')`);
await sql(`INSERT INTO failed_attempts (source, event_id, error) SELECT 'shop-' || n % ${sources}, 'evt_' || n, 'Error: x'
  FROM generate_series(0, 49999) n WHERE n NOT IN (100, 101)`);
await sql(
  `UPDATE webhook_events SET status = 'FAILED', processed_at = NULL, last_error = 'Error: x' WHERE event_id = 'evt_7'`,
);
await sql('VACUUM ANALYZE webhook_events, tombstones, failed_attempts');

const readStatement = `SELECT coalesce(sum(seq_scan), 0)::int AS whole, coalesce(sum(seq_tup_read), 0)::int AS rows,
  sum(idx_scan)::int AS searches FROM pg_stat_user_tables WHERE relname IN ('webhook_events', 'tombstones', 'failed_attempts')`;
type Reads = { whole: number; rows: number; searches: number };
// A session reports its own reads when it ends, this one included: it has none of these tables from here on.
await sql('SELECT pg_stat_force_next_flush()');
const reads = async () => (await sql(readStatement))[0] as unknown as Reads;

/** What the sessions of `work` read, once they are gone. */
async function readBy(work: () => Promise<unknown>): Promise<Reads> {
  const before = await reads();
  await work();
  await waitFor(
    async () =>
      (
        await sql(
          `SELECT FROM pg_stat_activity WHERE datname = current_database() AND application_name ~ '^postbell'`,
        )
      ).length === 0,
    { what: 'the sessions of the command to end' },
  );
  const after = await reads();
  return {
    whole: after.whole - before.whole,
    rows: after.rows - before.rows,
    searches: after.searches - before.searches,
  };
}

t.test('the counters see a table that is read whole', async (t) => {
  const { rows } = await readBy(() => cli.inside(['events', '--error', 'none']));
  t.ok(rows >= 50_000, 'so that the tests below can fail');
});

const commands: [title: string, args: readonly string[], found: RegExp][] = [
  ['show of an event', ['show', 'evt_9'], /shop-9/],
  ['show of an event and its failures', ['show', 'evt_7', '--json'], /"error":"Error: x"/],
  ['show of a purged event', ['show', 'old_9'], /shop-9 old_9 was IGNORED and purged/],
  ['show of an event of one source', ['show', 'evt_9', '--source', 'shop-9'], /shop-9/],
  ['replay of an event', ['replay', 'evt_7'], /1 event set to PENDING/],
];
for (const [title, args, found] of commands) {
  t.test(`${title} reads no table whole`, async (t) => {
    const { whole, rows, searches } = await readBy(async () =>
      t.match((await cli.inside(args)).stdout, found),
    );
    t.equal(whole, 0);
    t.equal(rows, 0);
    t.ok(searches > 0, 'the reads were counted');
    t.ok(searches < 20 * sources, `${searches} searches in indexes`);
  });
}

t.test('replay of an id of many sources, and of one that does not exist, reads no table whole', async (t) => {
  const many = await readBy(async () =>
    t.match((await cli.inside(['replay', 'evt_both'])).stderr, /event of several sources/),
  );
  t.equal(many.rows, 0);
  const none = await readBy(async () =>
    t.match((await cli.inside(['replay', 'evt_none'])).stderr, /no event matches/),
  );
  t.equal(none.rows, 0);
});
