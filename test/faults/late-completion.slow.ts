// A crash of Postgres between the asynchronous COMMIT of an event's effects and the completion of its job.
import t from 'tap';
import { workerSessionSettings } from '../../src/worker/attempt.ts';
import { Completions } from '../../src/worker/completions.ts';
import { takeJob } from '../support/attempt.ts';
import { makeGate } from '../support/gate.ts';
import { newEvent, openInboxOn, openSession, storeEvents } from '../support/inbox.ts';
import { startCluster } from './cluster.ts';

t.test('a job is not completed after a crash that undid its event', async (t) => {
  const cluster = await startCluster(t, { settings: { wal_writer_delay: '10s' } });
  const inbox = await openInboxOn(t, cluster.url, { sessionSettings: workerSessionSettings(10_000) });
  const event = newEvent();
  await storeEvents(inbox, [event]);
  const job = await takeJob(inbox);
  const gate = makeGate();
  const { database } = inbox;
  const completions = new Completions({
    ...inbox,
    database: {
      lostConnections: database.lostConnections,
      transaction: async (work, options) => {
        await gate.pass();
        return database.transaction(work, options);
      },
    },
  });
  await database.query(`UPDATE {inbox}.webhook_events SET status = 'PROCESSED', processed_at = now()`);
  completions.add(job);
  await cluster.restart('immediate');
  const sql = await openSession(t, cluster.url);
  t.same(
    await sql('SELECT status FROM webhook_events'),
    [{ status: 'PENDING' }],
    'the crash undid the event',
  );
  gate.open();
  await completions.drain();
  t.same(await sql('SELECT id::text FROM pgboss.job'), [{ id: job.id }], 'its job is still there');
});
