// What is held against an event whose process ended under it: proof, or only that it was there; and what it gets back.
import { once } from 'node:events';
import t from 'tap';
import { Later, PermanentError } from '../../src/errors.ts';
import { markLoneStart } from '../../src/events/crashes.ts';
import { readEvents } from '../../src/events/event.ts';
import { defineHandler } from '../../src/handlers/handler.ts';
import { enqueueEventsWithoutJob, settleDeadLetters } from '../../src/maintenance/reconcile.ts';
import type { ClaimedJob } from '../../src/queue/queue.ts';
import { CrashError, handBack } from '../../src/worker/failure.ts';
import { failuresOf, loseJob, makeDue, openJobsOf, rowOf, runNext, takeJob } from '../support/attempt.ts';
import { newEvent, openInbox, storeEvents } from '../support/inbox.ts';

const inbox = await openInbox(t, { policy: { MAX_ATTEMPTS: 3 } });
const handlerOf = (handle: Parameters<typeof defineHandler>[0]['handle']) =>
  defineHandler({ provider: 'stripe', topic: '*', handle });
const fine = handlerOf(async () => {});
const failing = handlerOf(async () => {
  throw new Error('boom');
});
const permanent = async () => {
  throw new PermanentError('never');
};
const later = async () => {
  throw new Later({ afterSeconds: 1 });
};
const marks = ({ eventId }: { eventId: string }) =>
  inbox.sql('SELECT starts FROM lone_attempts WHERE event_id = $1', [eventId]);

async function stored() {
  const event = newEvent();
  await storeEvents(inbox, [event]);
  return event;
}

async function loseAlone(): Promise<void> {
  const job = await takeJob(inbox);
  await markLoneStart(inbox.database, job);
  await loseJob(inbox, job);
}

async function openJobOf(event: { source: string; eventId: string }) {
  const [job] = await inbox.sql(
    `SELECT name, retry_count, retry_limit, data->'suspicion' AS suspicion FROM pgboss.job
     WHERE data->>'eventId' = $1 AND state < 'completed'`,
    [event.eventId],
  );
  return job;
}

t.test('lost beside others, then it ends well: nothing stays', async (t) => {
  const event = await stored();
  await loseJob(inbox, await takeJob(inbox));
  let isMarked: unknown[] = [];
  const looking = handlerOf(async () => {
    isMarked = await marks(event);
  });
  t.match(await runNext(inbox, [looking]), { kind: 'processed' });
  t.same(isMarked, [{ starts: 1 }], 'the start was on record before the handler began');
  t.same(await marks(event), []);
  t.match(await rowOf(inbox, event), { status: 'PROCESSED', attempts: 1 });
  t.same(await openJobsOf(inbox, event), []);
});

for (const [end, handlers] of [
  ['is IGNORED', []],
  ['is put off and then ends well', [handlerOf(later), fine]],
  ['is a dead letter', [handlerOf(permanent)]],
] as const) {
  t.test(`lost beside others, then it ${end}: nothing stays`, async (t) => {
    const event = await stored();
    await loseJob(inbox, await takeJob(inbox));
    for (const list of handlers.length === 0 ? [[]] : handlers.map((handler) => [handler])) {
      await runNext(inbox, list);
    }
    t.not((await rowOf(inbox, event)).status, 'PENDING');
    t.same(await marks(event), []);
  });
}

t.test('lost beside others, then it throws: the lost attempt is given back', async (t) => {
  const event = await stored();
  await loseJob(inbox, await takeJob(inbox));
  t.match(await runNext(inbox, [failing]), { kind: 'failed', isDead: false });
  t.match(
    await openJobOf(event),
    { retry_count: 0, retry_limit: 1, suspicion: null },
    'two of three are left',
  );
  await runNext(inbox, [failing]);
  t.match(await runNext(inbox, [failing]), { kind: 'failed', isDead: true });
  await settleDeadLetters(inbox);
  t.match(await rowOf(inbox, event), { status: 'FAILED', attempts: 3 });
  t.equal((await failuresOf(inbox, event)).length, 3);
  t.same(await marks(event), []);
});

t.test('lost beside others on its last attempt: it runs once more, and only then', async (t) => {
  const event = await stored();
  await runNext(inbox, [failing]);
  await runNext(inbox, [failing]);
  await loseJob(inbox, await takeJob(inbox));
  await settleDeadLetters(inbox);
  t.match(await rowOf(inbox, event), { status: 'PENDING', last_error: 'Error: boom' });
  t.match(await openJobOf(event), { retry_limit: 0, suspicion: { inCompany: 0, alone: 0 } });
  t.match(await runNext(inbox, [failing]), { kind: 'failed', isDead: true });
  await settleDeadLetters(inbox);
  t.match(await rowOf(inbox, event), { status: 'FAILED', attempts: 3 });
});

t.test('only ever lost beside others: it is never given up, and keeps every attempt', async (t) => {
  const event = await stored();
  for (let round = 0; round < 5; round++) {
    await loseJob(inbox, await takeJob(inbox));
    await settleDeadLetters(inbox);
  }
  t.match(await rowOf(inbox, event), { status: 'PENDING', attempts: 0 });
  t.match(await runNext(inbox, [failing]), { kind: 'failed', isDead: false });
  t.match(await openJobOf(event), { retry_limit: 1, suspicion: null }, 'two of three are left');
  t.match(await runNext(inbox, [fine]), { kind: 'processed' });
});

t.test('lost alone: that is proof, and the first loss counts, too', async (t) => {
  const event = await stored();
  await loseJob(inbox, await takeJob(inbox));
  await loseAlone();
  await loseAlone();
  await settleDeadLetters(inbox);
  const row = await rowOf(inbox, event);
  t.match(row, { status: 'FAILED', attempts: 3, last_error: /AttemptLost/ });

  await inbox.sql(`UPDATE webhook_events SET status = 'PENDING' WHERE event_id = $1`, [event.eventId]);
  await enqueueEventsWithoutJob(inbox);
  t.match(
    await openJobOf(event),
    { retry_limit: 2, suspicion: { inCompany: 0, alone: 0 } },
    'a replay runs it alone from its first start',
  );
  t.match(await runNext(inbox, [fine]), { kind: 'processed' });
  t.same(await marks(event), [], 'and it is trusted again once it has ended well');
});

t.test('lost alone, then it throws: what it lost is not given back', async (t) => {
  const event = await stored();
  await loseJob(inbox, await takeJob(inbox));
  await loseAlone();
  t.match(await runNext(inbox, [failing]), { kind: 'failed', isDead: true });
  await settleDeadLetters(inbox);
  t.match(await rowOf(inbox, event), { status: 'FAILED', attempts: 3, last_error: /AttemptLost/ });
});

t.test('lost beside others, then it throws Later: the lost attempt is given back', async (t) => {
  const event = await stored();
  await loseJob(inbox, await takeJob(inbox));
  const later = handlerOf(async () => {
    throw new Later({ afterSeconds: 1 });
  });
  t.match(await runNext(inbox, [later]), { kind: 'deferred' });
  t.match(await openJobOf(event), { retry_limit: 2, suspicion: null });
  t.match(await runNext(inbox, [fine]), { kind: 'processed' });
});

t.test('handed back before it is known: it stays suspect, and pays nothing yet', async (t) => {
  const event = await stored();
  await loseJob(inbox, await takeJob(inbox));
  const job = await takeJob(inbox);
  const [row] = await readEvents(inbox.database, [job.key]);
  await handBack({ job, event: row!, suspicion: { inCompany: 1, alone: 0 } }, inbox, 0, 'its worker stops');
  t.match(await openJobOf(event), { retry_limit: 1, suspicion: { inCompany: 1, alone: 0 } });
  t.match(await runNext(inbox, [failing]), { kind: 'failed' });
  t.match(await openJobOf(event), { retry_limit: 1, suspicion: null }, 'one failure of three');
  await makeDue(inbox);
  t.match(await runNext(inbox, [fine]), { kind: 'processed' });
});

t.test('an exception nobody caught: charged to the one that ran alone, and to no other', async (t) => {
  const event = await stored();
  const runUntilCrash = () => {
    const crash = new AbortController();
    const crashing = handlerOf(async ({ signal }) => {
      const aborted = once(signal, 'abort');
      crash.abort(new CrashError(new Error('thrown outside')));
      await aborted;
      throw signal.reason;
    });
    return runNext(inbox, [crashing], { signal: crash.signal });
  };
  t.match(await runUntilCrash(), { kind: 'interrupted' });
  t.same(await failuresOf(inbox, event), []);
  const [job] = await inbox.sql(
    `SELECT id, retry_count AS "retryCount" FROM pgboss.job WHERE data->>'eventId' = $1 AND state = 'active'`,
    [event.eventId],
  );
  await loseJob(inbox, job as unknown as ClaimedJob);
  t.match(await runUntilCrash(), { kind: 'failed', isDead: false });
  t.match(await runUntilCrash(), { kind: 'failed', isDead: true });
  await settleDeadLetters(inbox);
  t.match(await rowOf(inbox, event), { status: 'FAILED', attempts: 3 });
  t.match(await failuresOf(inbox, event), [
    { error: 'Error: thrown outside' },
    { error: 'Error: thrown outside' },
    { error: /AttemptLost/ },
  ]);
});
