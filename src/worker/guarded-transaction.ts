// The `tx` a handler gets: it can write, but it cannot end the transaction that marks the event PROCESSED.
import type { QueryResult, Row, Transaction } from '../database/database.ts';
import { describeError, PermanentError } from '../errors.ts';
import type { HandlerTransaction } from '../handlers/handler.ts';
import type { Logger } from '../logger.ts';

export interface GuardedTransaction {
  tx: HandlerTransaction;
  /** The first statement that failed: a handler that swallowed it has an aborted transaction all the same. */
  firstError(): Error | undefined;
  /** Nothing but SELECT, INSERT, UPDATE, DELETE or MERGE was sent: nothing that lasts until the transaction ends, but locks. */
  leavesOnlyRows(): boolean;
  /**
   * After the handler returned: statements that come now are late, and refused. Resolves when those before were answered:
   * one that was not awaited may still fail, and is the handler's own.
   */
  close(): Promise<void>;
}

// What would end the transaction, or outlive it on a pooled connection. Savepoints stay allowed.
const refusedWords = new Set(
  'begin start commit end abort prepare deallocate reset discard listen unlisten'.split(' '),
);

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
  let isClosed = false;
  let leavesOnlyRows = true;
  let firstError: Error | undefined;
  // They are answered in their order.
  let last: Promise<unknown> | undefined;

  const refuse = (error: Error): Promise<never> => {
    firstError ??= error;
    const refused = Promise.reject(error);
    // A statement the handler forgot to await must not end the process as an unhandled rejection.
    refused.catch(() => {});
    return refused;
  };

  return {
    tx: {
      query: <R extends Row = Row>(text: string, values?: unknown[]): Promise<QueryResult<R>> => {
        if (typeof text !== 'string') {
          return refuse(new PermanentError('tx.query takes the SQL as text and the values as a list'));
        }
        if (isClosed) {
          log.error(
            'a handler ran a statement after it had returned: an await is missing; the statement was refused',
          );
          return refuse(new Error('the handler has returned: its transaction is over'));
        }
        const words = firstWords(text, 3);
        const word = refusedWord(words);
        if (word) {
          return refuse(
            new PermanentError(`tx refuses ${word.toUpperCase()}: Postbell ends the transaction itself`),
          );
        }
        if (sessionLock.test(text)) {
          return refuse(
            new PermanentError(
              'tx refuses locks that outlive the transaction: take pg_advisory_xact_lock instead',
            ),
          );
        }
        if (sessionSetting.test(text)) {
          return refuse(
            new PermanentError(
              'tx refuses settings that outlive the transaction: use set_config(…, …, true) or SET LOCAL instead',
            ),
          );
        }
        if (leavesOnlyRows) leavesOnlyRows = plainWords.has(words[0] ?? '') && !lastingCall.test(text);
        const result = transaction.query<R>({
          text,
          values: values ?? [],
          // Makes Postgres itself refuse a second statement hidden behind a semicolon.
          isExtended: true,
          isVerbatim: true,
          ...preparedName(text),
        });
        last = result;
        result.catch((error: Error) => {
          firstError ??= error;
          if (isClosed)
            log.error({ error: describeError(error).text }, 'a statement that was not awaited failed');
        });
        return result;
      },
    },
    firstError: () => firstError,
    leavesOnlyRows: () => leavesOnlyRows,
    close: async () => {
      isClosed = true;
      await last?.catch(() => {}); // heard above
    },
  };
}

function refusedWord([first = '', second = '', third = '']: readonly string[]): string | undefined {
  const isRefused =
    refusedWords.has(first) ||
    (first === 'rollback' && second !== 'to' && third !== 'to') ||
    (first === 'set' && second !== 'local' && second !== 'constraints');
  return isRefused ? first : undefined;
}

/** In lower case, without the blanks, semicolons and comments before and between them. */
function firstWords(text: string, count: number): string[] {
  const words: string[] = [];
  const blank = /(?:\s|;|--[^\n\r]*)*/y;
  const word = /\w+/y;
  let at = 0;
  while (words.length < count) {
    blank.lastIndex = at;
    blank.test(text);
    at = blank.lastIndex;
    if (text.startsWith('/*', at)) {
      at = endOfComment(text, at);
      continue;
    }
    word.lastIndex = at;
    const found = word.exec(text)?.[0];
    if (!found) break;
    words.push(found.toLowerCase());
    at = word.lastIndex;
  }
  return words;
}

/** Postgres' block comments nest. */
function endOfComment(text: string, start: number): number {
  const mark = /\/\*|\*\//g;
  mark.lastIndex = start;
  let depth = 0;
  for (let found = mark.exec(text); found; found = mark.exec(text)) {
    depth += found[0] === '/*' ? 1 : -1;
    if (depth === 0) return mark.lastIndex;
  }
  return text.length;
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
