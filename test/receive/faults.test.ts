// The receiver when Postgres refuses, waits, dies or lies: an honest 503, nothing half stored, and well again by itself.
import pg from 'pg';
import t, { type Test } from 'tap';
import { CommitRolledBackError } from '../../src/errors.ts';
import { type ReceiverOptions, UnavailableError } from '../../src/receive/receiver.ts';
import { atEnd } from '../support/at-end.ts';
import { openJobsOf } from '../support/attempt.ts';
import { testServerUrl } from '../support/database.ts';
import { makeGate } from '../support/gate.ts';
import { eventRows, newEvent, openInbox, openInboxOn, openSession, storeEvents } from '../support/inbox.ts';
import { receiversOn } from '../support/receivers.ts';
import { waitFor } from '../support/wait.ts';

const body = Buffer.from('the exact bytes \0 of the request');
const inbox = await openInbox(t);
const receiverOf = receiversOn(inbox);

async function storedCount(events: readonly ReturnType<typeof newEvent>[]): Promise<number> {
  return (await eventRows(inbox, events)).length;
}

t.test(
  'a payload that jsonb refuses although our checks passed it fails alone and is kept as bytes',
  async (t) => {
    const events = Array.from({ length: 20 }, () => newEvent());
    const bad = events[13]!;
    bad.payloadText = '{"a":"\\u0000"}';
    const receiver = receiverOf(t);
    const receipts = await Promise.all(events.map((event) => receiver.submit([event], body)));
    t.ok(receipts.every(({ duplicate }) => !duplicate));
    const rows = await eventRows(inbox, events);
    t.equal(rows.filter((row) => row.payload !== null).length, 19);
    // The payload's own text: credentials were taken out of it, and not out of the body as it came.
    const raw_body = Buffer.from(bad.payloadText);
    t.match(rows[13], { payload: null, payload_error: 'refused', raw_body, status: 'PENDING' });
    t.equal(inbox.logs.filter((line) => line.msg?.includes('Postgres rejected a payload')).length, 1);
  },
);

t.test('a delivery that cannot be stored at all is refused, and those beside it are stored', async (t) => {
  const events = Array.from({ length: 9 }, () => newEvent());
  events[4]!.topic = ''; // no CHECK lets that in, with or without a payload
  const receiver = receiverOf(t);
  const results = await Promise.allSettled(events.map((event) => receiver.submit([event], body)));
  t.same(
    results.map(({ status }) => status),
    events.map((event) => (event.topic === '' ? 'rejected' : 'fulfilled')),
  );
  t.type((results[4] as PromiseRejectedResult).reason, UnavailableError);
  t.equal(await storedCount(events), 8);
});

t.test('a COMMIT that Postgres answers with ROLLBACK is no success', async (t) => {
  const event = newEvent();
  const queue: ReceiverOptions['queue'] = {
    ...inbox.queue,
    enqueue: async (tx, jobs) => {
      await inbox.queue.enqueue(tx, jobs);
      await tx.query('SELECT 1/0').catch(() => {});
    },
  };
  const error = await receiverOf(t, { queue })
    .submit([event], body)
    .catch((error: unknown) => error);
  t.type(error, UnavailableError);
  t.type((error as Error).cause, CommitRolledBackError);
  t.equal(await storedCount([event]), 0);
});

t.test('an event whose job was not inserted is not stored either', async (t) => {
  const [first, second] = [newEvent(), newEvent()];
  const [jobId] = await storeEvents(inbox, [first]);
  // pg-boss leaves a job out without a word when its id exists.
  const queue: ReceiverOptions['queue'] = {
    ...inbox.queue,
    enqueue: (tx, jobs) =>
      inbox.queue.enqueue(
        tx,
        jobs.map((job) => ({ ...job, jobId: jobId! })),
      ),
  };
  await t.rejects(receiverOf(t, { queue }).submit([second], body), UnavailableError);
  t.equal(await storedCount([second]), 0);
});

t.test(
  'a delivery is refused at its deadline; what was in flight may commit, and the retry is a duplicate',
  async (t) => {
    const receiver = receiverOf(t, { timeoutMs: 250 });
    const operator = await openSession(t, inbox.url);
    await operator('BEGIN');
    await operator('LOCK TABLE webhook_events IN ACCESS EXCLUSIVE MODE');
    const [inFlight, waiting] = [newEvent(), newEvent()];
    const startedAt = performance.now();
    const answers = [receiver.submit([inFlight], body)];
    await new Promise(setImmediate);
    answers.push(receiver.submit([waiting], body));
    const results = await Promise.allSettled(answers);
    const waitedMs = performance.now() - startedAt;
    t.ok(waitedMs >= 250, `refused after ${Math.round(waitedMs)} ms`);
    for (const result of results) {
      t.match(result, { status: 'rejected', reason: { name: 'UnavailableError', message: /within 250 ms/ } });
    }

    await operator('COMMIT');
    await waitFor(async () => (await storedCount([inFlight])) === 1, { what: 'the late commit' });
    t.same(await receiver.submit([inFlight], body), { duplicate: true });
    t.same(await receiver.submit([waiting], body), { duplicate: false });
    for (const event of [inFlight, waiting]) t.equal((await openJobsOf(inbox, event)).length, 1);
  },
);

t.test('a lock that is held for long ends by lock_timeout, and the receiver gets well', async (t) => {
  const receiver = receiverOf(t, { timeoutMs: 20_000 });
  const operator = await openSession(t, inbox.url);
  await operator('BEGIN');
  await operator('LOCK TABLE webhook_events IN ACCESS EXCLUSIVE MODE');
  await t.rejects(receiver.submit([newEvent()], body), {
    name: 'UnavailableError',
    cause: { code: '55P03' },
  });
  await operator('COMMIT');
  t.same(await receiver.submit([newEvent()], body), { duplicate: false });
});

t.test('a transaction that another one got in the way of is tried again, three times at most', async (t) => {
  const failures = [0, 0];
  const clashing = (count: number, which: number): ReceiverOptions['database'] => ({
    ...inbox.database,
    transaction: async (work, options) => {
      if (failures[which]!++ < count) throw Object.assign(new Error('deadlock detected'), { code: '40P01' });
      return inbox.database.transaction(work, options);
    },
  });
  t.same(await receiverOf(t, { database: clashing(2, 0) }).submit([newEvent()], body), { duplicate: false });
  await t.rejects(receiverOf(t, { database: clashing(9, 1) }).submit([newEvent()], body), UnavailableError);
  t.same(failures, [3, 3]);
});

t.test(
  'a connection that is ended in the middle is a 503, and the next delivery gets a new one',
  async (t) => {
    const gate = makeGate();
    let isFirst = true;
    const queue: ReceiverOptions['queue'] = {
      ...inbox.queue,
      enqueue: async (tx, jobs) => {
        await inbox.queue.enqueue(tx, jobs);
        if (isFirst) await gate.pass();
        isFirst = false;
      },
    };
    const receiver = receiverOf(t, { queue });
    const event = newEvent();
    const answer = receiver.submit([event], body);
    await waitFor(() => gate.arrived() === 1, { what: 'the transaction' });
    await inbox.sql(
      `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
     WHERE datname = current_database() AND application_name = 'postbell test' AND xact_start IS NOT NULL`,
    );
    gate.open();
    await t.rejects(answer, UnavailableError);
    t.equal(await storedCount([event]), 0);
    t.same(await receiver.submit([event], body), { duplicate: false });
  },
);

t.test('idle connections that were ended cost no delivery', async (t) => {
  const receiver = receiverOf(t);
  await receiver.submit([newEvent()], body);
  await inbox.sql(
    `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
     WHERE datname = current_database() AND application_name = 'postbell test'`,
  );
  await waitFor(() => inbox.database.counts().total === 0, { what: 'the pool to notice' });
  t.same(await receiver.submit([newEvent()], body), { duplicate: false });
});

t.test(
  'a database that takes no connections is a 503 by its own answer, and its return needs no restart',
  async (t) => {
    const admin = await openAdmin(t);
    const other = await openInboxOn(t, inbox.url);
    const [{ name } = {}] = await inbox.sql('SELECT current_database() AS name');
    const receiver = receiverOf(t, other);
    await admin.query(`ALTER DATABASE ${name} ALLOW_CONNECTIONS false`);
    await inbox.sql(
      `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
     WHERE datname = current_database() AND pid <> pg_backend_pid() AND application_name LIKE 'postbell%'`,
    );
    await waitFor(() => other.database.counts().total === 0, { what: 'the pool to notice' });
    for (let i = 0; i < 3; i++) {
      await t.rejects(receiver.submit([newEvent()], body), {
        name: 'UnavailableError',
        message: 'the database is unavailable',
      });
    }
    await admin.query(`ALTER DATABASE ${name} ALLOW_CONNECTIONS true`);
    t.same(await receiver.submit([newEvent()], body), { duplicate: false });
  },
);

/** A database cannot be shut from within. */
async function openAdmin(t: Test): Promise<pg.Client> {
  const client = new pg.Client(await testServerUrl());
  await client.connect();
  atEnd(t, () => client.end());
  return client;
}
