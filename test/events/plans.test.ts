// A backlog that came after Postgres took its statistics: no statement about one event reads all of it.
import t from 'tap';
import { clearJobs, departFromJobs } from '../../src/events/jobs.ts';
import { claimRows, readClaimable } from '../../src/events/locks.ts';
import { markIgnored, markManyProcessed, markProcessed } from '../../src/events/outcomes.ts';
import { newJobId } from '../../src/queue/queue.ts';
import { newEvent, openInbox, storeEvents } from '../support/inbox.ts';

const inbox = await openInbox(t);
const { database, sql } = inbox;
await sql(`INSERT INTO webhook_events (source, provider, event_id, topic, payload, status, processed_at, body_sha256)
  SELECT 'stripe', 'stripe', 'old_' || n, 't', '{}', 'PROCESSED', now(), sha256(int8send(n)) FROM generate_series(1, 5000) n`);
await sql('VACUUM ANALYZE webhook_events');
const stored = Array.from({ length: 1_000 }, () => newEvent());
const jobIds = await storeEvents(inbox, stored);
const events = stored.map(({ source, eventId }, index) => ({ source, eventId, jobId: jobIds[index]! }));
type Claim = (typeof events)[number];

/** Entries of the backlog's index that were read so far, by sessions that have reported. */
async function entriesRead(): Promise<number> {
  const [row] = await sql(
    `SELECT idx_tup_read::int AS count FROM pg_stat_user_indexes WHERE indexrelname = 'webhook_events_pending'`,
  );
  return row!.count as number;
}

/** What `statements` read of it, in a session that reports at once. */
async function readBy(statements: (event: Claim) => Promise<unknown>): Promise<number> {
  const before = await entriesRead();
  for (const event of events.splice(0, 3)) await statements(event);
  // The last one's own count comes with this session's next report.
  await database.query('SELECT pg_stat_force_next_flush()');
  await database.query('SELECT 1');
  return (await entriesRead()) - before;
}

t.test('the index of the backlog counts what is read of it', async (t) => {
  const read = await readBy(() =>
    database.query(`SELECT count(*) FROM webhook_events WHERE status = 'PENDING'`),
  );
  t.ok(read >= 1_000, 'so that the tests below can fail');
});

const failure = { error: 'Error: x', stack: null, startedAt: null };
const statements: Record<string, (event: Claim) => Promise<unknown>> = {
  markProcessed: (event) => database.transaction(async (tx) => markProcessed(tx, event, event.jobId, null)),
  markManyProcessed: (event) => database.transaction(async (tx) => markManyProcessed(tx, [event])),
  markIgnored: (event) => markIgnored(database, [{ ...event, reason: 'stale', entity: null }]),
  claimRows: (event) => claimRows(database, [event]),
  readClaimable: (event) => readClaimable(database, [event]),
  'departFromJobs: moved': (event) =>
    departFromJobs(database, [{ ...event, fromJobId: event.jobId, toJobId: newJobId() }]),
  'departFromJobs: failed': (event) =>
    departFromJobs(database, [{ ...event, fromJobId: event.jobId, toJobId: null, failure }]),
  clearJobs: (event) => clearJobs(database, [event]),
};
for (const [name, statement] of Object.entries(statements)) {
  t.test(name, async (t) => {
    t.equal(await readBy(statement), 0);
  });
}
