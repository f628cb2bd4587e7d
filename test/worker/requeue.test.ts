// Jobs that were taken and not begun go back to the queue, all of them, and nothing is charged.
import t from 'tap';
import { readEvents } from '../../src/events/event.ts';
import { handBackMany } from '../../src/worker/requeue.ts';
import { failuresOf, openJobsOf, rowOf } from '../support/attempt.ts';
import { countTransactions } from '../support/gate.ts';
import { newEvent, openInbox, openSession, storeEvents } from '../support/inbox.ts';

async function taken(count: number) {
  const inbox = await openInbox(t);
  const events = Array.from({ length: count }, () => newEvent());
  await storeEvents(inbox, events);
  const jobs = await inbox.queue.fetch(count);
  const rows = await readEvents(inbox.database, events);
  const waiting = jobs.map((job) => ({
    job,
    event: rows.find(({ eventId }) => eventId === job.key.eventId)!,
    suspicion: undefined,
  }));
  return { inbox, events, jobs, waiting };
}

t.test('hundreds go back in one commit, with as many failures left as before', async (t) => {
  const { inbox, events, jobs, waiting } = await taken(300);
  const old = new Set(jobs.map(({ id }) => id));
  const { database, transactions } = countTransactions(inbox.database);
  await handBackMany(waiting, { ...inbox, database }, 'its worker stops');
  t.equal(transactions(), 1);
  const again = await inbox.queue.fetch(300);
  t.equal(new Set(again.map(({ key }) => key.eventId)).size, events.length);
  for (const { id, retryCount, retryLimit, key } of again) {
    if (old.has(id) || retryCount !== 0 || retryLimit !== 4)
      t.fail(`${key.eventId}: ${retryCount} of ${retryLimit}`);
  }
  const row = await rowOf(inbox, events[0]!);
  t.match(row, { status: 'PENDING', attempts: 0, deferrals: 0 });
  t.ok(again.some(({ id }) => id === row.job_id));
  t.same(await failuresOf(inbox, events[0]!), []);
});

t.test(
  'one that was settled meanwhile stays settled, one that is another worker’s stays there',
  async (t) => {
    const { inbox, events, jobs, waiting } = await taken(4);
    const [settled, lost] = jobs.map(({ key }) => events.find(({ eventId }) => eventId === key.eventId)!);
    await inbox.sql(
      `UPDATE webhook_events SET status = 'IGNORED', ignored_reason = 'by hand' WHERE event_id = $1`,
      [settled!.eventId],
    );
    await inbox.sql('UPDATE pgboss.job SET retry_count = 1 WHERE id = $1', [jobs[1]!.id]); // its heartbeat had ended
    await handBackMany(waiting, inbox, 'its worker stops');
    t.match(await rowOf(inbox, settled!), { status: 'IGNORED' });
    t.same(await openJobsOf(inbox, settled!), [], 'its job is gone');
    t.match(await openJobsOf(inbox, lost!), [{ id: jobs[1]!.id, state: 'active' }]);
    const again = await inbox.queue.fetch(4);
    t.same(
      again.map(({ key }) => key.eventId).sort(),
      jobs
        .slice(2)
        .map(({ key }) => key.eventId)
        .sort(),
    );
  },
);

t.test('an operator’s lock on one row keeps nobody waiting', async (t) => {
  const { inbox, jobs, waiting } = await taken(3);
  const operator = await openSession(t, inbox.url);
  await operator('BEGIN');
  await operator('SELECT FROM webhook_events WHERE event_id = $1 FOR UPDATE', [jobs[0]!.key.eventId]);
  await handBackMany(waiting, inbox, 'its worker stops');
  const again = await inbox.queue.fetch(3);
  t.same(again.map(({ key }) => key.eventId).sort(), jobs.map(({ key }) => key.eventId).sort());
  const old = new Set(jobs.map(({ id }) => id));
  t.same(
    again.filter(({ id }) => old.has(id)).map(({ key }) => key.eventId),
    [jobs[0]!.key.eventId],
    'only its job could not be replaced',
  );
  for (const { retryCount, retryLimit } of again) t.same([retryCount, retryLimit], [0, 4]);
  await operator('ROLLBACK');
});
