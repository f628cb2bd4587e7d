// Further deliveries of one event: one row, the first body, and a count that keeps nobody waiting.
import t from 'tap';
import { countDuplicates } from '../../src/events/duplicates.ts';
import { defineHandler } from '../../src/handlers/handler.ts';
import { createDuplicateCounter } from '../../src/receive/duplicate-counter.ts';
import { openJobsOf, runJob, takeJob } from '../support/attempt.ts';
import { makeGate } from '../support/gate.ts';
import {
  eventRows,
  newEvent,
  openInbox,
  openInboxOn,
  openSession,
  sha256,
  storeEvents,
} from '../support/inbox.ts';
import { receiversOn } from '../support/receivers.ts';
import { waitFor } from '../support/wait.ts';

const body = Buffer.from('{}');
const inbox = await openInbox(t);
const receiverOf = receiversOn(inbox);

/** Another delivery of the event, as a request of its own makes it. */
const again = (event: ReturnType<typeof newEvent>) => ({ ...event });

async function duplicatesOf(event: ReturnType<typeof newEvent>): Promise<unknown> {
  return (await eventRows(inbox, [event]))[0]?.duplicates;
}

function waitForDuplicates(event: ReturnType<typeof newEvent>, count: number): Promise<unknown> {
  return waitFor(async () => (await duplicatesOf(event)) === count, {
    what: `${count} duplicates to be counted`,
  });
}

const jobsOf = async (event: ReturnType<typeof newEvent>) => (await openJobsOf(inbox, event)).length;

t.test('100 identical deliveries at once are one row, one job and 99 duplicates', async (t) => {
  const event = newEvent();
  const receiver = receiverOf(t);
  const receipts = await Promise.all(
    Array.from({ length: 100 }, () => receiver.submit([again(event)], body)),
  );
  t.equal(receipts.filter(({ duplicate }) => !duplicate).length, 1);
  await waitForDuplicates(event, 99);
  t.equal(await jobsOf(event), 1);
});

t.test('100 identical deliveries at two processes are one row, one job and 99 duplicates', async (t) => {
  const event = newEvent();
  const other = await openInboxOn(t, inbox.url);
  const receivers = [receiverOf(t), receiverOf(t, other)];
  const receipts = await Promise.all(
    Array.from({ length: 100 }, async (_, index) => {
      if (index >= 50) await new Promise(setImmediate);
      return receivers[index % 2]!.submit([again(event)], body);
    }),
  );
  t.equal(receipts.filter(({ duplicate }) => !duplicate).length, 1);
  await waitForDuplicates(event, 99);
  t.equal(await jobsOf(event), 1);
});

t.test('the same id with another body keeps the first body', async (t) => {
  const receiver = receiverOf(t);
  const first = newEvent({ payloadText: '{"n":1}', rawBody: Buffer.from('{"n":1}') });
  const second = { ...newEvent({ payloadText: '{"n":2}' }), eventId: first.eventId };
  t.same(await receiver.submit([first], body), { duplicate: false });
  t.same(await receiver.submit([second], body), { duplicate: true });
  const [row] = await eventRows(inbox, [first]);
  await waitForDuplicates(first, 1);
  t.match(row, { payload: { n: 1 }, body_sha256: first.bodySha256 });
  t.equal(await jobsOf(first), 1);
  const [a, b] = [newEvent({ payloadText: '{"n":3}' }), newEvent({ payloadText: '{"n":4}' })];
  const together = await Promise.all([
    receiver.submit([a], body),
    receiver.submit([{ ...b, eventId: a.eventId }], body),
  ]);
  t.same(together, [{ duplicate: false }, { duplicate: true }], 'also within one transaction');
  await waitForDuplicates(a, 1);
  t.match((await eventRows(inbox, [a]))[0], { payload: { n: 3 } });
});

t.test('one id at two sources is two events', async (t) => {
  const event = newEvent();
  const receiver = receiverOf(t);
  const receipts = await Promise.all(
    ['stripe', 'stripe-eu'].map((source) => receiver.submit([{ ...again(event), source }], body)),
  );
  t.same(receipts, [{ duplicate: false }, { duplicate: false }]);
});

t.test('where the id is not signed, the same body at another source is an event of its own', async (t) => {
  const receiver = receiverOf(t);
  const unsigned = { uniqueBody: true, bodySha256: sha256('signed once') };
  const events = ['github', 'github-eu'].map((source) =>
    newEvent({ ...unsigned, source, provider: 'github' }),
  );
  for (const event of events) t.same(await receiver.submit([event], body), { duplicate: false });
  for (const row of await eventRows(inbox, events)) t.match(row, { status: 'PENDING', unique_body: true });
});

t.test('where the id is signed, two events may have the same body', async (t) => {
  const bodySha256 = sha256('ping');
  const receiver = receiverOf(t);
  const receipts = await Promise.all([1, 2].map(() => receiver.submit([newEvent({ bodySha256 })], body)));
  t.same(receipts, [{ duplicate: false }, { duplicate: false }]);
});

t.test('a duplicate is counted while the handler of its event runs', async (t) => {
  const inbox = await openInbox(t); // without the jobs of the tests above
  const event = newEvent({ topic: 'slow' });
  await storeEvents(inbox, [event]);
  const gate = makeGate();
  const handler = defineHandler({
    provider: 'stripe',
    topic: 'slow',
    transaction: 'own',
    handle: async ({ tx }) => {
      await tx.query('SELECT 1');
      await gate.pass();
    },
  });
  const attempt = runJob(inbox, await takeJob(inbox), [handler]);
  await waitFor(() => gate.arrived() === 1, { what: 'the handler' });

  t.same(await receiversOn(inbox)(t).submit([again(event)], body), { duplicate: true });
  await waitFor(async () => (await eventRows(inbox, [event]))[0]?.duplicates === 1, { what: 'the count' });
  gate.open();
  t.match(await attempt, { kind: 'processed' });
  t.match((await eventRows(inbox, [event]))[0], { status: 'PROCESSED', duplicates: 1 });
});

t.test(
  'a duplicate of a row that an operator holds locked is answered at once and counted later',
  async (t) => {
    const event = newEvent({ uniqueBody: true });
    const replayed = newEvent({ uniqueBody: true, bodySha256: event.bodySha256 });
    const receiver = receiverOf(t);
    await receiver.submit([event], body);
    const operator = await openSession(t, inbox.url);
    await operator('BEGIN');
    await operator(`UPDATE webhook_events SET topic = 'mended' WHERE event_id = $1`, [event.eventId]);

    // Waiting for the lock would end in an error: the operator keeps it until they are answered.
    const receipts = await Promise.all(
      [event, event, replayed].map((event) => receiver.submit([again(event)], body)),
    );
    t.same(
      receipts.map(({ duplicate }) => duplicate),
      [true, true, false],
    );
    t.equal(await duplicatesOf(event), 0);
    t.match((await eventRows(inbox, [replayed]))[0], { status: 'IGNORED', job_id: null });

    await operator('COMMIT');
    await waitForDuplicates(event, 2);
    t.equal((await eventRows(inbox, [event]))[0]?.topic, 'mended');
  },
);

t.test('what could not be counted is counted when the receiver closes', async (t) => {
  const event = newEvent();
  const receiver = receiverOf(t);
  await receiver.submit([event], body);
  const operator = await openSession(t, inbox.url);
  await operator('BEGIN');
  await operator(`SELECT FROM webhook_events WHERE event_id = $1 FOR UPDATE`, [event.eventId]);
  t.same(await receiver.submit([again(event)], body), { duplicate: true });
  await operator('COMMIT');
  await receiver.close();
  t.equal(await duplicatesOf(event), 1);
});

t.test('duplicates of an event that was deleted are forgotten, not tried for ever', async (t) => {
  const [kept, deleted] = [newEvent(), newEvent()];
  await storeEvents(inbox, [kept]);
  const counts = [kept, deleted].map((event) => ({ ...event, count: 2 }));
  t.same(await countDuplicates(inbox.database, counts), { stillUncounted: [], conflicting: [] });
  t.equal(await duplicatesOf(kept), 2);
});

t.test('a database that is away does not keep the receiver from closing', async (t) => {
  let tries = 0;
  const database = {
    transaction: async () => {
      tries++;
      throw new Error('the database is away');
    },
  };
  const counter = createDuplicateCounter({ database, log: inbox.log, onConflicts: () => {} });
  counter.add(Array.from({ length: 2_000 }, () => newEvent()));
  await counter.close();
  t.ok(tries <= 2, `${tries} statements of 500 counts each`);
});
