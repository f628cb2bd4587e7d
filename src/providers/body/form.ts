// Form-encoded bodies: reads their bytes and makes the object to store as payload.
import { isUtf8 } from 'node:buffer';

export type FormField = readonly [name: string, value: string];

/** Why a body cannot be read as a form. */
export type FormProblem = 'utf8' | 'too_many';

/** Forms are read before verification, so anybody can send one; each field costs a microsecond. Providers send dozens. */
export const maxFormFields = 10_000;
const maxNestedKeys = 10;

const ampersand = 38;
const equalsSign = 61;
const plusSign = 43;
const percentSign = 37;

/** The fields in the order sent, or why there are none. */
export function parseForm(body: Buffer): FormField[] | FormProblem {
  const fields: FormField[] = [];
  let start = 0;
  let equals = -1;
  for (let end = 0; end <= body.length; end++) {
    const byte = body[end];
    if (byte === equalsSign && equals < 0) equals = end;
    if (byte !== ampersand && byte !== undefined) continue;
    if (end > start) {
      if (fields.length === maxFormFields) return 'too_many';
      const name = decodePart(body, start, equals < 0 ? end : equals);
      const value = equals < 0 ? '' : decodePart(body, equals + 1, end);
      if (name === undefined || value === undefined) return 'utf8';
      fields.push([name, value]);
    }
    start = end + 1;
    equals = -1;
  }
  return fields;
}

/** A field's value; undefined if absent or sent twice, since readers differ on which of two values counts. */
export function singleField(fields: readonly FormField[], name: string): string | undefined {
  let found: string | undefined;
  for (const field of fields) {
    if (field[0] !== name) continue;
    if (found !== undefined) return undefined;
    found = field[1];
  }
  return found;
}

/** Names and values without separators, sorted by name; of a repeated name each value once, sorted. By UTF-16 units. */
export function sortedFields(fields: readonly FormField[]): string {
  const byName = new Map<string, Set<string>>();
  for (const [name, value] of fields) byName.set(name, (byName.get(name) ?? new Set()).add(value));
  let text = '';
  for (const name of [...byName.keys()].sort())
    for (const value of [...(byName.get(name) ?? [])].sort()) text += name + value;
  return text;
}

/** `{ name: value }`; a repeated name becomes an array. `nested`: `data[a][b]=1` becomes objects in objects. */
export function formToObject(
  fields: readonly (readonly [name: string, value: unknown])[],
  nested: boolean,
): Record<string, unknown> {
  const root = emptyObject();
  for (const [name, value] of fields) {
    const keys = nested ? bracketKeys(name) : [name];
    let target = root;
    for (const key of keys.slice(0, -1)) {
      target[key] ??= emptyObject();
      const next = target[key];
      if (!isPlainObject(next)) {
        target = root;
        keys.splice(0, keys.length, name);
        break;
      }
      target = next;
    }
    addValue(target, keys.at(-1) ?? name, value);
  }
  return root;
}

function decodePart(body: Buffer, start: number, end: number): string | undefined {
  const out = Buffer.allocUnsafe(end - start);
  let length = 0;
  for (let i = start; i < end; i++) {
    let byte = body[i] ?? 0;
    if (byte === plusSign) byte = 32;
    else if (byte === percentSign && i + 2 < end) {
      const high = hexDigit(body[i + 1]);
      const low = hexDigit(body[i + 2]);
      if (high >= 0 && low >= 0) {
        byte = high * 16 + low;
        i += 2;
      }
    }
    out[length] = byte;
    length++;
  }
  const decoded = out.subarray(0, length);
  return isUtf8(decoded) ? decoded.toString('utf8') : undefined;
}

function hexDigit(byte: number | undefined): number {
  if (byte === undefined) return -1;
  if (byte >= 48 && byte <= 57) return byte - 48;
  const letter = byte | 32;
  return letter >= 97 && letter <= 102 ? letter - 87 : -1;
}

/** `data[merges][EMAIL]` → data, merges, EMAIL; an irregular or deeper name stays one key. */
function bracketKeys(name: string): string[] {
  const open = name.indexOf('[');
  if (open <= 0 || !name.endsWith(']')) return [name];
  const inner = name.slice(open + 1, -1).split('][', maxNestedKeys + 1);
  if (inner.length > maxNestedKeys || inner.some((key) => key.includes('[') || key.includes(']')))
    return [name];
  return [name.slice(0, open), ...inner];
}

// No prototype: a field named `__proto__` is then a field like any other.
function emptyObject(): Record<string, unknown> {
  return Object.create(null);
}

function isPlainObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function addValue(target: Record<string, unknown>, key: string, value: unknown): void {
  const before = target[key];
  if (before === undefined) target[key] = value;
  else if (Array.isArray(before)) before.push(value);
  else target[key] = [before, value];
}
