// Takes credentials that lie in a body out of what is stored: whoever reads the events must not be able to send some.
import { type DecodedBody, valueAt } from './body/body.ts';
import { scanJson } from './body/jsonb.ts';

/**
 * The body without the values at the paths, or as it is where it holds none of them.
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

/** True if something was there. */
function removeAt(value: unknown, [key = '', ...rest]: readonly string[]): boolean {
  if (key === '*') {
    if (!Array.isArray(value)) return false;
    let isChanged = false;
    for (const item of value) isChanged = removeAt(item, rest) || isChanged;
    return isChanged;
  }
  if (rest.length > 0) return removeAt(valueAt(value, [key]), rest);
  // A credential is a text: of Mailgun's two kinds of bodies one has it where the other has an object.
  if (typeof valueAt(value, [key]) !== 'string') return false;
  delete (value as Record<string, unknown>)[key];
  return true;
}
