// A right delivery, altered as somebody could who has seen it and has no key: what is still accepted must be nothing new.
import fc, { type Arbitrary } from 'fast-check';
import { type FormField, parseForm } from '../../src/providers/body/form.ts';
import type { Delivery } from '../../src/providers/index.ts';
import { mutated } from './arbitrary.ts';

type Change = (delivery: Delivery) => Delivery;
type Fields = (readonly [string, string])[];

const numbers = fc.array(fc.nat(), { minLength: 6, maxLength: 6 });
const scalars = fc.constantFrom<unknown>('', 'x', 0, 1, true, false, null, [], {}, 'true', '1', [null]);
const contentTypes = fc.constantFrom<string[] | undefined>(
  undefined,
  ['application/json'],
  ['application/x-www-form-urlencoded'],
  ['application/x-www-form-urlencoded', 'application/json'],
  ['multipart/form-data; boundary=x'],
  ['text/plain'],
  ['APPLICATION/JSON; charset=utf-16'],
  [''],
);
const between = fc.constantFrom('', '&', '=', ':', '.', '|', ',', '\n', ';', '\r\n');

/**
 * One to three alterations of body, headers and URL.
 * @param isBearer true where a credential is all the proof: whoever has it may send any facts
 */
export function alterations(right: Delivery, isBearer: boolean): Arbitrary<Delivery> {
  const anywhere = [
    contentTypes.map(
      (values): Change =>
        (delivery) =>
          withHeader(delivery, 'content-type', values),
    ),
    fc.constantFrom('?', '?shop=2', '&x=1', '&data.id=7', '#a', '/').map(
      (text): Change =>
        (delivery) => ({ ...delivery, url: delivery.url + text }),
    ),
  ];
  const ofFacts = [
    fc.tuple(numbers, fc.constantFrom('', 'x', 'evt_2', '0', '1795428000')).map(
      ([at, value]): Change =>
        (delivery) =>
          alterHeader(delivery, at, value),
    ),
    mutated(right.body).map(
      (body): Change =>
        (delivery) => ({ ...delivery, body }),
    ),
    fc.constantFrom(...wrappings).map(
      (wrap): Change =>
        (delivery) =>
          withText(delivery, wrap),
    ),
    fc.tuple(numbers, scalars, between).map(
      ([at, value, text]): Change =>
        (delivery) =>
          alterJson(delivery, at, value, text),
    ),
    fc.tuple(numbers, scalars, between).map(
      ([at, value, text]): Change =>
        (delivery) =>
          alterJson(delivery, at, value, text),
    ),
    fc.tuple(numbers, scalars).map(
      ([at, value]): Change =>
        (delivery) =>
          alterForm(delivery, at, value),
    ),
    fc.tuple(numbers, between).map(
      ([at, text]): Change =>
        (delivery) =>
          moveBytes(delivery, at, text),
    ),
  ];
  return fc
    .array(fc.oneof(...anywhere, ...(isBearer ? [] : ofFacts)), { minLength: 1, maxLength: 3 })
    .map((changes) => changes.reduce((delivery, change) => change(delivery), right));
}

/**
 * Each single alteration of the kinds that canonical texts are known to miss.
 * @param isSignedInPart true where a text made of some of the fields is signed: then also each field by itself
 */
export function* singleAlterations(right: Delivery, isSignedInPart: boolean): Generator<Delivery> {
  for (const wrap of wrappings) yield withText(right, wrap);
  for (const values of [
    undefined,
    ['application/json'],
    ['application/x-www-form-urlencoded'],
    ['text/plain'],
  ])
    yield withHeader(right, 'content-type', values);
  for (const name of Object.keys(right.headers)) yield withHeader(right, name, undefined);
  if (!isSignedInPart) return;
  const found = jsonIn(right);
  const places = found ? holdersIn(JSON.parse(found.json)).length : 0;
  for (let place = 0; place < places; place++)
    for (let field = 0; field < Object.keys(holderAt(found, place).holder).length; field++)
      for (const change of fieldChanges) {
        const { whole, holder } = holderAt(found, place);
        change(holder as Record<string, unknown>, Object.keys(holder).sort(), field);
        if (found) yield found.put(JSON.stringify(whole));
      }
}

function holderAt(found: { json: string } | undefined, place: number): { whole: unknown; holder: object } {
  const whole: unknown = JSON.parse(found?.json ?? '{}');
  return { whole, holder: holdersIn(whole)[place] ?? {} };
}

type FieldChange = (fields: Record<string, unknown>, sorted: string[], at: number) => void;

const fieldChanges: FieldChange[] = [
  (fields, sorted, at) => delete fields[sorted[at] ?? ''],
  (fields, sorted, at) => Object.assign(fields, { [sorted[at] ?? '']: retyped(fields[sorted[at] ?? '']) }),
  (fields, sorted, at) => Object.assign(fields, { [sorted[at] ?? '']: null }),
  ...[0, 1, 2, 3].map(
    (how): FieldChange =>
      (fields, sorted, at) =>
        fold(fields, sorted[at] ?? '', sorted[at + 1] ?? '', '\n', how),
  ),
  ...Array.from(
    { length: 12 },
    (_, other): FieldChange =>
      (fields, sorted, at) =>
        fold(fields, sorted[at] ?? '', sorted[other] ?? '', '\n', 1),
  ),
];

const wrappings: ((text: string) => string)[] = [
  (text) => `${text}\n`,
  (text) => `${text}\r\n`,
  (text) => `${text} `,
  (text) => `${text}&`,
  (text) => ` ${text}`,
  (text) => `\n${text}`,
  (text) => `&${text}`,
  (text) => `\xef\xbb\xbf${text}`,
  (text) => text.replace(/(?:%0A|\n|%0D)+$/i, ''),
  (text) => text.replace(/(?:%0A|\n)(?=&|$)/gi, ''),
  (text) => text.replaceAll('\r\n', '\n'),
  (text) => text.replaceAll(/(?<!\r)\n/g, '\r\n'),
  (text) => text.replaceAll('+', '%20'),
  (text) => text.replaceAll('%20', '+'),
  (text) => text.replaceAll(/%[0-9A-F]{2}/g, (code) => code.toLowerCase()),
  (text) => text.replaceAll('/', '\\/'),
  (text) => text.split('&').reverse().join('&'),
  (text) => `${text}&${text}`,
];

function withText(delivery: Delivery, change: (text: string) => string): Delivery {
  return { ...delivery, body: Buffer.from(change(delivery.body.toString('latin1')), 'latin1') };
}

function withHeader(delivery: Delivery, name: string, values: string[] | undefined): Delivery {
  return { ...delivery, headers: { ...delivery.headers, [name]: values } };
}

/** A header taken away, doubled, or with another value. */
function alterHeader(delivery: Delivery, [which = 0, how = 0]: readonly number[], value: string): Delivery {
  const names = Object.keys(delivery.headers);
  const name = names[which % names.length] ?? 'x';
  const [old = ''] = delivery.headers[name] ?? [];
  const choices = [undefined, [value], [old, value], [value, old], [old, old], [`${old}${value}`]];
  return withHeader(delivery, name, choices[how % choices.length]);
}

/** The JSON text in the body, with one place altered. */
function alterJson(delivery: Delivery, at: readonly number[], value: unknown, text: string): Delivery {
  const found = jsonIn(delivery);
  const altered = found && alteredText(found.json, at, value, text);
  return found && altered !== undefined ? found.put(altered) : delivery;
}

/** The first JSON text in the body: the whole, or a part of a form of either kind. Undefined where there is none. */
function jsonIn(delivery: Delivery): { json: string; put(json: string): Delivery } | undefined {
  const fields = fieldsOf(delivery);
  const index = fields?.findIndex(([, field]) => isJson(field)) ?? -1;
  const field = fields?.[index];
  if (fields && field)
    return { json: field[1], put: (json) => withFields(delivery, fields.with(index, [field[0], json])) };
  const body = delivery.body.toString('utf8');
  const start = body.search(/[[{]/);
  const end = Math.max(body.lastIndexOf('}'), body.lastIndexOf(']')) + 1;
  const json = start < 0 ? '' : body.slice(start, end);
  if (!isJson(json)) return undefined;
  return {
    json,
    put: (altered) => ({ ...delivery, body: Buffer.from(body.slice(0, start) + altered + body.slice(end)) }),
  };
}

function isJson(text: string): boolean {
  try {
    return typeof JSON.parse(text) === 'object';
  } catch {
    // An alteration before this one may have broken it.
    return false;
  }
}

function alteredText(json: string, at: readonly number[], value: unknown, text: string): string | undefined {
  const parsed: unknown = JSON.parse(json);
  const [how = 0, ...rest] = at;
  if (how % 8 === 0) return JSON.stringify(parsed, null, 2);
  if (how % 8 === 1) return JSON.stringify(parsed).replaceAll(/[a-z](?=[^"]*":)/g, escaped);
  const holders = holdersIn(parsed);
  const holder = holders[(rest[0] ?? 0) % Math.max(holders.length, 1)];
  if (!holder) return undefined;
  if (Array.isArray(holder)) alterList(holder, rest, value);
  else return alterObject(parsed, holder, [how, ...rest.slice(1)], value, text);
  return JSON.stringify(parsed);
}

function escaped(letter: string): string {
  return `\\u00${letter.charCodeAt(0).toString(16)}`;
}

function holdersIn(value: unknown): object[] {
  if (typeof value !== 'object' || value === null) return [];
  return [value, ...Object.values(value).flatMap(holdersIn)];
}

function alterList(list: unknown[], [, how = 0, which = 0]: readonly number[], value: unknown): void {
  const index = list.length === 0 ? 0 : which % list.length;
  if (how % 4 === 0) list.push(list[index]);
  else if (how % 4 === 1) list.splice(index, 1);
  else if (how % 4 === 2) list.reverse();
  else list.push(value);
}

function alterObject(
  whole: unknown,
  holder: object,
  [how = 0, a = 0, b = 0, c = 0]: readonly number[],
  value: unknown,
  text: string,
): string {
  const fields = holder as Record<string, unknown>;
  const keys = Object.keys(fields);
  const [first = 'x', second = 'x'] = [keys[a % keys.length], keys[b % keys.length]];
  const old = fields[first];
  if (how % 8 === 2) delete fields[first];
  else if (how % 8 === 3) fields[first] = value;
  else if (how % 8 === 4) fields[first] = retyped(old);
  else if (how % 8 === 5) fields[`x${c % 3}`] = value;
  else if (how % 8 === 6) {
    const more = `${JSON.stringify(first)}:${JSON.stringify(value)},`;
    return JSON.stringify(whole).replace(`${JSON.stringify(first)}:`, (found) => more + found);
  } else fold(fields, first, second, text, c);
  return JSON.stringify(whole);
}

/** Another type that many a canonical text writes in the same way. */
function retyped(value: unknown): unknown {
  if (typeof value === 'string') {
    if (value === 'true' || value === 'false') return value === 'true';
    return /^-?\d{1,15}$/.test(value) ? Number(value) : value === '' ? null : [value];
  }
  return value === null ? '' : typeof value === 'object' ? JSON.stringify(value) : String(value);
}

/** One field's text goes into its neighbour's, with or without its name: to a text that escapes nothing it is all one. */
function fold(
  fields: Record<string, unknown>,
  first: string,
  second: string,
  text: string,
  how: number,
): void {
  if (first === second || !Object.hasOwn(fields, first) || !Object.hasOwn(fields, second)) return;
  const [mine, other] = [textOf(fields[first]), textOf(fields[second])];
  const joined = [text, `${text}${second}${text}`, `&${second}=`, `${text}${second}:`][how % 4] ?? text;
  fields[first] = mine + joined + other;
  delete fields[second];
}

function textOf(value: unknown): string {
  return typeof value === 'object' ? JSON.stringify(value) : String(value);
}

function isForm(body: Buffer): boolean {
  return body[0] !== 123 && body[0] !== 91 && body.includes('=') && !body.includes('\r\n');
}

function withFields(delivery: Delivery, fields: Fields): Delivery {
  const text = fields
    .map(([name, value]) => `${encodeURIComponent(name)}=${encodeURIComponent(value)}`)
    .join('&');
  return { ...delivery, body: Buffer.from(text) };
}

/** The fields of a form that can be read; undefined for every other body. */
function fieldsOf({ body }: Delivery): readonly FormField[] | undefined {
  const form = isForm(body) ? parseForm(body) : undefined;
  return typeof form === 'string' ? undefined : form;
}

/** A form with fields added, doubled, left out, renamed, or cut at another place. */
function alterForm(
  delivery: Delivery,
  [how = 0, a = 0, b = 0, c = 0]: readonly number[],
  value: unknown,
): Delivery {
  const fields = fieldsOf(delivery)?.map((one) => [...one] as [string, string]);
  if (!fields || fields.length === 0) return delivery;
  const index = a % fields.length;
  const [name, text] = fields[index] ?? ['', ''];
  const run = name + text;
  const cut = b % (run.length + 1);
  if (how % 6 === 0) fields.push([['x', '', 'type', 'id'][c % 4] ?? '', String(value)]);
  else if (how % 6 === 1) fields.push([name, c % 2 === 0 ? text : String(value)]);
  else if (how % 6 === 2) fields.splice(index, 1);
  else if (how % 6 === 3) fields[index] = [run.slice(0, cut), run.slice(cut)];
  else if (how % 6 === 4) {
    const order = fields.toSorted((one, other) => (one[0] < other[0] ? -1 : 1));
    const all = order.map((one) => one.join('')).join('');
    const at = b % (all.length + 1);
    const from = Math.max(0, at - (c % 20));
    return withFields(delivery, [
      [all.slice(0, from), all.slice(from, at)],
      [all.slice(at), ''],
    ]);
  } else return { ...delivery, body: Buffer.from(JSON.stringify(Object.fromEntries(fields))) };
  return withFields(delivery, fields);
}

/** Bytes move between the body and a header, or between two headers: a signed text without marks does not tell. */
function moveBytes(
  delivery: Delivery,
  [how = 0, a = 0, b = 0, c = 0]: readonly number[],
  text: string,
): Delivery {
  const names = Object.keys(delivery.headers).filter((name) => delivery.headers[name]?.[0]);
  const name = names[a % names.length] ?? 'x';
  const value = delivery.headers[name]?.[0] ?? '';
  const body = delivery.body.toString('latin1');
  const count = 1 + (b % 12);
  const put = (header: string, rest: string) => ({
    ...withHeader(delivery, name, [header]),
    body: Buffer.from(rest, 'latin1'),
  });
  if (how % 5 === 0) return put(body.slice(-count) + value, body.slice(0, -count));
  if (how % 5 === 1) return put(value + text + body.slice(0, count), body.slice(count));
  if (how % 5 === 2) return put(value.slice(count), body + value.slice(0, count));
  if (how % 5 === 3) return put(value.slice(0, -count), value.slice(-count) + text + body);
  const other = names[c % names.length] ?? 'x';
  const moved = withHeader(delivery, name, [value.slice(0, -count)]);
  return withHeader(moved, other, [value.slice(-count) + (delivery.headers[other]?.[0] ?? '')]);
}
