// Converts statements to pg's form, and joins the answers of statements that were sent together.
import pg from 'pg';
import type { Statement } from './database.ts';

const { TIMESTAMPTZ, TIMESTAMP } = pg.types.builtins;
const asText = (text: string) => text;
const typesButTimes = {
  getTypeParser: (type: number, format?: 'text' | 'binary') =>
    type === TIMESTAMPTZ || type === TIMESTAMP ? asText : pg.types.getTypeParser(type, format),
};

/** How one database's statements are sent. */
export interface Sending {
  /** Behind a pooler no statement is prepared: the next statement may reach another session. */
  pooler: boolean;
  /** See `createFillIn`. */
  fillIn(text: string): string;
}

export function toQueryConfig(
  statement: string | Statement,
  values: unknown[] | undefined,
  { pooler, fillIn }: Sending,
): pg.QueryConfig {
  if (typeof statement === 'string') return { text: fillIn(statement), ...(values ? { values } : {}) };
  const { text, name, timeoutMs, rowMode, types } = statement;
  return {
    text: statement.isVerbatim ? text : fillIn(text),
    ...(statement.values ? { values: statement.values } : {}),
    ...(name && !pooler ? { name } : {}),
    ...(timeoutMs ? { query_timeout: timeoutMs } : {}),
    ...(statement.isExtended ? { queryMode: 'extended' } : {}),
    ...(statement.timesAsText ? { types: typesButTimes } : {}),
    ...(rowMode ? { rowMode } : {}),
    ...(types ? { types } : {}),
  } as pg.QueryConfig;
}

/**
 * Waits for all statements that were sent together, so that every rejection is handled, then throws the first error: the
 * later errors are its consequences.
 */
export async function allOrFirstError<T>(promises: readonly Promise<T>[]): Promise<T[]> {
  const settled = await Promise.allSettled(promises);
  return settled.map((result) => {
    if (result.status === 'rejected') throw result.reason;
    return result.value;
  });
}
