// Group commit: who shares a transaction, and what is stored of whom.
import t, { type Test } from 'tap';
import { type ReceiverOptions, UnavailableError } from '../../src/receive/receiver.ts';
import { atEnd } from '../support/at-end.ts';
import { countTransactions, makeGate } from '../support/gate.ts';
import { eventRows, type Inbox, newEvent, openInbox, openInboxOn, openSession } from '../support/inbox.ts';
import { receiversOn } from '../support/receivers.ts';
import { waitFor } from '../support/wait.ts';

const body = Buffer.from('{}');
const inbox = await openInbox(t);
const receiverOf = receiversOn(inbox);

/** A receiver whose transactions stop at a gate once they have inserted, and are counted. */
function gatedReceiver(t: Test, overrides: Partial<ReceiverOptions> = {}) {
  const gate = makeGate();
  const { database, transactions } = countTransactions(inbox.database);
  const queue: ReceiverOptions['queue'] = {
    ...inbox.queue,
    enqueue: async (tx, jobs) => {
      await inbox.queue.enqueue(tx, jobs);
      await gate.pass();
    },
  };
  return { receiver: receiverOf(t, { database, queue, ...overrides }), gate, transactions };
}

t.test('a delivery is stored with its job in one commit', async (t) => {
  const event = newEvent({
    topic: 'charge.pending',
    occurredAt: new Date('2026-01-02T03:04:05.678Z'),
    payloadText: '{"amount": 12345678901234567890, "name": "Ünïcode 🎉", "quote": "a\\"b\\\\c, {d}"}',
    headers: { 'user-agent': 'Stripe/1.0 "x", {y}' },
    rawBody: Buffer.from([0, 1, 2, 255, 92, 34]),
  });
  t.same(await receiverOf(t).submit([event], body), { duplicate: false });

  const [row] = await eventRows(inbox, [event]);
  t.match(row, {
    source: 'stripe',
    provider: 'stripe',
    event_id: event.eventId,
    topic: 'charge.pending',
    status: 'PENDING',
    payload_error: null,
    headers: { 'user-agent': 'Stripe/1.0 "x", {y}' },
    attempts: 0,
    duplicates: 0,
    unique_body: false,
  });
  t.same(row?.occurred_at, event.occurredAt);
  t.same(row?.raw_body, event.rawBody);
  t.same(row?.body_sha256, event.bodySha256);
  const [text] = await inbox.sql(
    `SELECT payload->>'amount' AS amount, payload->>'name' AS name, payload->>'quote' AS quote
     FROM webhook_events WHERE event_id = $1`,
    [event.eventId],
  );
  t.same(text, { amount: '12345678901234567890', name: 'Ünïcode 🎉', quote: 'a"b\\c, {d}' });
  const jobs = await inbox.sql(`SELECT name, data, state::text FROM pgboss.job WHERE id = $1`, [row?.job_id]);
  t.same(jobs, [{ name: 'webhooks', data: { events: [['stripe', event.eventId]] }, state: 'created' }]);
});

t.test('deliveries that arrive in one turn of the event loop share one transaction', async (t) => {
  const { database, transactions } = countTransactions(inbox.database);
  const receiver = receiverOf(t, { database });
  const events = Array.from({ length: 50 }, () => newEvent());
  const receipts = await Promise.all(events.map((event) => receiver.submit([event], body)));
  t.ok(receipts.every(({ duplicate }) => !duplicate));
  t.equal(transactions(), 1);
  t.equal((await eventRows(inbox, events)).length, 50);
});

t.test('deliveries that arrive during a transaction share the next one', async (t) => {
  const { receiver, gate, transactions } = gatedReceiver(t);
  const first = receiver.submit([newEvent()], body);
  await waitFor(() => gate.arrived() === 1, { what: 'the first transaction' });

  const later = [];
  for (let i = 0; i < 30; i++) {
    later.push(receiver.submit([newEvent()], body));
    await new Promise(setImmediate); // each in a turn of its own
  }
  t.equal(transactions(), 1, 'so few do not overtake the transaction in flight');
  t.equal(receiver.waiting(), 31);
  gate.open();
  await Promise.all([first, ...later]);
  t.equal(transactions(), 2);
  t.equal(receiver.waiting(), 0);
});

t.test('many that arrive during a transaction begin a second one, and never a third', async (t) => {
  const { receiver, gate, transactions } = gatedReceiver(t);
  const events = Array.from({ length: 201 }, () => newEvent());
  const answers = [receiver.submit([events[0]!], body)];
  await waitFor(() => gate.arrived() === 1, { what: 'the first transaction' });
  for (const count of [100, 200]) {
    answers.push(...events.slice(count - 99, count + 1).map((event) => receiver.submit([event], body)));
    await waitFor(() => gate.arrived() === 2, { what: 'the second transaction' });
  }
  t.equal(transactions(), 2);
  t.equal(receiver.waiting(), 201);
  gate.open();
  t.ok((await Promise.all(answers)).every(({ duplicate }) => !duplicate));
  t.equal(transactions(), 3);
  t.equal((await eventRows(inbox, events)).length, 201);
});

t.test('a pool of two connections is never waited for: one transaction at a time', async (t) => {
  const small = await openInboxOn(t, inbox.url, { maxConnections: 2 });
  const gate = makeGate();
  const { database, transactions } = countTransactions(small.database);
  const queue: ReceiverOptions['queue'] = {
    ...inbox.queue,
    enqueue: async (tx, jobs) => {
      await small.queue.enqueue(tx, jobs);
      await gate.pass();
    },
  };
  const receiver = receiverOf(t, { database, queue });
  const first = receiver.submit([newEvent()], body);
  await waitFor(() => gate.arrived() === 1, { what: 'the first transaction' });
  const later = Array.from({ length: 100 }, () => receiver.submit([newEvent()], body));
  await new Promise(setImmediate);
  t.equal(transactions(), 1);
  gate.open();
  await Promise.all([first, ...later]);
  t.equal(transactions(), 2);
});

t.test('nobody is answered before the commit', async (t) => {
  const { receiver, gate } = gatedReceiver(t);
  const event = newEvent();
  let isAnswered = false;
  const answer = receiver.submit([event], body).then(() => {
    isAnswered = true;
  });
  await waitFor(() => gate.arrived() === 1, { what: 'the rows to be inserted' });
  t.equal((await eventRows(inbox, [event])).length, 0, 'not committed yet');
  t.notOk(isAnswered);
  gate.open();
  await answer;
  t.equal((await eventRows(inbox, [event])).length, 1);
});

t.test('a transaction is bounded in events and in bytes', async (t) => {
  const many = countTransactions(inbox.database);
  const receiver = receiverOf(t, { database: many.database });
  await Promise.all(Array.from({ length: 1_500 }, () => receiver.submit([newEvent()], body)));
  t.equal(many.transactions(), 2, '1,000 and 500 events');

  const large = countTransactions(inbox.database);
  const largeReceiver = receiverOf(t, { database: large.database });
  const largeBody = Buffer.alloc(5 * 1_048_576);
  await Promise.all(Array.from({ length: 3 }, () => largeReceiver.submit([newEvent()], largeBody)));
  t.equal(large.transactions(), 3, '5 MB each, 8 MB at most');
});

t.test(
  'a delivery with several events is stored whole, and is a duplicate only when all were stored',
  async (t) => {
    const receiver = receiverOf(t);
    const [a, b, c] = [newEvent(), newEvent(), newEvent()];
    t.same(await receiver.submit([a, b], body), { duplicate: false });
    t.same(await receiver.submit([b, c], body), { duplicate: false }, 'c was new');
    t.same(await receiver.submit([a, c], body), { duplicate: true });
    await receiver.close();
    const duplicates = (await eventRows(inbox, [a, b, c])).map((row) => row.duplicates);
    t.same(duplicates, [1, 1, 1]);
  },
);

t.test('a delivery without events is answered without the database', async (t) => {
  const { database, transactions } = countTransactions(inbox.database);
  t.same(await receiverOf(t, { database }).submit([], body), { duplicate: false });
  t.equal(transactions(), 0);
});

t.test('the queue is bounded in deliveries', async (t) => {
  const { receiver, gate } = gatedReceiver(t, { queueMax: 2 });
  const accepted = [receiver.submit([newEvent()], body)];
  await waitFor(() => gate.arrived() === 1, { what: 'the first transaction' });
  accepted.push(receiver.submit([newEvent()], body), receiver.submit([newEvent()], body));
  await t.rejects(receiver.submit([newEvent()], body), {
    name: 'UnavailableError',
    message: /queue is full/,
  });
  gate.open();
  await Promise.all(accepted);
  t.same(await receiver.submit([newEvent()], body), { duplicate: false }, 'room again');
});

t.test('the queue is bounded in bytes', async (t) => {
  const { receiver, gate } = gatedReceiver(t);
  const largeBody = Buffer.alloc(33 * 1_048_576);
  const accepted = [receiver.submit([newEvent()], body)];
  await waitFor(() => gate.arrived() === 1, { what: 'the first transaction' });
  accepted.push(receiver.submit([newEvent()], largeBody), receiver.submit([newEvent()], largeBody));
  await t.rejects(receiver.submit([newEvent()], body), UnavailableError);
  gate.open();
  await Promise.all(accepted);
});

t.test('closing answers what is in hand and refuses what comes after', async (t) => {
  const { receiver, gate } = gatedReceiver(t);
  const inHand = [receiver.submit([newEvent()], body)];
  await waitFor(() => gate.arrived() === 1, { what: 'the first transaction' });
  inHand.push(receiver.submit([newEvent()], body));
  const closed = receiver.close();
  await t.rejects(receiver.submit([newEvent()], body), {
    name: 'UnavailableError',
    message: /shutting down/,
  });
  gate.open();
  t.same(await Promise.all(inHand), [{ duplicate: false }, { duplicate: false }]);
  await closed;
});

t.test('its commit is synchronous and READ COMMITTED, whatever the database is set to', async (t) => {
  const operator = await openSession(t, inbox.url);
  const [{ name } = {}] = await operator('SELECT current_database() AS name');
  await operator(`ALTER DATABASE ${name} SET synchronous_commit = off`);
  await operator(`ALTER DATABASE ${name} SET default_transaction_isolation = 'serializable'`);
  atEnd(t, () => operator(`ALTER DATABASE ${name} RESET ALL`).then(() => {}));
  const other = await openInboxOn(t, inbox.url);
  t.same(
    (await other.database.query('SHOW synchronous_commit')).rows,
    [{ synchronous_commit: 'off' }],
    'the database says off',
  );

  const seen: unknown[] = [];
  const queue: ReceiverOptions['queue'] = {
    ...inbox.queue,
    enqueue: async (tx, jobs) => {
      await other.queue.enqueue(tx, jobs);
      const { rows } = await tx.query(
        `SELECT current_setting('synchronous_commit') AS commit, current_setting('transaction_isolation') AS isolation`,
      );
      seen.push(...rows);
    },
  };
  await receiverOf(t, { database: other.database, queue }).submit([newEvent()], body);
  t.same(seen, [{ commit: 'on', isolation: 'read committed' }]);
});

t.test('two receivers with overlapping batches in opposite orders do not deadlock', async (t) => {
  // Slow enough that each is sure to be in the middle when the other begins.
  await inbox.sql(
    `CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(0.03); RETURN NEW; END $$`,
  );
  await inbox.sql('CREATE TRIGGER slow BEFORE INSERT ON webhook_events FOR EACH ROW EXECUTE FUNCTION slow()');
  const other = await openInboxOn(t, inbox.url);
  const tries = [0, 0];
  const countingQueue = ({ queue }: Inbox, place: number): ReceiverOptions['queue'] => ({
    ...queue,
    enqueue: (tx, jobs) => {
      tries[place]!++;
      return queue.enqueue(tx, jobs);
    },
  });
  const events = Array.from({ length: 6 }, () => newEvent());
  const again = [...events].reverse();
  const receivers = [
    receiverOf(t, { queue: countingQueue(inbox, 0) }),
    receiverOf(t, { ...other, queue: countingQueue(other, 1) }),
  ];
  const receipts = await Promise.all([
    ...events.map((event) => receivers[0]!.submit([event], body)),
    ...again.map((event) => receivers[1]!.submit([event], body)),
  ]);
  await inbox.sql('DROP FUNCTION slow() CASCADE');
  t.equal(receipts.filter(({ duplicate }) => !duplicate).length, 6, 'each event was new exactly once');
  t.same(tries, [1, 1], 'and nothing had to be tried again');
});
