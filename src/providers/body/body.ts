// Reads a delivery's body once: its value for JavaScript, its text for jsonb, and why either is missing.
import { isUtf8 } from 'node:buffer';
import type { Delivery, PayloadError, Source } from '../provider.ts';
import { type FormField, type FormProblem, formToObject, parseForm, singleField } from './form.ts';
import { scanJson } from './jsonb.ts';
import { multipartToObject } from './multipart.ts';

export interface DecodedBody {
  /** Undefined where the body could not be read. Numbers may be rounded; `exact()` keeps them as written. */
  value: unknown;
  /** JSON that jsonb accepts, or null with `error`. */
  text: string | null;
  error: PayloadError | null;
  /** True where JavaScript may change a number of the body. */
  hasInexactNumbers: boolean;
  /** As `value`, but numbers that JavaScript would round are raw JSON objects (see `scalarText`). */
  exact(): unknown;
  /** Replaces the body's own bytes, where credentials were removed. */
  bytes?: Buffer;
}

interface RawJson {
  readonly rawJSON: string;
}

const openingBrace = 123;
const openingBracket = 91;
const beforeJson: ReadonlySet<number> = new Set([0xef, 0xbb, 0xbf, 32, 9, 10, 13]);

// TypeScript's library does not know these two yet (ECMAScript "JSON.parse source text access").
const json = JSON as typeof JSON & { rawJSON(text: string): RawJson; isRawJSON(value: unknown): boolean };

export function decodeBody(delivery: Delivery, source: Source): DecodedBody {
  const { body } = delivery;
  const spec = source.provider.body;
  if (spec?.extractJson) {
    const text = spec.extractJson(delivery, source);
    return text === undefined ? unreadable('malformed') : decodeJson(text);
  }
  if (body.length === 0) return unreadable('empty');
  if (spec?.multipart && contentTypeOf(delivery).startsWith('multipart/form-data')) {
    const fields = multipartToObject(delivery);
    return fields ? decodeFields(fields) : unreadable('malformed');
  }
  if (spec?.form && looksLikeForm(body)) return decodeForm(delivery, spec.form, spec.jsonField);
  if (!isUtf8(body)) return unreadable('utf8');
  const hasBom = body[0] === 0xef && body[1] === 0xbb && body[2] === 0xbf;
  return decodeJson(body.toString('utf8', hasBom ? 3 : 0));
}

/** Turns a delivery by GET into one whose query fields were posted as a form. */
export function queryAsForm(delivery: Delivery): Delivery {
  const start = delivery.url.indexOf('?');
  const body = Buffer.from(start < 0 ? '' : delivery.url.slice(start + 1), 'latin1');
  return {
    ...delivery,
    headers: { ...delivery.headers, 'content-type': ['application/x-www-form-urlencoded'] },
    body,
  };
}

// A cache, not state: handshakes, verifier and reader all need the fields of the same delivery.
const forms = new WeakMap<Delivery, readonly FormField[] | FormProblem>();

/** The fields of a form-encoded body; undefined if the body is no readable form. */
export function formFields(delivery: Delivery): readonly FormField[] | undefined {
  const form = looksLikeForm(delivery.body) ? formOf(delivery) : undefined;
  return typeof form === 'string' ? undefined : form;
}

function formOf(delivery: Delivery): readonly FormField[] | FormProblem {
  let form = forms.get(delivery);
  if (form === undefined) {
    form = parseForm(delivery.body);
    forms.set(delivery, form);
  }
  return form;
}

/** Text of a string or number of the value, numbers as written; undefined for anything else and for ''. */
export function scalarText(value: unknown): string | undefined {
  if (typeof value === 'string') return value === '' ? undefined : value;
  if (typeof value === 'number') return String(value);
  return json.isRawJSON(value) ? (value as RawJson).rawJSON : undefined;
}

/** Own properties only: `__proto__` in a body is a key like any other. */
export function valueAt(value: unknown, path: readonly string[]): unknown {
  let current = value;
  for (const key of path) {
    if (typeof current !== 'object' || current === null || !Object.hasOwn(current, key)) return undefined;
    current = (current as Record<string, unknown>)[key];
  }
  return current;
}

function decodeJson(text: string): DecodedBody {
  if (text.length === 0) return unreadable('empty');
  const { problem, hasInexactNumbers } = scanJson(text);
  if (problem === 'too_deep') return unreadable('too_deep');
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    // The error is not lost: the result says why the text cannot be read.
    return unreadable(text.includes('\0') ? 'nul' : 'malformed');
  }
  let exact: unknown;
  return {
    value,
    text: problem ? null : text,
    error: problem,
    hasInexactNumbers,
    exact: () => (exact ??= hasInexactNumbers ? parseExactly(text) : value),
  };
}

function decodeForm(delivery: Delivery, shape: 'flat' | 'nested', jsonField?: string): DecodedBody {
  const fields = formOf(delivery);
  if (typeof fields === 'string') return unreadable(fields);
  const embedded = jsonField === undefined ? undefined : singleField(fields, jsonField);
  if (embedded !== undefined) return decodeJson(embedded);
  return decodeFields(formToObject(fields, shape === 'nested'));
}

function decodeFields(value: Record<string, unknown>): DecodedBody {
  const text = JSON.stringify(value);
  const { problem } = scanJson(text);
  return { value, text: problem ? null : text, error: problem, hasInexactNumbers: false, exact: () => value };
}

/**
 * Decides by the bytes alone: no signature covers the content type, so a changed content type must not change the
 * payload. Providers' JSON texts are objects or arrays, and none of their forms begins with a bracket.
 */
function looksLikeForm(body: Buffer): boolean {
  const first = firstMark(body);
  return first !== undefined && first !== openingBrace && first !== openingBracket;
}

/** The first byte that is neither a blank nor part of a byte order mark. */
function firstMark(body: Buffer): number | undefined {
  for (const byte of body) if (!beforeJson.has(byte)) return byte;
  return undefined;
}

function contentTypeOf({ headers }: Delivery): string {
  return headers['content-type']?.[0]?.toLowerCase() ?? '';
}

/** Numbers that JavaScript would write otherwise become raw JSON objects. Throws where the text is no JSON. */
export function parseExactly(text: string): unknown {
  return JSON.parse(text, keepNumberAsWritten);
}

function keepNumberAsWritten(_key: string, value: unknown, context?: { source?: string }): unknown {
  const written = context?.source;
  if (typeof value !== 'number' || written === undefined || String(value) === written) return value;
  return json.rawJSON(written);
}

function unreadable(error: PayloadError): DecodedBody {
  return { value: undefined, text: null, error, hasInexactNumbers: false, exact: () => undefined };
}
