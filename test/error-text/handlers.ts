// Handlers that fail in every way in which Postgres quotes a value. The value is not in the event: it is made here.
import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { defineHandler, type HandlerContext } from '../../src/index.ts';

type Tx = HandlerContext<unknown>['tx'];

/** Nothing of it may be told: a text, and the figures of an amount and of a date. */
export const planted = 'planted-secret alice@example.com';
export const plantedNumber = '77123456777';
export const plantedDate = '7712-77-88';
export const plantedWords = /planted|secret|alice|example\.com|77123456777|7712-77-88/;

const insert = (columns: string, ...values: unknown[]) => {
  const places = values.map((_, index) => `$${index + 1}`);
  return (tx: Tx) => tx.query(`INSERT INTO planted_rows (${columns}) VALUES (${places})`, values);
};
const select = (expression: string, value: string) => (tx: Tx) => tx.query(`SELECT ${expression}`, [value]);

/** By name: what fails, and the words that its `last_error` must keep. */
export const failures: Record<
  string,
  { fail: (tx: Tx, log: HandlerContext<unknown>['log']) => unknown; keeps: RegExp }
> = {
  'no-integer': {
    fail: select('$1::int', planted),
    keeps: /invalid input syntax for type integer \(SQLSTATE 22P02/,
  },
  'no-uuid': { fail: select('$1::uuid', planted), keeps: /for type uuid \(SQLSTATE 22P02/ },
  'no-json': { fail: select('$1::json', planted), keeps: /for type json \(SQLSTATE 22P02/ },
  'no-label': { fail: select('$1::planted_mood', planted), keeps: /type planted_mood \(SQLSTATE 22P02/ },
  'no-array': { fail: select('$1::int[]', planted), keeps: /SQLSTATE 22P02/ },
  'out-of-range': {
    fail: select('$1::int', plantedNumber),
    keeps: /out of range for type integer \(SQLSTATE 22003/,
  },
  'too-long': {
    fail: insert('name', planted),
    keeps: /value too long for type character varying\(3\) \(SQLSTATE 22001/,
  },
  'no-date': { fail: select('$1::date', planted), keeps: /SQLSTATE 22007/ },
  'impossible-date': { fail: select('$1::date', plantedDate), keeps: /SQLSTATE 22008/ },
  'no-interval': { fail: select('$1::interval', planted), keeps: /SQLSTATE 22007/ },
  'no-setting': { fail: select(`set_config('lock_timeout', $1, true)`, planted), keeps: /SQLSTATE 22023/ },
  'no-pattern': { fail: select(`'x' ~ $1`, `${planted}(`), keeps: /SQLSTATE 2201B/ },
  'no-time-zone': { fail: select('now() AT TIME ZONE $1', planted), keeps: /SQLSTATE 22023/ },
  'no-jsonpath': { fail: select('$1::jsonpath', planted), keeps: /SQLSTATE 42601/ },
  'no-text-query': { fail: select('to_tsquery($1)', `${planted} (`), keeps: /SQLSTATE 42601/ },
  duplicate: {
    fail: async (tx) => {
      await insert('email', planted)(tx);
      await insert('email', planted)(tx);
    },
    keeps: /duplicate key value .*SQLSTATE 23505, table planted_rows, constraint rows_email/,
  },
  excluded: {
    fail: async (tx) => {
      await insert('code', planted)(tx);
      await insert('code', planted)(tx);
    },
    keeps: /SQLSTATE 23P01, table planted_rows, constraint rows_code/,
  },
  'no-null': {
    fail: insert('email, note', planted, null),
    keeps: /SQLSTATE 23502, table planted_rows, column note/,
  },
  'no-check': {
    fail: insert('email, amount', planted, -1),
    keeps: /SQLSTATE 23514, table planted_rows, constraint rows_amount/,
  },
  'no-parent': {
    fail: insert('parent', planted),
    keeps: /SQLSTATE 23503, table planted_rows, constraint rows_parent/,
  },
  unfinished: {
    fail: (tx) => tx.query(`SELECT '${planted}`),
    keeps: /unterminated quoted string.*SQLSTATE 42601/,
  },
  misspelt: {
    fail: (tx) => tx.query(`SELEC 1, '${planted}'`),
    keeps: /syntax error at or near … \(SQLSTATE 42601, at character 1\)/,
  },
  'no-column': {
    fail: (tx) => tx.query(`SELECT "${planted}"`),
    keeps: /column … does not exist \(SQLSTATE 42703/,
  },
  'no-table': {
    fail: (tx) => tx.query('SELECT * FROM ordres'),
    keeps: /relation "ordres" does not exist \(SQLSTATE 42P01/,
  },
  raised: { fail: select('planted_raise($1)', planted), keeps: /no order … is open \(SQLSTATE P0001/ },
  'raised-otherwise': {
    fail: select(`planted_raise($1, '23514')`, planted),
    keeps: /no order … is open \(SQLSTATE 23514/,
  },
  wrapped: {
    fail: async (tx) => {
      try {
        await select('$1::int', planted)(tx);
      } catch (cause) {
        throw new Error(`it could not be saved: ${(cause as Error).message}`, { cause });
      }
    },
    keeps:
      /^Error: it could not be saved: .*; cause: error: invalid input syntax for type integer \(SQLSTATE 22P02\); statement: SELECT \$1::int$/,
  },
  'with-literals': {
    fail: (tx) =>
      tx.query(
        `-- planted\nSELECT E'planted\\'secret', $$planted$$, $a$secret\n$a$, 77123456777, "no_column", $1`,
        [planted],
      ),
    keeps: /SQLSTATE 42703\); statement: SELECT …, …, …, …, "no_column", \$1$/,
  },
  'with-nul': {
    fail: (tx) => tx.query(`SELECT '${planted}\0'`),
    keeps: /^PermanentError: the SQL text contains a NUL: cut it out$/,
  },
  'much-too-long': {
    fail: (tx) => tx.query(`SELECT no_column${', no_column'.repeat(100_000)}`),
    keeps: /SQLSTATE \w+\); statement: SELECT (no_column, ){53}no_column…$/,
  },
  'rewritten-as-by-knex': {
    fail: async (tx) => {
      try {
        await tx.query('insert into "nowhere" ("email", "amount") values ($1, $2)', ['planted', 77123456777]);
      } catch (error) {
        // Knex writes the values into the message of Postgres' own error.
        (error as Error).message =
          `insert into "nowhere" ("email", "amount") values ('planted', 77123456777) - ${(error as Error).message}`;
        throw error;
      }
    },
    keeps:
      /^error: relation "nowhere" does not exist \(SQLSTATE 42P01\); statement: insert into "nowhere" \("email", "amount"\) values \(\$1, \$2\)$/,
  },
  'wrapped-by-drizzle': {
    fail: async (tx) => {
      try {
        await select('$1::int', planted)(tx);
      } catch (cause) {
        // As drizzle-orm's own DrizzleQueryError.
        throw new Error(`Failed query: select $1::int, 'planted'\nparams: ${planted}`, { cause });
      }
    },
    keeps: /Failed query: select \$1::int, …\nparams: …; cause: error: invalid input syntax .*22P02\)$/,
  },
  swallowed: {
    fail: (tx) => Promise.resolve(select('$1::int', planted)(tx)).catch(() => {}),
    keeps: /a statement failed and the handler went on: error: invalid input syntax .*22P02/,
  },
  logged: {
    fail: async (tx, log) => {
      try {
        await insert('email, note', planted, null)(tx);
      } catch (error) {
        log.error({ err: error, topic: 'logged' });
        log.error(error);
        log.error({ error }, 'under another name');
        throw error;
      }
    },
    keeps: /SQLSTATE 23502/,
  },
  'all-of-them': {
    fail: async (tx) => {
      const cause = await Promise.resolve(select('$1::int', planted)(tx)).catch((error: unknown) => error);
      throw new AggregateError([new TypeError('the first'), cause], 'all failed');
    },
    keeps:
      /^AggregateError: all failed; error 1 of 2: TypeError: the first; error 2 of 2: error: invalid input/,
  },
  unreachable: {
    fail: async () => {
      const server = createServer().listen(0, '127.0.0.1');
      await once(server, 'listening');
      const { port } = server.address() as AddressInfo;
      server.close();
      await once(server, 'close');
      await fetch(`http://127.0.0.1:${port}`);
    },
    keeps: /^TypeError: fetch failed; cause: Error: connect ECONNREFUSED 127\.0\.0\.1:\d+$/,
  },
};

export default Object.entries(failures).map(([name, { fail }]) =>
  defineHandler({ provider: 'stripe', topic: name, handle: async ({ tx, log }) => fail(tx, log) }),
);
