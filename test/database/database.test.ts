// The pool and its transactions: one commit or none, whatever becomes of the connection or the caller does.
import t, { type Test } from 'tap';
import {
  AtCommitError,
  ConnectionLostError,
  type DatabaseOptions,
  statementError,
  type Transaction,
} from '../../src/database/database.ts';
import { CommitRolledBackError, sqlState } from '../../src/errors.ts';
import { startProxy } from '../faults/proxy.ts';
import { createTestDatabase } from '../support/database.ts';
import { makeGate } from '../support/gate.ts';
import { openPool, openSession } from '../support/inbox.ts';
import { waitFor } from '../support/wait.ts';

const { url } = await createTestDatabase(t, { migrated: false });
const sql = await openSession(t, url);
await sql('CREATE TABLE notes (note text)');
t.beforeEach(() => sql('TRUNCATE notes').then(() => {}));

const open = (t: Test, options: Partial<DatabaseOptions> = {}) => openPool(t, url, options);

const insert = (note: string) => ({ text: 'INSERT INTO notes VALUES ($1)', values: [note] });
const notes = async () => (await sql('SELECT note FROM notes ORDER BY note')).map(({ note }) => note);

async function terminate(): Promise<void> {
  await sql(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE datname = current_database() AND application_name = 'postbell test'`);
}

t.test('a transaction commits what its work did, and returns its result', async (t) => {
  const database = open(t);
  const result = await database.transaction(async (tx) => {
    await tx.query(insert('a'));
    t.same(await notes(), []);
    return 7;
  });
  t.equal(result, 7);
  t.same(await notes(), ['a']);
});

// A restart of Postgres under load: this used to end the process now and then.
t.test(
  'a session that ends right behind an answer is a lost connection to whoever waits for it',
  async (t) => {
    const proxy = await startProxy(t, url);
    const database = open(t, { url: proxy.url, maxConnections: 1 });
    await database.query('SELECT 1');
    proxy.endSessionBehindAnswer();
    const first = database.query('SELECT 1');
    const second = database.transaction(async (tx) => tx.query(insert('never')));
    await first;
    await t.rejects(second, ConnectionLostError);
    t.same(await notes(), []);
    await database.query('SELECT 1');
  },
);

t.test('a throw rolls back and is thrown on', async (t) => {
  const database = open(t, { maxConnections: 1 });
  const boom = new Error('boom');
  const thrown = await database
    .transaction(async (tx) => {
      await tx.query(insert('a'));
      throw boom;
    })
    .catch((error: unknown) => error);
  t.equal(thrown, boom);
  t.same(await notes(), []);
  t.same(database.counts(), { total: 1, idle: 1, waiting: 0, max: 1 }, 'the connection is kept');
});

t.test('a COMMIT that Postgres answers with ROLLBACK is an error', async (t) => {
  const work = async (tx: Transaction) => {
    await tx.query(insert('a'));
    await tx.query('SELECT 1/0').catch(() => {});
  };
  await t.rejects(open(t).transaction(work), CommitRolledBackError);
  t.same(await notes(), []);
});

t.test('a last statement goes with COMMIT, and fails it', async (t) => {
  const database = open(t);
  await database.transaction(async (tx) => tx.atCommit(insert('with the commit')));
  t.same(await notes(), ['with the commit']);
  const error = await database
    .transaction(async (tx) => {
      await tx.query(insert('never'));
      tx.atCommit({ text: 'SELECT 1/0' });
      tx.atCommit(insert('neither'));
    })
    .catch((error: unknown) => error);
  t.type(error, AtCommitError);
  t.match((error as Error).cause, { code: '22012' });
  t.same(await notes(), ['with the commit']);
  await database.transaction(async (tx) => void (await tx.query(insert('z'))));
  t.equal((await notes()).length, 2, 'the connection is well');
});

t.test('a statement that comes behind the end of the transaction is not executed', async (t) => {
  const database = open(t);
  for (const isThrowing of [true, false]) {
    const stop = new AbortController();
    let writing: Promise<void> | undefined;
    let rejections = 0;
    const write = async (tx: Transaction) => {
      while (!stop.signal.aborted) {
        await tx.query(insert('stray')).catch(() => rejections++);
        await new Promise(setImmediate);
      }
    };
    await database
      .transaction(async (tx) => {
        writing = write(tx);
        await tx.query('SAVEPOINT a');
        await tx.query('ROLLBACK TO a');
        if (isThrowing) throw new Error('boom');
        await tx.query('DELETE FROM notes');
      })
      .catch(() => {});
    await waitFor(() => rejections > 2, { what: 'late statements to be refused' });
    stop.abort();
    await writing;
    if (isThrowing) t.same(await notes(), [], 'nothing after ROLLBACK');
    else {
      const [row] = await sql('SELECT count(DISTINCT xmin::text)::int AS transactions FROM notes');
      t.ok((row?.transactions as number) <= 1, 'nothing after COMMIT');
    }
  }
});

t.test('a connection lost in the middle is told apart, and ends no process', async (t) => {
  const database = open(t, { maxConnections: 1 });
  const gate = makeGate();
  const idleInside = database.transaction(async (tx) => {
    await tx.query(insert('a'));
    await gate.pass();
  });
  await waitFor(() => gate.arrived() === 1, { what: 'the transaction' });
  await terminate();
  await waitFor(async () => (await sessions()) === 0, { what: 'the session to end' });
  gate.open();
  await t.rejects(idleInside, ConnectionLostError);

  const busyInside = database.transaction((tx) => tx.query('SELECT pg_sleep(60)'));
  await waitFor(async () => (await sessions('active')) === 1, { what: 'the statement to run' });
  // Heard from before: it may come ahead of the answer to whoever ended the session.
  const isTold = t.rejects(busyInside, ConnectionLostError);
  await terminate();
  await isTold;
  t.same(await notes(), []);
  await database.transaction((tx) => tx.query(insert('b')));
  t.same(await notes(), ['b'], 'the pool has a new one');
});

t.test('no connection to be had is a lost connection too', async (t) => {
  const refused = new URL(url);
  refused.port = '1';
  const database = open(t, { url: refused.href });
  await t.rejects(
    database.transaction(async () => t.fail('it must not run')),
    ConnectionLostError,
  );
});

t.test('an abandoned transaction ends at once, whatever runs on it', async (t) => {
  const database = open(t, { maxConnections: 1 });
  const reason = new Error('its time is up');
  await t.rejects(
    database.transaction(async (tx) => {
      await tx.query(insert('a'));
      const sleeping = tx.query('SELECT pg_sleep(60)');
      await waitFor(async () => (await sessions('active')) === 1, { what: 'the statement to run' });
      tx.abandon(reason);
      await t.rejects(tx.query(insert('b')), /transaction is over/);
      await t.rejects(sleeping);
      throw reason;
    }),
    reason,
  );
  t.equal(await sessions('active'), 1, 'Postgres notices the end only when the statement is over');
  await terminate();
  t.same(await notes(), []);
  await database.query('SELECT 1');
});

t.test('times stay text for a statement that asks for it, and for no other', async (t) => {
  const database = open(t);
  const text = `SELECT timestamptz '2026-11-25 12:00:00.123456Z' AS at, '{"a":1}'::jsonb AS json, 7 AS int`;
  const { rows } = await database.query({ text, timesAsText: true });
  t.match(rows, [{ at: /^2026-11-25 \d\d:00:00\.123456/, json: { a: 1 }, int: 7 }]);
  t.type((await database.query(text)).rows[0]?.at, Date);
});

t.test('a statement has its time', async (t) => {
  const database = open(t, { timeoutMs: 200 });
  await t.rejects(database.query('SELECT pg_sleep(60)'), /timeout/);
  await t.rejects(
    database.transaction((tx) => tx.query('SELECT pg_sleep(60)')),
    /timeout|lost/,
  );
  await database.transaction((tx) => tx.query('SELECT pg_sleep(0.4)'), { timeoutMs: 5_000 });
  await terminate();
});

t.test('a connection whose server became read only is closed at its first rejected write', async (t) => {
  const database = open(t, { maxConnections: 1, sessionSettings: { default_transaction_read_only: 'on' } });
  const write = insert('never');
  const ways: Record<string, () => Promise<unknown>> = {
    'a statement of the pool': () => database.query(write),
    'a transaction': () => database.transaction((tx) => tx.query(write)),
    'a transaction whose work goes on': () =>
      database.transaction(async (tx) => {
        await tx.query('SAVEPOINT a');
        await tx.query(write).catch(() => tx.query('ROLLBACK TO a'));
      }),
    'a last statement': () => database.transaction(async (tx) => tx.atCommit(write)),
  };
  for (const [name, way] of Object.entries(ways)) {
    await database.query('SELECT 1');
    t.equal(database.counts().total, 1);
    await way().catch((error: unknown) => t.equal(sqlState(statementError(error)), '25006', name));
    t.equal(database.counts().total, 0, name);
  }
  t.same(await notes(), []);
});

t.test('named statements are prepared and settings belong to the session', async (t) => {
  const database = open(t, { sessionSettings: { work_mem: '5MB' } });
  await database.transaction(async (tx) => {
    await tx.query({ name: 'mine', ...insert('a') });
    const { rows } = await tx.query('SELECT name FROM pg_prepared_statements');
    t.same(rows, [{ name: 'mine' }]);
  });
  t.same((await database.query('SHOW work_mem')).rows, [{ work_mem: '5MB' }]);
});

t.test(
  'a transaction of ours that goes silent is ended soon; one that waits for a handler is not',
  async (t) => {
    const sessionSettings = { idle_in_transaction_session_timeout: '305s' };
    for (const pooler of [false, true]) {
      const database = open(t, { sessionSettings, pooler });
      const read = (tx: Transaction) =>
        tx.query<{ limit: string }>("SELECT current_setting('idle_in_transaction_session_timeout') AS limit");
      t.same((await database.transaction(read)).rows, [{ limit: '4s' }]);
      t.same((await database.transaction(read, { mayBeIdle: true })).rows, [{ limit: '305s' }]);
    }
  },
);

t.test('behind a pooler nothing is prepared and settings are local to each transaction', async (t) => {
  const database = open(t, { pooler: true, sessionSettings: { work_mem: '5MB' } });
  await database.transaction(
    async (tx) => {
      await tx.query({ name: 'mine', ...insert('a') });
      t.same((await tx.query('SELECT name FROM pg_prepared_statements')).rows, []);
      t.same((await tx.query('SHOW work_mem')).rows, [{ work_mem: '5MB' }]);
      t.same((await tx.query('SHOW lock_timeout')).rows, [{ lock_timeout: '3s' }]);
    },
    { settings: { lock_timeout: '3s' } },
  );
  t.same((await database.query('SHOW work_mem')).rows, [{ work_mem: '4MB' }]);
});

t.test('LISTEN tells of notifications, and of each new connection', async (t) => {
  const database = open(t);
  const heard: (string | undefined)[] = [];
  const listener = database.listen('postbell', (payload) => heard.push(payload));
  await waitFor(() => listener.isListening(), { what: 'LISTEN' });
  await sql(`SELECT pg_notify('postbell', 'jobs')`);
  await waitFor(() => heard.length === 2, { what: 'the notification' });
  t.same(heard, [undefined, 'jobs']);

  await terminate();
  await waitFor(() => !listener.isListening(), { what: 'the loss to be noticed' });
  await waitFor(() => listener.isListening(), { what: 'LISTEN again' });
  await sql(`SELECT pg_notify('postbell', 'replay')`);
  await waitFor(() => heard.length === 4, { what: 'the second notification' });
  t.same(heard, [undefined, 'jobs', undefined, 'replay'], 'what was missed meanwhile has to be looked for');
  await listener.close();
  t.equal(await sessions(), 0);
});

t.test('LISTEN on a server that is away can be closed', async (t) => {
  const refused = new URL(url);
  refused.port = '1';
  const database = open(t, { url: refused.href });
  const listener = database.listen('postbell', () => t.fail('there is nothing to be told'));
  await new Promise(setImmediate);
  await listener.close();
  t.notOk(listener.isListening());
});

t.test('a plain client is lent and ended', async (t) => {
  const database = open(t);
  t.equal(await database.withClient(async (client) => (await client.query('SELECT 7 AS n')).rows[0].n), 7);
  await t.rejects(
    database.withClient(async () => {
      throw new Error('boom');
    }),
    /boom/,
  );
  t.equal(await sessions(), 0);
});

async function sessions(state?: string): Promise<number> {
  const rows = await sql(
    `SELECT FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'postbell test'
     AND ($1::text IS NULL OR state = $1)`,
    [state ?? null],
  );
  return rows.length;
}
