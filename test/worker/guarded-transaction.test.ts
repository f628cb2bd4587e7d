// The `tx` of a handler: it writes, but it cannot end, outlive or escape its transaction.
import t from 'tap';
import { defineHandler, type HandlerContext, type HandlerTransaction } from '../../src/handlers/handler.ts';
import { failuresOf, rowOf, runNext } from '../support/attempt.ts';
import { makeGate } from '../support/gate.ts';
import { newEvent, openInbox, storeEvents } from '../support/inbox.ts';
import { waitFor } from '../support/wait.ts';

const inbox = await openInbox(t);
await inbox.sql('CREATE TABLE effects (note text)');
const unhandled: unknown[] = [];
process.on('unhandledRejection', (reason) => unhandled.push(reason));

/** Runs one event through a handler that writes first. */
async function run(handle: (tx: HandlerTransaction, context: HandlerContext<unknown>) => Promise<unknown>) {
  const event = newEvent();
  await storeEvents(inbox, [event]);
  const handler = defineHandler({
    provider: 'stripe',
    topic: '*',
    handle: async (context) => {
      await context.tx.query('INSERT INTO effects VALUES ($1)', [context.event.id]);
      await handle(context.tx, context);
    },
  });
  const outcome = await runNext(inbox, [handler]);
  const effects = (await inbox.sql('SELECT note FROM effects')).map(({ note }) => note);
  const row = await rowOf(inbox, event);
  await inbox.sql('TRUNCATE effects');
  await inbox.sql(`UPDATE webhook_events SET status = 'IGNORED' WHERE status = 'PENDING'`);
  await inbox.sql('DELETE FROM pgboss.job');
  return { kind: outcome.kind, status: row.status, error: row.last_error, effects, event };
}

const refused = [
  'COMMIT',
  'commit work',
  'END',
  'ROLLBACK',
  'rollback and chain',
  'ABORT',
  'COMMIT AND CHAIN',
  "COMMIT PREPARED 'x'",
  "ROLLBACK PREPARED 'x'",
  "PREPARE TRANSACTION 'x'",
  "SET search_path = 'x'",
  'SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY',
  'set role postgres',
  'RESET ALL',
  'DISCARD ALL',
  'LISTEN postbell',
  'UNLISTEN *',
  'DEALLOCATE ALL',
  'PREPARE mine AS SELECT 1',
  '  \n\tCOMMIT',
  '-- a word\nCOMMIT',
  '/* a word */ COMMIT',
  '/* a /* nested */ word */ COMMIT',
  '/* one */ /* two */ -- three\n ; COMMIT',
  'SET/**/search_path = x',
  ';COMMIT',
];
for (const text of refused) {
  t.test(
    `${JSON.stringify(text)} is refused: nothing is committed, and the event is a dead letter`,
    async (t) => {
      const result = await run((tx) => tx.query(text));
      t.match(result, { kind: 'failed', status: 'FAILED', effects: [] });
      t.match(result.error, /^PermanentError: tx refuses [A-Z ]+: Postbell ends the transaction itself/);
    },
  );
}

for (const name of ['pg_advisory_lock', 'PG_TRY_ADVISORY_LOCK', 'pg_advisory_lock_shared']) {
  t.test(`a lock that would outlive the transaction is refused: ${name}`, async (t) => {
    const { status, error, effects } = await run((tx) => tx.query(`SELECT ${name} (4711)`));
    t.match({ status, error, effects }, { status: 'FAILED', error: /pg_advisory_xact_lock/, effects: [] });
    t.same(await inbox.sql(`SELECT FROM pg_locks WHERE locktype = 'advisory' AND objid = 4711`), []);
  });
}

t.test('a lock that ends with the transaction is allowed', async (t) => {
  t.match(await run((tx) => tx.query('SELECT pg_advisory_xact_lock(4711)')), { status: 'PROCESSED' });
});

for (const call of [
  `set_config('app.tenant', 'a', false)`,
  `SET_CONFIG ('app.tenant', 'a, b', 'off')`,
  `pg_catalog.set_config('app.tenant', $1, null::boolean)`,
  `set_config('app.tenant', coalesce(nullif($1, ''), lower('A)')), FALSE )`,
]) {
  t.test(`a setting that would outlive the transaction is refused: ${call}`, async (t) => {
    const values = call.includes('$1') ? ['a'] : [];
    const { status, error, effects } = await run((tx) => tx.query(`SELECT ${call}`, values));
    t.match({ status, error, effects }, { status: 'FAILED', error: /set_config\(…, …, true\)/, effects: [] });
  });
}

t.test('a setting that ends with the transaction is allowed', async (t) => {
  const result = await run(async (tx) => {
    await tx.query(`SELECT set_config('app.tenant', $1, true), coalesce(NULL, false)`, ['a']);
    await tx.query(`SELECT set_config('app.tenant', 'it''s (b, false)', true), (SELECT 'x' IN ('y', null))`);
    t.match((await tx.query(`SELECT current_setting('app.tenant') AS tenant`)).rows, [
      { tenant: `it's (b, false)` },
    ]);
  });
  t.match(result, { status: 'PROCESSED' });
  const left = `SELECT coalesce(current_setting('app.tenant', true), '') AS tenant`;
  t.same((await inbox.database.query(left)).rows, [{ tenant: '' }]);
});

t.test('a rejection that the handler swallows is a dead letter all the same', async (t) => {
  const result = await run((tx) => tx.query('COMMIT').catch(() => {}));
  t.match(result, { kind: 'failed', status: 'FAILED', effects: [] });
});

for (const text of [
  'SELECT 1; COMMIT',
  'SELECT 1;COMMIT;',
  'INSERT INTO effects VALUES (1); ROLLBACK; SELECT 1',
]) {
  t.test(`a second statement in one text is refused: ${text}`, async (t) => {
    const result = await run((tx) => tx.query(text));
    t.match(result, { kind: 'failed', status: 'PENDING', effects: [] });
    t.match(result.error, /cannot insert multiple commands into a prepared statement/);
  });
}

for (const text of [
  `DO $$ BEGIN COMMIT; END $$`,
  `DO $$ BEGIN INSERT INTO effects VALUES ('x'); ROLLBACK; END $$`,
]) {
  t.test(`Postgres itself refuses to end the transaction from within a block: ${text}`, async (t) => {
    const result = await run((tx) => tx.query(text));
    t.match(result, { kind: 'failed', effects: [] });
    t.match(result.error, /invalid transaction termination/);
  });
}

for (const [what, query, error] of [
  ['no text', 4711, /takes the SQL as text/],
  ['nothing', undefined, /takes the SQL as text/],
  ['only the name of a prepared statement', { name: 'mine' }, /takes the SQL as text/],
  ['an end of the transaction in an object', { text: 'COMMIT' }, /tx refuses COMMIT/],
  ['a part of the answer', { text: 'SELECT 1', rows: 1 }, /refuses the option rows/],
  ['values that are no list', { text: 'SELECT $1', values: { 0: 'a' } }, /the values as a list/],
] as const) {
  t.test(`a query of ${what} is refused with the remedy`, async (t) => {
    const result = await run((tx) => tx.query(query as unknown as string));
    t.match(result, { status: 'FAILED', effects: [], error });
  });
}

t.test('a text that changes after it was checked is not sent', async (t) => {
  let reads = 0;
  const statement = {
    get text() {
      return reads++ === 0 ? 'SELECT 1' : 'COMMIT';
    },
  };
  t.match(await run((tx) => tx.query(statement)), { kind: 'processed' });
  t.equal(reads, 1);
});

t.test('savepoints are allowed, and an error inside one does not fail the attempt', async (t) => {
  const result = await run(async (tx) => {
    await tx.query('SAVEPOINT a');
    await tx.query(`INSERT INTO effects VALUES ('undone')`);
    await t.rejects(tx.query('SELECT 1/0'));
    await tx.query('ROLLBACK TO SAVEPOINT a');
    await tx.query('ROLLBACK TO a');
    await tx.query('RELEASE SAVEPOINT a');
    await tx.query(`INSERT INTO effects VALUES ('kept')`);
  });
  t.match(result, { kind: 'processed', status: 'PROCESSED' });
  t.same(result.effects, [result.event.eventId, 'kept']);
});

t.test('what ends with the transaction may be set', async (t) => {
  const result = await run(async (tx) => {
    await tx.query(`SET LOCAL statement_timeout = '1s'`);
    await tx.query('SET CONSTRAINTS ALL DEFERRED');
    await tx.query('LOCK TABLE effects');
    await tx.query(`SELECT 'COMMIT', 'end'; -- no more`);
  });
  t.match(result, { kind: 'processed' });
  const { rows } = await inbox.database.query('SHOW statement_timeout');
  t.same(rows, [{ statement_timeout: '0' }], 'the next user of the connection has the default');
});

t.test('an SQL error that the handler swallows is a failure, with its cause', async (t) => {
  const result = await run((tx) => tx.query('SELECT nonsense').catch(() => {}));
  t.match(result, { kind: 'failed', status: 'PENDING', effects: [] });
  t.match(
    result.error,
    /the handler went on: error: column "nonsense" does not exist \(SQLSTATE 42703\); statement: SELECT nonsense$/,
  );
});

t.test('the error of a later statement names the first that failed', async (t) => {
  const result = await run(async (tx) => {
    await tx.query('SELECT nonsense').catch(() => {});
    await tx.query(`INSERT INTO effects VALUES ('x')`);
  });
  t.match(result, { kind: 'failed', effects: [] });
  t.match(result.error, /column "nonsense" does not exist/);
});

t.test('a statement that was not awaited and fails is a failure, with its cause', async (t) => {
  const result = await run(async (tx) => void tx.query('SELECT nonsense').catch(() => {}));
  t.match(result, { kind: 'failed', status: 'PENDING', effects: [] });
  t.match(result.error, /column "nonsense" does not exist/);
});

t.test('a statement that was not awaited and succeeds is committed with the others', async (t) => {
  const result = await run(async (tx) => void tx.query(`INSERT INTO effects VALUES ('late')`));
  t.match(result, { kind: 'processed' });
  t.same(result.effects, [result.event.eventId, 'late']);
});

t.test('a statement after the handler has returned is refused and logged, and ends no process', async (t) => {
  const gate = makeGate();
  let late: Promise<unknown> | undefined;
  const result = await run(async (tx) => {
    // The await that the handler forgot. Nobody hears its rejection.
    late = gate.pass().then(() => tx.query(`INSERT INTO effects VALUES ('late')`));
    late.catch(() => {});
    void gate.pass().then(() => void tx.query(`INSERT INTO effects VALUES ('unheard')`));
  });
  t.match(result, { kind: 'processed', status: 'PROCESSED' });
  gate.open();
  await t.rejects(late!, /the handler has returned/);
  t.equal(inbox.logs.filter((line) => line.msg?.includes('an await is missing')).length, 2);
  t.same(await inbox.sql('SELECT FROM effects'), []);
});

t.test('a statement that meets the rollback is not executed after it', async (t) => {
  // The handler throws while its other branch goes on writing, turn by turn, over the end of the transaction.
  const stop = new AbortController();
  let writes = 0;
  let lastError: unknown;
  const write = async (tx: HandlerTransaction) => {
    while (!stop.signal.aborted) {
      writes++;
      await tx.query(`INSERT INTO effects VALUES ('stray')`).catch((error: unknown) => {
        lastError = error;
      });
      await new Promise(setImmediate);
    }
  };
  let writing: Promise<void> | undefined;
  const result = await run(async (tx) => {
    writing = write(tx);
    throw new Error('boom');
  });
  t.match(result, { kind: 'failed', error: 'Error: boom', effects: [] });
  const before = writes;
  await waitFor(() => writes > before + 2, { what: 'more late writes' });
  stop.abort();
  await writing;
  t.match(lastError, { message: /has returned/ });
  t.same(await inbox.sql('SELECT FROM effects'), []);
});

t.test('a lock that the handler waits for is its own business', async (t) => {
  const result = await run(async (tx) => {
    const { rows } = await tx.query('SHOW lock_timeout');
    t.same(rows, [{ lock_timeout: '0' }]);
  });
  t.match(result, { kind: 'processed' });
});

t.test('failures are recorded once each', async (t) => {
  const { event } = await run((tx) => tx.query('COMMIT').catch(() => {}));
  t.equal((await failuresOf(inbox, event)).length, 1);
});

t.test('no rejection went unheard', async (t) => {
  await new Promise(setImmediate);
  t.same(unhandled, []);
});
