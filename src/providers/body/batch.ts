// Splits a body that carries several events.
import { valueAt } from './body.ts';

/** Stands for items that would take far more time and memory than their body. */
export const tooMany = Symbol('too many');

/** What stands beside the list is copied for each item; some 40 keys beside 5,000 items are still copied. */
const maxCopiedKeys = 200_000;

/**
 * One body of the provider's own shape for each element of the list at the path: it keeps what stands beside the list
 * (the account, the time), so that each event says enough alone. Undefined where there is no such list.
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
