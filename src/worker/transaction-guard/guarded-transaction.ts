// The `tx` a handler gets: it can write, but it cannot end the transaction that marks the event PROCESSED.
import type { QueryResult, Row, Statement, Transaction } from '../../database/database.ts';
import { describeError, PermanentError, rememberStatement } from '../../errors.ts';
import type { HandlerTransaction } from '../../handlers/handler.ts';
import type { Logger } from '../../logger.ts';
import { type NestedStep, nestTransactions } from './nested-transactions.ts';
import { callbackIn, isSubmittable, readStatement } from './statement-input.ts';
import { firstWords } from './statement-words.ts';

export interface GuardedTransaction {
  tx: HandlerTransaction;
  /**
   * A PermanentError if a statement was refused, or a transaction begun on `tx` was left open: nothing may be committed. Else
   * the first statement that failed: a handler that swallowed it has an aborted transaction, unless it used a savepoint.
   */
  firstError(): Error | undefined;
  /** Nothing but SELECT, INSERT, UPDATE, DELETE or MERGE was sent: nothing that lasts until the transaction ends, but locks. */
  leavesOnlyRows(): boolean;
  /**
   * After the handler returned: statements that come now are late, and refused. Resolves when those before were answered:
   * one that was not awaited may still fail, and is the handler's own.
   */
  close(): Promise<void>;
}

// First words of statements that would end the transaction, or outlast the transaction on a pooled connection.
const refusedWords = new Set('prepare deallocate reset discard listen unlisten'.split(' '));

const plainWords = new Set('select insert update delete merge with values'.split(' '));
// Settings and locks that a SELECT can leave behind, for whoever shares the transaction.
const lastingCall = /\b(set_config|pg_(try_)?advisory_xact_lock(_shared)?)\s*\(/i;

// Held by the connection: no later attempt on another one would get it.
const sessionLock = /\bpg_(try_)?advisory_lock(_shared)?\s*\(/i;

// SET by another name, for whoever gets the connection next. Only literals can be seen in a text: set_config('a', 'b', $1)
// goes through, whatever value it is given.
const quoted = `'[^']*'`;
const inBrackets = String.raw`\((?:${quoted}|[^'()]|\((?:${quoted}|[^'()])*\))*\)`;
const falseLiteral = String.raw`(?:false|null|'(?:f|false|n|no|off|0)')(?:\s*::\s*bool(?:ean)?)?`;
const sessionSetting = new RegExp(
  String.raw`\bset_config\s*\((?:${quoted}|${inBrackets}|[^'()])*?,\s*${falseLiteral}\s*\)`,
  'i',
);

export function guardTransaction(transaction: Transaction, log: Logger): GuardedTransaction {
  const nested = nestTransactions();
  let isClosed = false;
  let leavesOnlyRows = true;
  let firstError: Error | undefined;
  let refusal: PermanentError | undefined;
  // They are answered in their order.
  let last: Promise<unknown> | undefined;

  /** The statement that the guard lets through, and what is sent in its place. @throws PermanentError */
  const check = (config: unknown, rest: readonly unknown[]): [Statement, NestedStep | undefined] => {
    const statement = readStatement(config, rest);
    const { text } = statement;
    const words = firstWords(text, 3);
    const step = nested.next(text, words);
    if (step) return [statement, step];
    refuseLasting(text, words);
    if (leavesOnlyRows) leavesOnlyRows = plainWords.has(words[0] ?? '') && !lastingCall.test(text);
    return [statement, undefined];
  };

  const run = (config: unknown, rest: readonly unknown[]): Promise<QueryResult<Row>> => {
    if (isClosed) {
      log.error(
        'a handler ran a statement after it had returned: an await is missing; the statement was refused',
      );
      return unheard(new Error('the handler has returned: its transaction is over'));
    }
    let checked: ReturnType<typeof check>;
    try {
      checked = check(config, rest);
    } catch (error) {
      refusal ??= error as PermanentError;
      return unheard(error as Error);
    }
    const [statement, step] = checked;
    const result = step ? sendStep(transaction, step) : send(transaction, statement);
    last = result;
    result.catch((error: Error) => {
      rememberStatement(error, statement.text);
      firstError ??= error;
      if (isClosed)
        log.error({ error: describeError(error).text }, 'a statement that was not awaited failed');
    });
    return result;
  };

  const query = (config: unknown, ...rest: unknown[]): Promise<QueryResult<Row>> | undefined => {
    if (isSubmittable(config)) {
      refusal ??= new PermanentError(
        'tx takes no cursor and no stream (pg-cursor, pg-query-stream, pg-copy-streams): read in parts with LIMIT, and write with INSERT … SELECT FROM unnest(…)',
      );
      throw refusal; // pg returns the cursor itself, so that there is no promise to reject
    }
    const callback = callbackIn(config, rest);
    const result = run(config, rest);
    if (!callback) return result;
    result.then(
      (answer) => callback(null, answer as never),
      (error: Error) => callback(error, undefined as never),
    );
    return undefined;
  };

  return {
    tx: { query: query as HandlerTransaction['query'], release: () => {} },
    firstError: () => refusal ?? firstError,
    leavesOnlyRows: () => leavesOnlyRows && !nested.isOpen(),
    close: async () => {
      isClosed = true;
      await last?.catch(() => {}); // heard above
      if (nested.isOpen()) refusal ??= new PermanentError(leftOpen);
    },
  };
}

const leftOpen =
  'the handler returned inside a transaction that it had begun on tx: a COMMIT, a ROLLBACK or an await is missing';

/** A statement the handler forgot to await must not end the process as an unhandled rejection. */
function unheard(error: Error): Promise<never> {
  const refused = Promise.reject(error);
  refused.catch(() => {});
  return refused;
}

function send(transaction: Transaction, statement: Statement): Promise<QueryResult<Row>> {
  return transaction.query({
    ...preparedName(statement.text),
    ...statement,
    isVerbatim: true,
    // Makes Postgres itself refuse a second statement hidden behind a semicolon.
    isExtended: true,
  });
}

/** Sends the statements of a step together. @returns the answer that the ORM expects */
function sendStep(
  transaction: Transaction,
  { command, statements, undo }: NestedStep,
): Promise<QueryResult<Row>> {
  const answers = statements.map((text) => transaction.query(text));
  return Promise.all(answers).then(
    ([answer]) => Object.assign(answer!, { command }),
    (error: unknown) => {
      undo();
      throw error;
    },
  );
}

/** @throws PermanentError for what would outlive the transaction */
function refuseLasting(text: string, words: readonly string[]): void {
  if (setsTransaction(words))
    throw new PermanentError(
      "tx refuses SET TRANSACTION: the event's transaction has begun, as READ COMMITTED; leave out isolation level and access mode",
    );
  const word = refusedWord(words);
  if (word)
    throw new PermanentError(`tx refuses ${word.toUpperCase()}: Postbell ends the transaction itself`);
  if (words[0] === 'copy' && /\b(stdin|stdout)\b/i.test(text))
    throw new PermanentError(
      'tx refuses COPY from or to the client: write with INSERT … SELECT FROM unnest(…), read with SELECT',
    );
  if (sessionLock.test(text))
    throw new PermanentError(
      'tx refuses locks that outlive the transaction: take pg_advisory_xact_lock instead',
    );
  if (sessionSetting.test(text))
    throw new PermanentError(
      'tx refuses settings that outlive the transaction: use set_config(…, …, true) or SET LOCAL instead',
    );
}

/** SET TRANSACTION, and the same by the names of its settings. */
function setsTransaction([first, second, third]: readonly string[]): boolean {
  const setting = second === 'local' ? third : second;
  return first === 'set' && /^transaction(_isolation|_read_only|_deferrable)?$/.test(setting ?? '');
}

function refusedWord([first = '', second = '']: readonly string[]): string | undefined {
  const isRefused =
    refusedWords.has(first) || (first === 'set' && second !== 'local' && second !== 'constraints');
  return isRefused ? first : undefined;
}

// Parsed and planned once per connection. Only what returns no rows: a migration that changes a table under a running
// worker would make a prepared SELECT fail for good ("cached plan must not change result type").
const preparable = /^\s*(insert|update|delete)\b(?![\s\S]*\breturning\b)/i;
const maxPrepared = 200;
const preparedNames = new Map<string, string>();

function preparedName(text: string): { name?: string } {
  const known = preparedNames.get(text);
  if (known) return { name: known };
  // A text with values written into it is new each time: the first 200 are kept and the rest go unprepared.
  if (preparedNames.size >= maxPrepared || text.length > 5_000 || !preparable.test(text)) return {};
  const name = `handler_${preparedNames.size}`;
  preparedNames.set(text, name);
  return { name };
}
