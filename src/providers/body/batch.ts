// Splits a body that carries several events.
import { valueAt } from './body.ts';

/** In place of items that would take far more time and memory than their body. */
export const tooMany = Symbol('too many');

/** The members beside the list are copied for each item: 40 members beside 5,000 items are the limit. */
const maxCopiedKeys = 200_000;

/**
 * Makes a body of the provider's own shape for each element of the list at the path. Each body keeps the members beside the list
 * (the account, the time), so that every event is complete. Undefined where there is no such list.
 */
export function splitBody(body: unknown, path: string): object[] | typeof tooMany | undefined {
  const keys = path.split('.');
  const list = valueAt(body, keys);
  if (!Array.isArray(list)) return undefined;
  let beside = 0;
  for (let depth = 0; depth < keys.length; depth++)
    beside += Object.keys(valueAt(body, keys.slice(0, depth)) as object).length;
  return beside * list.length > maxCopiedKeys ? tooMany : list.map((item) => withOne(body, keys, item));
}

function withOne(body: unknown, [key = '', ...rest]: readonly string[], item: unknown): object {
  const inner = rest.length === 0 ? [item] : withOne(valueAt(body, [key]), rest, item);
  return { ...(body as object), [key]: inner };
}
