// The way out of a job: each event goes to exactly one new job, or is FAILED; and what was lost with a worker runs alone.
import t from 'tap';
import { attemptLost } from '../../src/events/jobs.ts';
import { releaseEvents, splitLostJob } from '../../src/events/release.ts';
import { settleDeadLetters } from '../../src/maintenance/dead-letters.ts';
import { enqueueEventsWithoutJob } from '../../src/maintenance/reconcile.ts';
import { failuresOf, loseJobs, openJobsOf, rowOf, takeJob } from '../support/attempt.ts';
import { newEvent, openInbox, openSession, storeEvents } from '../support/inbox.ts';

const inbox = await openInbox(t, { policy: { MAX_ATTEMPTS: 3 } });
const deps = { ...inbox, maxAttempts: 3 };

async function stored(count: number) {
  const events = Array.from({ length: count }, () => newEvent());
  const [jobId] = await storeEvents(inbox, events, count);
  return { events, jobId: jobId! };
}

t.test('hundreds leave in one commit, together, ahead of the others, and uncharged', async (t) => {
  const { events, jobId } = await stored(16);
  const job = await takeJob(inbox);
  t.equal(job.id, jobId);
  const left = await releaseEvents(deps, [{ events, fromJobId: job.id, to: { priority: 1 } }]);
  t.equal(left.length, 16);
  await inbox.queue.complete(inbox.database, [job]);
  const again = await takeJob(inbox);
  t.same(
    again.events,
    events.map(({ source, eventId }) => ({ source, eventId })),
    'in their order',
  );
  t.match(await openJobsOf(inbox, events[0]!), [{ id: again.id, priority: 1, name: 'webhooks', events: 16 }]);
  for (const event of events)
    t.match(await rowOf(inbox, event), { status: 'PENDING', attempts: 0, failures: 0, job_id: again.id });
  await inbox.queue.complete(inbox.database, [again]);
});

t.test('events that are settled, locked or another job’s stay where they are', async (t) => {
  const { events, jobId } = await stored(4);
  const [settled, locked, taken, free] = events as [
    (typeof events)[0],
    (typeof events)[0],
    (typeof events)[0],
    (typeof events)[0],
  ];
  const operator = await openSession(t, inbox.url);
  await inbox.sql(`UPDATE webhook_events SET status = 'IGNORED' WHERE event_id = $1`, [settled.eventId]);
  await inbox.sql('UPDATE webhook_events SET job_id = gen_random_uuid() WHERE event_id = $1', [
    taken.eventId,
  ]);
  await operator('BEGIN');
  await operator('SELECT FROM webhook_events WHERE event_id = $1 FOR UPDATE', [locked.eventId]);
  const left = await releaseEvents(deps, [{ events, fromJobId: jobId, to: {} }]);
  t.same(
    left.map(({ eventId }) => eventId),
    [free.eventId],
  );
  await operator('ROLLBACK');
  t.match(await rowOf(inbox, locked), { job_id: jobId });
  t.match(await rowOf(inbox, settled), { status: 'IGNORED' });
  t.match(await openJobsOf(inbox, free), [{ events: 4 }, { events: 1 }], 'the old list, and a job of one');
  await inbox.sql('DELETE FROM pgboss.job');
});

t.test('a job that would carry nothing is not inserted', async (t) => {
  const { events, jobId } = await stored(1);
  await inbox.sql(`UPDATE webhook_events SET status = 'IGNORED' WHERE event_id = $1`, [events[0]!.eventId]);
  t.same(await releaseEvents(deps, [{ events, fromJobId: jobId, to: {} }]), []);
  t.equal((await openJobsOf(inbox, events[0]!)).length, 1, 'only the old one');
  await inbox.sql('DELETE FROM pgboss.job');
});

t.test('a lost list is split: each event gets an isolated job, uncharged', async (t) => {
  const { events } = await stored(5);
  await takeJob(inbox);
  await loseJobs(inbox);
  const lost = await takeJob(inbox);
  t.equal(lost.retryCount, 1);
  const split = () => splitLostJob(deps, lost, (tx) => inbox.queue.complete(tx, [lost]));
  t.equal((await split()).length, 5);
  t.same(await split(), [], 'once: the job is gone');
  for (const event of events) {
    t.match(await openJobsOf(inbox, event), [{ name: 'webhooks-isolated', retry_limit: 1, events: 1 }]);
    t.match(await rowOf(inbox, event), { status: 'PENDING', attempts: 0, failures: 0 });
  }
  await inbox.sql('DELETE FROM pgboss.job');
});

t.test('a shared job in the dead-letter queue is split, an isolated one is a dead letter', async (t) => {
  const { events } = await stored(2);
  await inbox.sql('UPDATE pgboss.job SET retry_limit = 0');
  const fail = async (name: string) => {
    const [job] = await inbox.sql(`SELECT id FROM pgboss.job WHERE name = $1 AND state < 'active'`, [name]);
    // As the supervisor does where a heartbeat has ended and no retry is left.
    await inbox.sql(
      `UPDATE pgboss.job SET state = 'failed', retry_limit = 0, completed_on = now() WHERE id = $1`,
      [job!.id],
    );
    await inbox.sql(
      `INSERT INTO pgboss.job (name, data, source_name, source_id, source_retry_count)
       SELECT 'webhooks-dead-letters', data, name, id, 0 FROM pgboss.job WHERE id = $1`,
      [job!.id],
    );
  };
  await fail('webhooks');
  t.equal(await settleDeadLetters(deps), 1);
  for (const event of events) {
    t.match(await rowOf(inbox, event), { status: 'PENDING', attempts: 0 });
    t.match(
      (await openJobsOf(inbox, event)).filter(
        ({ name, state }) => name === 'webhooks-isolated' && state === 'created',
      ).length,
      1,
    );
  }
  await fail('webhooks-isolated');
  t.equal(await settleDeadLetters(deps), 1);
  const rows = await Promise.all(events.map((event) => rowOf(inbox, event)));
  const failed = events[rows.findIndex(({ failures }) => failures === 2)]!;
  const charged = 'the loss beside others, and the loss alone';
  t.match(await failuresOf(inbox, failed), [{ error: attemptLost }, { error: attemptLost }], charged);
  t.match(await rowOf(inbox, failed), { status: 'PENDING' }, 'of three failures one is left');
  await inbox.sql(`DELETE FROM pgboss.job WHERE data::text NOT LIKE '%' || $1 || '%'`, [failed.eventId]);
  await fail('webhooks-isolated');
  t.equal(await settleDeadLetters(deps), 1);
  t.match(await rowOf(inbox, failed), {
    status: 'FAILED',
    attempts: 3,
    failures: 3,
    last_error: `${attemptLost} 3 times`,
  });

  await inbox.sql(`UPDATE webhook_events SET status = 'PENDING' WHERE event_id = $1`, [failed.eventId]);
  t.match(await rowOf(inbox, failed), { failures: 0 }, 'a replay starts afresh');
  t.equal(await enqueueEventsWithoutJob(inbox), 1);
  const open = (await openJobsOf(inbox, failed)).filter(({ state }) => state === 'created');
  t.match(open, [{ name: 'webhooks-isolated' }], 'and runs the event alone from its first start');
});
