// A handler's tx as a client of pg, as ORMs use it: forms of statements, answers, and transactions that become savepoints.
import pg from 'pg';
import t from 'tap';
import { defineHandler, type HandlerTransaction } from '../../src/handlers/handler.ts';
import { rowOf, runNext } from '../support/attempt.ts';
import { newEvent, openInbox, storeEvents } from '../support/inbox.ts';

const inbox = await openInbox(t);
await inbox.sql('CREATE TABLE effects (note text)');

/** Runs one event; the effects are those that were committed. */
async function run(handle: (tx: HandlerTransaction) => Promise<unknown>) {
  const event = newEvent();
  await storeEvents(inbox, [event]);
  const outcome = await runNext(inbox, [
    defineHandler({ provider: 'stripe', topic: '*', handle: ({ tx }) => handle(tx) }),
  ]);
  const effects = (await inbox.sql('SELECT note FROM effects')).map(({ note }) => note);
  const row = await rowOf(inbox, event);
  await inbox.sql('TRUNCATE effects');
  await inbox.sql(`UPDATE webhook_events SET status = 'IGNORED' WHERE status = 'PENDING'`);
  await inbox.sql('DELETE FROM pgboss.job');
  return { kind: outcome.kind, status: row.status, error: row.last_error, effects };
}

const note = (tx: HandlerTransaction, text: string) =>
  tx.query('INSERT INTO effects (note) VALUES ($1)', [text]);

for (const [begin, commit, rollback] of [
  ['BEGIN', 'COMMIT', 'ROLLBACK'],
  ['begin;', 'commit;', 'rollback;'],
  ['START TRANSACTION', 'END', 'ABORT'],
  ['BEGIN WORK', 'COMMIT WORK', 'ROLLBACK WORK'],
  ['/* orm */ begin transaction -- now', 'end transaction', 'abort transaction'],
] as const) {
  t.test(`${begin} … ${commit} or ${rollback} is a savepoint`, async (t) => {
    const result = await run(async (tx) => {
      await note(tx, 'before');
      t.match(await tx.query(begin), { command: 'BEGIN' });
      await note(tx, 'kept');
      t.match(await tx.query(commit), { command: 'COMMIT' });
      await tx.query(begin);
      await note(tx, 'undone');
      t.match(await tx.query(rollback), { command: 'ROLLBACK' });
      await note(tx, 'after');
    });
    t.match(result, { status: 'PROCESSED', effects: ['before', 'kept', 'after'] });
  });
}

t.test('nested transactions end in their order, the savepoints of the ORM inside them', async (t) => {
  const result = await run(async (tx) => {
    await tx.query('BEGIN');
    await note(tx, 'outer');
    await tx.query('savepoint "Sp1"');
    await note(tx, 'undone by its savepoint');
    await tx.query('rollback to savepoint "Sp1"');
    await tx.query('BEGIN');
    await note(tx, 'undone');
    await tx.query('ROLLBACK');
    await tx.query('BEGIN');
    await note(tx, 'inner');
    await tx.query('COMMIT');
    await tx.query('COMMIT');
  });
  t.match(result, { status: 'PROCESSED', effects: ['outer', 'inner'] });
});

t.test('an error inside, rolled back, does not fail the attempt', async (t) => {
  const result = await run(async (tx) => {
    await tx.query('BEGIN');
    await note(tx, 'undone');
    await t.rejects(tx.query('SELECT 1/0'), { code: '22012' });
    await t.rejects(tx.query('COMMIT'), { code: '25P02' }, 'an ORM that commits all the same is told');
    await tx.query('ROLLBACK');
    await note(tx, 'kept');
  });
  t.match(result, { status: 'PROCESSED', effects: ['kept'] });
});

t.test('what the ORM committed inside is rolled back with the attempt', async (t) => {
  const result = await run(async (tx) => {
    await tx.query('BEGIN');
    await note(tx, 'committed, as the ORM thinks');
    await tx.query('COMMIT');
    throw new Error('later');
  });
  t.match(result, { kind: 'failed', status: 'PENDING', effects: [] });
});

t.test('statements that are sent together keep their order', async (t) => {
  const result = await run((tx) =>
    Promise.all([
      note(tx, 'before'),
      tx.query('BEGIN'),
      note(tx, 'undone'),
      tx.query('ROLLBACK'),
      tx.query('BEGIN'),
      note(tx, 'kept'),
      tx.query('COMMIT'),
    ]),
  );
  t.match(result, { status: 'PROCESSED', effects: ['before', 'kept'] });
});

for (const [what, handle, error] of [
  ['a COMMIT too many', (tx) => tx.query('COMMIT'), /^PermanentError: tx refuses COMMIT: .*has a place here/],
  ['a ROLLBACK too many', (tx) => tx.query('ROLLBACK'), /tx refuses ROLLBACK/],
  ['COMMIT AND CHAIN', (tx) => tx.query('COMMIT AND CHAIN'), /tx refuses COMMIT/],
  [
    'BEGIN ISOLATION LEVEL',
    (tx) => tx.query('BEGIN ISOLATION LEVEL SERIALIZABLE'),
    /READ COMMITTED; send BEGIN/,
  ],
  [
    'START TRANSACTION READ ONLY',
    (tx) => tx.query('START TRANSACTION READ ONLY'),
    /READ COMMITTED; send BEGIN/,
  ],
  ['BEGIN with a second statement', (tx) => tx.query(`BEGIN; DELETE FROM effects`), /send BEGIN alone/],
  [
    'SET TRANSACTION',
    (tx) => tx.query('SET TRANSACTION ISOLATION LEVEL SERIALIZABLE'),
    /refuses SET TRANSACTION: .*leave out isolation level/,
  ],
  ['SET LOCAL TRANSACTION', (tx) => tx.query('SET LOCAL TRANSACTION READ ONLY'), /refuses SET TRANSACTION/],
  [
    'SET LOCAL transaction_isolation',
    (tx) => tx.query(`SET LOCAL transaction_isolation = 'serializable'`),
    /refuses SET TRANSACTION/,
  ],
  ['SAVEPOINT postbell_…', (tx) => tx.query('SAVEPOINT postbell_event_1'), /choose another name/],
  ['SAVEPOINT "Postbell_…"', (tx) => tx.query('SAVEPOINT "Postbell_event_1"'), /choose another name/],
  [
    'ROLLBACK TO postbell_…',
    (tx) => tx.query('ROLLBACK TO SAVEPOINT postbell_nested_1'),
    /choose another name/,
  ],
  ['RELEASE postbell_…', (tx) => tx.query('RELEASE /* x */ postbell_nested_1'), /choose another name/],
  [
    'a name with escapes',
    (tx) => tx.query(String.raw`SAVEPOINT U&"\0070ostbell_event_1"`),
    /letters, digits/,
  ],
  [
    'the end of a savepoint around the transaction',
    async (tx) => {
      await tx.query('SAVEPOINT outer_one');
      await tx.query('BEGIN');
      await tx.query('ROLLBACK TO OUTER_ONE');
    },
    /end that transaction first/,
  ],
  ['COPY FROM STDIN', (tx) => tx.query('COPY effects FROM STDIN'), /tx refuses COPY.*INSERT … SELECT/],
  ['COPY TO STDOUT', (tx) => tx.query('COPY effects TO stdout'), /tx refuses COPY/],
  [
    "pg's own Query",
    async (tx) => tx.query(new pg.Query('SELECT 1') as unknown as string),
    /takes no cursor and no stream .*LIMIT/,
  ],
] as [string, (tx: HandlerTransaction) => Promise<unknown>, RegExp][]) {
  t.test(`refused, with the remedy, also where the handler swallows it: ${what}`, async (t) => {
    const handles = [
      handle,
      (tx: HandlerTransaction) => handle(tx).catch(() => {}),
      async (tx: HandlerTransaction) => {
        // A failure that a savepoint mended does not hide the refusal.
        await tx.query('SAVEPOINT a');
        await tx.query('SELECT 1/0').catch(() => tx.query('ROLLBACK TO a'));
        await handle(tx).catch(() => {});
      },
    ];
    for (const each of handles) {
      const result = await run(async (tx) => {
        await note(tx, 'effect');
        await each(tx);
      });
      t.match(result, { kind: 'failed', status: 'FAILED', effects: [], error });
    }
  });
}

for (const [what, handle] of [
  ['without its COMMIT', (tx) => tx.query('BEGIN')],
  [
    'not awaited',
    async (tx) =>
      void tx
        .query('BEGIN')
        .then(() => tx.query('COMMIT'))
        .catch(() => {}),
  ],
] as [string, (tx: HandlerTransaction) => Promise<unknown>][]) {
  t.test(`a transaction ${what} is a dead letter, nothing is committed`, async (t) => {
    const result = await run(async (tx) => {
      await note(tx, 'effect');
      await handle(tx);
    });
    t.match(result, {
      status: 'FAILED',
      effects: [],
      error: /returned inside a transaction that it had begun/,
    });
  });
}

t.test('rows as lists, own parsers, columns, values in the object', async (t) => {
  const types = { getTypeParser: () => (value: string) => `<${value}>` };
  const result = await run(async (tx) => {
    const text = 'SELECT $1::int AS a, 2 AS a';
    t.match(await tx.query({ text, values: [1], rowMode: 'array' }), {
      rows: [[1, 2]],
      rowCount: 1,
      command: 'SELECT',
      fields: [{ name: 'a', dataTypeID: 23 }, { name: 'a' }],
    });
    t.same((await tx.query({ text, types, rowMode: 'array' }, [1])).rows, [['<1>', '<2>']]);
    t.same((await tx.query({ text: 'SELECT $1::text AS b', values: ['x'] })).rows, [{ b: 'x' }]);
  });
  t.match(result, { status: 'PROCESSED' });
});

t.test('names of prepared statements bear a prefix', async (t) => {
  const result = await run(async (tx) => {
    const named = { name: 'handler_0', text: 'SELECT $1::int AS n' };
    t.same((await tx.query(named, [1])).rows, [{ n: 1 }]);
    t.same((await tx.query(named, [2])).rows, [{ n: 2 }]);
    const { rows } = await tx.query(`SELECT name FROM pg_prepared_statements WHERE statement LIKE '%AS n'`);
    t.same(rows, [{ name: 'handler_named_handler_0' }]);
  });
  t.match(result, { status: 'PROCESSED' });
});

t.test('with a callback there is no promise, and errors reach it', async (t) => {
  const result = await run(async (tx) => {
    const answers = [
      new Promise((resolve) =>
        t.equal(
          tx.query('SELECT 1 AS n', (_, { rows }) => resolve(rows)),
          undefined,
        ),
      ),
      new Promise((resolve) => tx.query('SELECT $1::int AS n', [2], (_, { rows }) => resolve(rows))),
      new Promise((resolve) =>
        tx.query({ text: 'SELECT 3 AS n' }, undefined, (_, { rows }) => resolve(rows)),
      ),
    ];
    t.same(await Promise.all(answers), [[{ n: 1 }], [{ n: 2 }], [{ n: 3 }]]);
    t.match(await new Promise((resolve) => tx.query('SELECT nonsense', resolve)), { code: '42703' });
  });
  t.match(result, { kind: 'failed', status: 'PENDING', error: /column "nonsense" does not exist/ });
  const refused = await run((tx) => new Promise((resolve) => tx.query('COMMIT', resolve)));
  t.match(refused, { status: 'FAILED', error: /tx refuses COMMIT/ });
});

t.test('the client cannot be given back', async (t) => {
  const result = await run(async (tx) => {
    tx.release();
    await note(tx, 'kept');
  });
  t.match(result, { status: 'PROCESSED', effects: ['kept'] });
});
