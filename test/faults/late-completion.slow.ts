// A crash of Postgres between the asynchronous COMMIT of an event's effects and the completion of its job.
import t from 'tap';
import { workerSessionSettings } from '../../src/worker/attempt.ts';
import { Completions } from '../../src/worker/completions.ts';
import { takeJob } from '../support/attempt.ts';
import { newEvent, openInboxOn, openSession, storeEvents } from '../support/inbox.ts';
import { waitFor } from '../support/wait.ts';
import { startCluster } from './cluster.ts';

t.test(
  'a job whose event was undone by a crash stays, also if its last event is done after the crash',
  async (t) => {
    const cluster = await startCluster(t, { settings: { wal_writer_delay: '10s' } });
    const inbox = await openInboxOn(t, cluster.url, { sessionSettings: workerSessionSettings(10_000) });
    const [first, last] = [newEvent(), newEvent()];
    await storeEvents(inbox, [first, last], 2);
    const job = await takeJob(inbox);
    const { database } = inbox;
    const completions = new Completions(inbox);
    const complete = async () => {
      completions.add(job);
      await completions.drain();
      return sql('SELECT id::text FROM pgboss.job');
    };
    const markProcessed = ({ eventId }: { eventId: string }) =>
      database.query({
        text: `UPDATE {inbox}.webhook_events SET status = 'PROCESSED', processed_at = now() WHERE event_id = $1`,
        values: [eventId],
      });
    await markProcessed(first);
    await cluster.restart('immediate');
    await waitFor(() => database.lostConnections() > job.lostBefore, { what: 'the loss to be noticed' });
    const sql = await openSession(t, cluster.url);
    await markProcessed(last);
    t.same(
      await sql(`SELECT event_id FROM webhook_events WHERE status = 'PENDING'`),
      [{ event_id: first.eventId }],
      'the crash undid the first event',
    );
    t.same(await complete(), [{ id: job.id }], 'the job stays for it');
    await markProcessed(first);
    t.same(await complete(), [], 'once all events are done, the loss does not keep the job');
  },
);
