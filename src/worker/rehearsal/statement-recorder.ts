// What the handlers of a rehearsal sent to the database, and the first rows that came back. Bounded, and fit for a jsonb column.
import type { QueryResult, Row, Statement, Transaction } from '../../database/database.ts';

export interface RehearsedStatement {
  /** As the handler sent it, without its values; at most 1,000 characters. */
  text: string;
  /** Rows that it returned or changed. null: it failed, or was not answered. */
  rowCount: number | null;
  /** The first rows as JSON, each at most 500 characters; at most 50 rows over all statements. */
  rows: string[];
}

const maxStatements = 100;
const maxRows = 50;
const maxTextLength = 1_000;
const maxRowLength = 500;
const maxValueLength = 200;

export class StatementRecorder {
  readonly #statements: RehearsedStatement[] = [];
  #further = 0;
  #rowsLeft = maxRows;

  recorded(): { statements: RehearsedStatement[]; furtherStatements: number } {
    return { statements: this.#statements, furtherStatements: this.#further };
  }

  /** The same transaction, whose handlers' statements are recorded. Postbell's own are not: only theirs are sent as they are. */
  listenTo(tx: Transaction): Transaction {
    const query = <R extends Row>(statement: string | Statement, values?: unknown[]) => {
      const result = tx.query<R>(statement, values);
      if (typeof statement !== 'string' && statement.isVerbatim) this.#record(statement.text, result);
      return result;
    };
    return new Proxy(tx, {
      get: (target, name) => {
        if (name === 'query') return query;
        const value = Reflect.get(target, name);
        return typeof value === 'function' ? value.bind(target) : value;
      },
    });
  }

  #record(text: string, result: Promise<QueryResult<Row>>): void {
    if (this.#statements.length >= maxStatements) {
      this.#further++;
      return;
    }
    const statement: RehearsedStatement = { text: cut(text.trim(), maxTextLength), rowCount: null, rows: [] };
    this.#statements.push(statement);
    result.then(
      ({ rowCount, rows }) => {
        statement.rowCount = rowCount ?? rows.length;
        statement.rows = rows.slice(0, this.#rowsLeft).map((row) => cut(rowText(row), maxRowLength));
        this.#rowsLeft -= statement.rows.length;
      },
      () => {}, // the handler's, and the rehearsal's error
    );
  }
}

/** @param row a list of values where the handler asked for `rowMode: 'array'` */
function rowText(row: Row | readonly unknown[]): string {
  try {
    return JSON.stringify(
      Array.isArray(row)
        ? row.map(shortValue)
        : Object.fromEntries(Object.entries(row).map(([name, value]) => [name, shortValue(value)])),
    );
  } catch {
    return 'a row that cannot be shown'; // the values of a type parser of the handler's own
  }
}

function shortValue(value: unknown): unknown {
  if (typeof value === 'string') return cut(value, maxValueLength);
  if (typeof value === 'bigint') return String(value);
  if (Buffer.isBuffer(value))
    return cut(`\\x${value.subarray(0, maxValueLength).toString('hex')}`, maxValueLength);
  return value;
}

/** jsonb takes neither a NUL nor half a character. */
function cut(text: string, maxLength: number): string {
  const whole = text.length <= maxLength ? text : `${text.slice(0, maxLength - 1)}…`;
  return whole.replaceAll('\0', '').toWellFormed();
}
