// A process with one connection: nothing that holds a transaction may wait for a second one, or a busy pool stands still.
import t from 'tap';
import { Later, PermanentError } from '../../src/errors.ts';
import { defineHandler } from '../../src/handlers/handler.ts';
import { settleDeadLetters } from '../../src/maintenance/dead-letters.ts';
import { purge } from '../../src/maintenance/purge.ts';
import { clearVanishedJobs, enqueueEventsWithoutJob } from '../../src/maintenance/reconcile.ts';
import { createReceiver } from '../../src/receive/receiver.ts';
import { atEnd } from '../support/at-end.ts';
import { rowOf, runNext } from '../support/attempt.ts';
import { newEvent, openInbox } from '../support/inbox.ts';

const inbox = await openInbox(t, { maxConnections: 1, policy: { MAX_ATTEMPTS: 2 } });
const receiver = createReceiver({ ...inbox, timeoutMs: 3_000, queueMax: 100 });
atEnd(t, () => receiver.close());

t.test('every way of an event, on one connection', async (t) => {
  const what: Record<string, () => void> = {
    fine: () => {},
    fail: () => {
      throw new Error('boom');
    },
    later: () => {
      throw new Later({ afterSeconds: 1 });
    },
    never: () => {
      throw new PermanentError('never');
    },
  };
  let act = 'fine';
  const handler = defineHandler({
    provider: 'stripe',
    topic: '*',
    entity: () => 'one',
    handle: async ({ tx }) => {
      await tx.query('SELECT 1');
      what[act]?.();
    },
  });
  const run = (name: string) => {
    act = name;
    return runNext(inbox, [handler], { maxAttempts: 2 });
  };
  const deliver = async () => {
    const event = newEvent();
    t.same(await receiver.submit([event], Buffer.from('{}')), { duplicate: false });
    return event;
  };

  const event = await deliver();
  t.match(await run('later'), { kind: 'deferred' });
  t.match(await run('fail'), { kind: 'failed' });
  await settleDeadLetters({ ...inbox, maxAttempts: 2 });
  t.match(await run('fail'), { kind: 'failed', isDead: true });
  t.match(await rowOf(inbox, event), { status: 'FAILED' });
  await inbox.sql(`UPDATE webhook_events SET status = 'PENDING'`);
  t.equal(await enqueueEventsWithoutJob(inbox), 1);
  await clearVanishedJobs(inbox, undefined);
  t.match(await run('fine'), { kind: 'processed' });

  await deliver();
  t.match(await run('never'), { kind: 'failed', isDead: true });
  t.match(await purge({ ...inbox, retentionMs: 86_400_000 }), { events: 0 });
  t.match(inbox.database.counts(), { total: 1, waiting: 0 });
});
