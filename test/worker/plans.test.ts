// A worker that starts on an empty table: its statements do not read the whole table once it is large.
import t from 'tap';
import { readStoredEvents } from '../../src/events/event.ts';
import { claimRows } from '../../src/events/locks.ts';
import { markIgnored, markManyProcessed, markProcessed } from '../../src/events/outcomes.ts';
import { workerSessionSettings } from '../../src/worker/attempt.ts';
import { newEvent, openInbox, storeEvents } from '../support/inbox.ts';

const inbox = await openInbox(t, { maxConnections: 1, sessionSettings: workerSessionSettings(60_000) });
const { database, sql } = inbox;

/** Events whose statements run, one of each. */
async function runAll(): Promise<void> {
  const events = [newEvent(), newEvent(), newEvent()];
  const jobIds = await storeEvents(inbox, events);
  const claims = events.map(({ source, eventId }, place) => ({ source, eventId, jobId: jobIds[place]! }));
  const [one, two, three] = claims as [(typeof claims)[0], (typeof claims)[0], (typeof claims)[0]];
  await readStoredEvents(database, claims);
  await claimRows(database, claims);
  await database.transaction(async (tx) => markProcessed(tx, one, one.jobId, null));
  await database.transaction(async (tx) => markManyProcessed(tx, [two]));
  await markIgnored(database, [{ ...three, reason: 'stale', entity: null }]);
}

async function rowsScanned(): Promise<number> {
  await database.query('SELECT pg_stat_force_next_flush()');
  await database.query('SELECT 1');
  const [row] = await sql(
    `SELECT seq_tup_read::int AS count FROM pg_stat_user_tables WHERE relname = 'webhook_events'`,
  );
  return row!.count as number;
}

t.test('plans are not kept from the time when the table was small', async (t) => {
  await sql('ANALYZE webhook_events');
  // Postgres keeps a plan from the sixth execution on.
  for (let round = 0; round < 8; round++) await runAll();
  await sql(`INSERT INTO webhook_events (source, provider, event_id, topic, payload, status, processed_at, body_sha256)
    SELECT 'stripe', 'stripe', 'old_' || n, 't', '{}', 'PROCESSED', now(), sha256(int8send(n)) FROM generate_series(1, 20000) n`);
  const before = await rowsScanned();
  await runAll();
  t.equal((await rowsScanned()) - before, 0);
});
