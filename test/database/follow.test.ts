// A transaction that goes along behind another's COMMIT, on its connection: neither pays for what becomes of the other.
import t from 'tap';
import {
  AtCommitError,
  ConnectionLostError,
  type Database,
  type Transaction,
} from '../../src/database/database.ts';
import { createTestDatabase } from '../support/database.ts';
import { openPool, openSession } from '../support/inbox.ts';

const { url } = await createTestDatabase(t, { migrated: false });
const sql = await openSession(t, url);
await sql('CREATE TABLE notes (note text)');
t.beforeEach(() => sql('TRUNCATE notes').then(() => {}));

const notes = async () => (await sql('SELECT note FROM notes ORDER BY note')).map(({ note }) => note);
const insert = (tx: Transaction, note: string) => tx.query('INSERT INTO notes VALUES ($1)', [note]);
const processId = async (tx: Transaction) =>
  (await tx.query<{ pid: number }>('SELECT pg_backend_pid() AS pid')).rows[0]!.pid;

/** Runs `leader`, and `follower` behind it. */
async function both(
  database: Database,
  leader: (tx: Transaction) => Promise<unknown>,
  follower: (tx: Transaction) => Promise<unknown>,
) {
  let following: Promise<unknown> = Promise.reject(new Error('it never came to COMMIT'));
  following.catch(() => {});
  const leading = database.transaction(leader, {
    onEnding: () => {
      following = database.transaction(follower, { onEnding: () => {} });
      following.catch(() => {}); // looked at below
    },
  });
  const [first] = await Promise.allSettled([leading]);
  const [second] = await Promise.allSettled([following]);
  return { first: first!, second: second! };
}

t.test('both commit, on one connection, which goes back into the pool once', async (t) => {
  const database = openPool(t, url);
  const { first, second } = await both(
    database,
    async (tx) => (await insert(tx, 'a')) && processId(tx),
    async (tx) => (await insert(tx, 'b')) && processId(tx),
  );
  t.match([first.status, second.status], ['fulfilled', 'fulfilled']);
  t.equal((first as { value: unknown }).value, (second as { value: unknown }).value, 'the same session');
  t.same(await notes(), ['a', 'b']);
  t.match(database.counts(), { total: 1, idle: 1 });
});

t.test('the first fails at its COMMIT, the second commits', async (t) => {
  const database = openPool(t, url);
  const { first, second } = await both(
    database,
    async (tx) => {
      await insert(tx, 'a');
      tx.atCommit({ text: 'SELECT 1 / count(*) FROM notes WHERE false' });
    },
    async (tx) => {
      await insert(tx, 'b');
      // Whatever the first still had to say to Postgres has come there by then.
      await tx.query('SELECT pg_sleep(0.02)');
      await insert(tx, 'c');
    },
  );
  t.type((first as PromiseRejectedResult).reason, AtCommitError);
  t.equal(second.status, 'fulfilled');
  t.same(await notes(), ['b', 'c']);
  t.match(database.counts(), { total: 1, idle: 1 });
});

t.test('the second throws, the first is committed', async (t) => {
  const database = openPool(t, url);
  const boom = new Error('boom');
  const { first, second } = await both(
    database,
    (tx) => insert(tx, 'a'),
    async (tx) => {
      await insert(tx, 'b');
      throw boom;
    },
  );
  t.equal(first.status, 'fulfilled');
  t.equal((second as PromiseRejectedResult).reason, boom);
  t.same(await notes(), ['a']);
  t.match(database.counts(), { total: 1, idle: 1 });
});

t.test('the second is abandoned: the first is committed, and the connection is not used again', async (t) => {
  const database = openPool(t, url);
  const { first, second } = await both(
    database,
    (tx) => insert(tx, 'a'),
    async (tx) => {
      await insert(tx, 'b');
      tx.abandon(new Error('its time was up'));
      throw new Error('its time was up');
    },
  );
  t.equal(first.status, 'fulfilled');
  t.match((second as PromiseRejectedResult).reason, { message: 'its time was up' });
  t.same(await notes(), ['a']);
  await database.query('SELECT 1');
});

t.test('the connection is lost under both: each is told so, and what was committed stays', async (t) => {
  const database = openPool(t, url);
  const { first, second } = await both(
    database,
    async (tx) => {
      await insert(tx, 'a');
      tx.atCommit({ text: 'SELECT pg_terminate_backend(pg_backend_pid())' });
    },
    (tx) => insert(tx, 'b'),
  );
  for (const result of [first, second]) {
    const { reason } = result as PromiseRejectedResult;
    t.type(reason, ConnectionLostError);
  }
  t.same(await notes(), []);
  await database.query('SELECT 1');
});

t.test('a transaction of another kind never goes along', async (t) => {
  const database = openPool(t, url);
  let other: Promise<number> | undefined;
  const leaderId = await database.transaction(processId, {
    onEnding: () => {
      other = database.transaction(processId);
    },
  });
  t.not(await other, leaderId);
});
