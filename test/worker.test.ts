// The worker's loop: what one job meets must not be held against those beside it.
import t, { type Test } from 'tap';
import { defineHandler, type Handler } from '../src/handlers.ts';
import { startWorker, type Worker } from '../src/worker.ts';
import { atEnd } from './support/at-end.ts';
import { failuresOf, rowOf, runJob, takeJob } from './support/attempt.ts';
import { type Inbox, newEvent, openInbox, openSession, storeEvents } from './support/inbox.ts';
import { waitFor } from './support/wait.ts';

const quick = defineHandler({
  provider: 'stripe',
  topic: '*',
  handle: ({ tx }) => tx.query('SELECT 1'),
});

function startOn(t: Test, inbox: Inbox, handlers: Handler[], timeoutMs = 60_000): Worker {
  const worker = startWorker({
    ...inbox,
    handlers: () => handlers,
    concurrency: 1,
    timeoutMs,
    maxDeferrals: 100,
    heartbeatMs: 30_000,
    pollMs: 100,
  });
  atEnd(t, () => worker.stop(1_000));
  return worker;
}

const statusOf = async (inbox: Inbox, event: Parameters<typeof rowOf>[1]) =>
  (await rowOf(inbox, event)).status;

t.test('a job that names no event is completed, and those fetched with it are run', async (t) => {
  const inbox = await openInbox(t);
  const events = [newEvent(), newEvent()];
  await storeEvents(inbox, events.slice(0, 1));
  await inbox.sql(`INSERT INTO pgboss.job (name, data) VALUES
    ('webhooks', NULL), ('webhooks', '{}'), ('webhooks', '"text"'), ('webhooks', '{"source": 1, "eventId": null}')`);
  await storeEvents(inbox, events.slice(1));
  startOn(t, inbox, [quick]);
  for (const event of events) {
    await waitFor(async () => (await statusOf(inbox, event)) === 'PROCESSED', {
      what: 'the event to be run',
    });
    t.match(await rowOf(inbox, event), { attempts: 1 });
  }
  await waitFor(async () => (await inbox.sql('SELECT FROM pgboss.job')).length === 0, {
    what: 'no job left',
  });
  t.same(
    inbox.logs.filter(({ msg }) => String(msg).includes('could not be fetched')),
    [],
  );
});

t.test('an attempt behind a COMMIT that waits for a locked row has its whole time left', async (t) => {
  const inbox = await openInbox(t);
  const [locked, behind] = [newEvent({ topic: 'locked' }), newEvent({ topic: 'behind' })];
  await storeEvents(inbox, [locked]);
  await storeEvents(inbox, [behind]); // a commit of its own: fetched in this order
  const operator = await openSession(t, inbox.url);
  await operator('BEGIN');
  await operator('SELECT FROM webhook_events WHERE event_id = $1 FOR UPDATE', [locked.eventId]);
  const begun: string[] = [];
  const handler = defineHandler({
    provider: 'stripe',
    topic: '*',
    handle: ({ event, tx }) => {
      begun.push(event.topic);
      return tx.query('SELECT 1');
    },
  });
  const timeoutMs = 1_000;
  startOn(t, inbox, [handler], timeoutMs);
  await waitFor(() => begun.length === 2, { what: 'both handlers to have begun' });
  t.same(begun, ['locked', 'behind']);
  // As a clock of Postgres: the lock is held for twice the handlers' time.
  await operator(`SELECT pg_sleep(${(2 * timeoutMs) / 1_000})`);
  await operator('ROLLBACK');
  for (const event of [locked, behind]) {
    await waitFor(async () => (await statusOf(inbox, event)) === 'PROCESSED', {
      what: 'the event to be run',
    });
    t.same(await failuresOf(inbox, event), []);
  }
});

t.test('a settled event whose completion was lost is not held to have ended its process', async (t) => {
  const inbox = await openInbox(t);
  const event = newEvent();
  await storeEvents(inbox, [event]);
  const deaf = { ...inbox, queue: { ...inbox.queue, complete: async () => {} } };
  t.match(await runJob(deaf, await takeJob(inbox), [quick]), { kind: 'processed' });
  // As pg-boss does when a heartbeat has ended.
  await inbox.sql(
    `UPDATE pgboss.job SET state = 'retry', retry_count = 1, start_after = now() - interval '1 second'`,
  );
  startOn(t, inbox, [quick]);
  await waitFor(async () => (await inbox.sql('SELECT FROM pgboss.job')).length === 0, {
    what: 'no job left',
  });
  t.match(await rowOf(inbox, event), { status: 'PROCESSED', attempts: 1 });
  t.same(await inbox.sql('SELECT * FROM lone_attempts'), []);
});
