// Bodies that cost a careless reader more than their bytes: each family in any size, all of it one pattern.
import { createHash } from 'node:crypto';

export interface Family {
  name: string;
  /** Default: as the provider's own deliveries. */
  contentType?: string;
  /** A body of about so many bytes. */
  make(bytes: number): string;
  /** The same as members of a JSON object (`"a":1,"b":2`), to stand in a body that is right otherwise. */
  members?(bytes: number): string;
}

const FORM = 'application/x-www-form-urlencoded';
const JSON_TYPE = 'application/json';
const MULTIPART = 'multipart/form-data; boundary=b';

const repeated = (unit: string, bytes: number) => unit.repeat(Math.ceil(bytes / Buffer.byteLength(unit)));
/** Different each time, and about so many bytes together. */
function numbered(bytes: number, unit: (n: number) => string): string {
  const units: string[] = [];
  for (let length = 0, n = 0; length < bytes; n++) {
    const text = unit(n);
    units.push(text);
    length += Buffer.byteLength(text);
  }
  return units.join('');
}

/** Nothing but this, then one character that is none of it: regular expressions that look for an end begin again. */
function ofUnit(name: string, unit: string, contentType?: string): Family {
  return {
    name,
    make: (bytes) => `${repeated(unit, bytes)}x`,
    members: (bytes) => `"flood":${JSON.stringify(repeated(unit, bytes / 2))}`,
    ...(contentType === undefined ? {} : { contentType }),
  };
}

/** JSON values in a list, or members of an object. */
function ofJson(name: string, members: (bytes: number) => string): Family {
  return { name, contentType: JSON_TYPE, make: (bytes) => `{${members(bytes)}}`, members };
}

const inList = (unit: string) => (bytes: number) => `"flood":[${repeated(`${unit},`, bytes)}0]`;
const nested = (open: string, close: string, depth: number) => open.repeat(depth) + close.repeat(depth);
const noise = (bytes: number) =>
  numbered(bytes, (n) => createHash('sha512').update(String(n)).digest('base64'));

export const families: readonly Family[] = [
  ofUnit('line feeds', '\n'),
  ofUnit('carriage returns', '\r'),
  ofUnit('CRLF', '\r\n'),
  ofUnit('blanks', ' '),
  ofUnit('tabs and blanks', '\t '),
  ofUnit('quotes', '"'),
  ofUnit('backslashes', '\\'),
  ofUnit('slashes', '/'),
  ofUnit('NULs', '\0'),
  ofUnit('commas', ','),
  ofUnit('semicolons', ';'),
  ofUnit('dots', '.'),
  ofUnit('equals', '='),
  ofUnit('tags', '<a>'),
  ofUnit('open tags', '<kind>'),
  ofUnit('two bytes a character', 'ä'),
  ofUnit('four bytes a character', '🔔'),
  ofUnit('BOMs', '\ufeff'),
  ofUnit('base64', 'QUJD'),
  ofUnit('digits', '7'),
  { name: 'noise', make: noise, members: (bytes) => `"flood":"${noise(bytes)}"` },
  ofUnit('fields without a value', 'a&', FORM),
  ofUnit('fields without anything', '&', FORM),
  ofUnit('short fields', 'a=b&', FORM),
  ofUnit('fields of equals', '=&', FORM),
  ofUnit('percent signs', '%', FORM),
  ofUnit('percent escapes', '%41', FORM),
  ofUnit('escaped fields', '%C3%A4=+&', FORM),
  ofUnit('plus signs', '+', FORM),
  ofUnit('brackets in names', '[a]', FORM),
  { name: 'many names', contentType: FORM, make: (bytes) => numbered(bytes, (n) => `name${n}=${n}&`) },
  {
    name: 'names with one beginning',
    contentType: FORM,
    make: (bytes) => numbered(bytes, (n) => `${'n'.repeat(200)}${n}=&`),
  },
  ofJson('arrays in arrays', (bytes) => `"flood":${nested('[', ']', bytes / 2)}`),
  ofJson(
    'objects in objects',
    (bytes) => `"flood":${nested('{"a":', '', bytes / 6)}0${'}'.repeat(bytes / 6)}`,
  ),
  ofJson('deep arrays side by side', inList(nested('[', ']', 150))),
  ofJson('deep and wide', (bytes) => `"flood":${'['.repeat(150)}${repeated('1,', bytes)}1${']'.repeat(150)}`),
  ofJson('empty arrays', inList('[]')),
  ofJson('empty objects', inList('{}')),
  ofJson('empty texts', inList('""')),
  ofJson('short numbers', inList('1')),
  ofJson('inexact numbers', inList('1.0')),
  ofJson('exponents', inList('1e1')),
  ofJson('one long number', (bytes) => `"flood":${repeated('9', bytes)}`),
  ofJson('unicode escapes', (bytes) => `"flood":"${repeated('\\u00e4', bytes)}"`),
  ofJson('halves of pairs', (bytes) => `"flood":"${repeated('\\ud83d', bytes)}"`),
  ofJson('many keys', (bytes) => numbered(bytes, (n) => `"key${n}":${n},`).slice(0, -1)),
  ofJson('one key again and again', (bytes) => repeated('"k":1,', bytes).slice(0, -1)),
  ofJson('keys that are numbers', (bytes) => numbered(bytes, (n) => `"${1e6 - n * 7}":1,`).slice(0, -1)),
  ofJson('keys that are far apart', (bytes) => numbered(bytes, (n) => `"${n * 99_991}":1,`).slice(0, -1)),
  ofJson('long keys', (bytes) => numbered(bytes, (n) => `"${'k'.repeat(1_000)}${n}":1,`).slice(0, -1)),
  {
    name: 'lines of JSON',
    contentType: JSON_TYPE,
    make: (bytes) => repeated('{"a":1}\n', bytes),
  },
  { name: 'parts', contentType: MULTIPART, make: (bytes) => repeated('--b\r\n\r\n\r\n', bytes) },
  { name: 'boundaries', contentType: MULTIPART, make: (bytes) => repeated('\r\n--b', bytes) },
  {
    name: 'heads of a part',
    contentType: MULTIPART,
    make: (bytes) => `--b\r\n${repeated('Content-Disposition: form-data;', bytes)}\r\n\r\nx\r\n--b--\r\n`,
  },
  {
    name: 'blanks in the head of a part',
    contentType: MULTIPART,
    make: (bytes) =>
      `--b\r\nContent-Disposition: form-data;${repeated(' \r\n', bytes)}; ;\r\n\r\nx\r\n--b--\r\n`,
  },
  {
    name: 'a token of a long claim',
    make: (bytes) => `eyJhbGciOiJSUzI1NiIsImtpZCI6ImsifQ.${repeated('e30', bytes)}.x`,
  },
];
