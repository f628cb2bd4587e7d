// Checks the arguments of `tx.query`, from a handler or its ORM: pg's forms of a statement, its values and a callback.
import type { Statement } from '../../database/database.ts';
import { PermanentError } from '../../errors.ts';
import type { HandlerCallback, HandlerStatement } from '../../handlers/handler.ts';

type Callback = HandlerCallback<never>;

/** The callback among the arguments of `tx.query`, if there is one. */
export function callbackIn(config: unknown, rest: readonly unknown[]): Callback | undefined {
  const own = typeof config === 'object' && config !== null && 'callback' in config && config.callback;
  return [...rest, own].find((argument) => typeof argument === 'function') as Callback | undefined;
}

/** @throws PermanentError for a form that cannot be sent, with the remedy */
export function readStatement(config: unknown, rest: readonly unknown[]): Statement & { values: unknown[] } {
  const given = (typeof config === 'string' ? { text: config } : config) as
    | HandlerStatement
    | null
    | undefined;
  // Read once: a getter could give the guard another text than Postgres.
  const { text, name, rowMode, types, values: own } = given ?? ({} as Partial<HandlerStatement>);
  if (typeof text !== 'string')
    throw new PermanentError(
      'tx.query takes the SQL as text, or as { text, values }, and the values as a list',
    );
  // Postgres would read only what is before it, and then end the session.
  if (text.includes('\0')) throw new PermanentError('the SQL text contains a NUL: cut it out');
  const values = rest[0] === undefined || typeof rest[0] === 'function' ? (own ?? []) : rest[0];
  if (!Array.isArray(values)) throw new PermanentError('tx.query takes the values as a list');
  const refused = ['rows', 'portal', 'binary'].find((option) => given && option in given);
  if (refused)
    throw new PermanentError(`tx.query refuses the option ${refused}: the answer comes as a whole`);
  return {
    text,
    values,
    ...(name ? { name: `${callersPrefix}${name}` } : {}),
    ...(rowMode === 'array' ? { rowMode } : {}),
    ...(types ? { types: types as NonNullable<Statement['types']> } : {}),
  };
}

/** For pg's `Submittable`: pg-cursor, pg-query-stream, pg-copy-streams. */
export function isSubmittable(config: unknown): boolean {
  return typeof (config as { submit?: unknown } | null | undefined)?.submit === 'function';
}

/** Keeps a caller's names apart from those of Postbell and pg-boss. */
const callersPrefix = 'handler_named_';
