// Converts statements to pg's form, and joins the answers of statements that were sent together.
import pg from 'pg';
import type { Statement } from './database.ts';

const { TIMESTAMPTZ, TIMESTAMP } = pg.types.builtins;
const asText = (text: string) => text;
const typesButTimes = {
  getTypeParser: (type: number, format?: 'text' | 'binary') =>
    type === TIMESTAMPTZ || type === TIMESTAMP ? asText : pg.types.getTypeParser(type, format),
};

/** Behind a pooler no statement is prepared: the next statement may reach another session. */
export function toQueryConfig(
  statement: string | Statement,
  values: unknown[] | undefined,
  pooler: boolean,
): pg.QueryConfig {
  if (typeof statement === 'string') return { text: statement, ...(values ? { values } : {}) };
  const { text, name, timeoutMs, rowMode, types } = statement;
  return {
    text,
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
