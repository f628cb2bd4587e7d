// Removes credentials from a body before storage: a reader of stored events must not be able to send new ones.
import { type DecodedBody, valueAt } from './body/body.ts';
import { scanJson } from './body/jsonb.ts';

/**
 * The body without the values at the paths; unchanged where the body holds none of them.
 * @param paths of keys joined by dots; `*` stands for each item of a list
 */
export function withoutCredentials(decoded: DecodedBody, paths: readonly string[] = []): DecodedBody {
  if (paths.length === 0) return decoded;
  const value = decoded.exact();
  let isChanged = false;
  for (const path of paths) isChanged = removeAt(value, path.split('.')) || isChanged;
  if (!isChanged) return decoded;
  const json = JSON.stringify(value);
  const { problem } = scanJson(json);
  return {
    ...decoded,
    value,
    text: problem ? null : json,
    error: problem,
    exact: () => value,
    bytes: Buffer.from(json),
  };
}

/** True if a value was removed. */
function removeAt(value: unknown, [key = '', ...rest]: readonly string[]): boolean {
  if (key === '*') {
    if (!Array.isArray(value)) return false;
    let isChanged = false;
    for (const item of value) isChanged = removeAt(item, rest) || isChanged;
    return isChanged;
  }
  if (rest.length > 0) return removeAt(valueAt(value, [key]), rest);
  // Removes texts only: Mailgun has two kinds of bodies; at this path the first holds the credential, the other an object.
  if (typeof valueAt(value, [key]) !== 'string') return false;
  delete (value as Record<string, unknown>)[key];
  return true;
}
