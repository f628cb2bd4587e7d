// Reads signatures from a request, and writes them into a request.
import { valueAt } from '../body/body.ts';
import type { OutgoingRequest, Rejection } from '../provider.ts';
import type { Part, Reading, Template } from '../template/parts.ts';
import { missing, readPart } from '../template/reading.ts';

export type Encoding = 'hex' | 'base64' | 'base64url' | 'base64-unpadded';

export interface SignatureSpec {
  /** `headers`: any of several; each received header counts, and a header sent twice rejects the request. */
  at: Part | { headers: readonly string[] };
  encoding: Encoding;
  /** Splits the value into items. Blanks around an item are ignored, line breaks are not. */
  separator?: ',' | ', ' | ';' | ' ' | '&';
  /** Further lists may follow after a blank, one for each active secret. Equal items of all lists count once. */
  repeatsList?: true;
  /** The text before a signature: `sha256=`, `v1,`, `v1=`. Items without it are no signatures. */
  prefix?: string;
  /** True where a signature may also come without the prefix. */
  prefixOptional?: true;
  /** Separates a label in an item (Braintree: the public key) from the signature after it. */
  after?: string;
  /** The label to write before `after` when signing. */
  labelOf?(secret: string): string;
  /** The number of items at the beginning that are no signatures (Recurly's timestamp). */
  skip?: number;
  /** Items to write before the signature when signing, e.g. Hygraph's `env=…`. */
  extraItems?: readonly string[];
  /** True where the provider sends the header once per secret while secrets change: each header counts. */
  repeats?: true;
}

/** No known signature header is longer. */
export const maxSignatureChars = 8192;
/** Further signatures are ignored, since each costs a comparison; where more headers carry one, their number is the limit. */
export const maxCandidates = 10;
const maxItems = 64;

/** The signatures without prefix, still encoded; sets `reading.items`. Never an empty list. */
export function readSignatures(spec: SignatureSpec, reading: Reading): string[] | Rejection {
  const texts = readPlaces(spec, reading);
  if (!Array.isArray(texts)) return texts;
  const found: string[] = [];
  const maxFound = Math.max(maxCandidates, texts.length);
  for (const text of texts) {
    if (text.length > maxSignatureChars) return malformed('too long');
    const items = readItems(spec, text);
    reading.items = items;
    for (let i = spec.skip ?? 0; i < items.length && found.length < maxFound; i++) {
      const prefix = spec.prefix ?? '';
      let item = items[i] ?? '';
      if (spec.after !== undefined) item = item.slice(item.indexOf(spec.after) + spec.after.length);
      if (item.length > prefix.length && item.startsWith(prefix)) found.push(item.slice(prefix.length));
      else if (spec.prefixOptional && item !== '') found.push(item);
    }
  }
  return found.length > 0 ? found : malformed(`no signature of the form ${spec.prefix ?? ''}…`);
}

/** True if the text could be a signature of that many bytes: any other text is malformed, not wrong. */
export function isEncoded(text: string, encoding: Encoding, byteLength?: number): boolean {
  const bytes = decodeBytes(text, encoding);
  return bytes !== undefined && (byteLength === undefined || bytes.length === byteLength);
}

/** Strict: accepts only text that encodes to the same text again (no capital hex, no unused bits). */
export function decodeBytes(text: string, encoding: Encoding): Buffer | undefined {
  const bytes = Buffer.from(text, encoding === 'base64-unpadded' ? 'base64' : encoding);
  return bytes.length > 0 && encodeBytes(bytes, encoding) === text ? bytes : undefined;
}

export function encodeBytes(bytes: Buffer, encoding: Encoding): string {
  if (encoding !== 'base64-unpadded') return bytes.toString(encoding);
  return bytes.toString('base64').replace(/=+$/, '');
}

/** The value to send: the signature with its prefix, after the timestamp where the list contains one. */
export function composeSignature(
  spec: SignatureSpec,
  secret: string,
  timeItem: string | undefined,
  encoded: string,
): string {
  const items = [...(spec.extraItems ?? [])];
  if (timeItem !== undefined) items.unshift(timeItem);
  const label = spec.after === undefined ? '' : `${spec.labelOf?.(secret) ?? ''}${spec.after}`;
  return [...items, `${label}${spec.prefix ?? ''}${encoded}`].join(spec.separator ?? ',');
}

/** Writes a value to the place that a part reads: a header, the query, a field of a JSON or form body. */
export function placeValue(
  request: OutgoingRequest,
  at: SignatureSpec['at'] | Template,
  value: string,
): void {
  const place = typeof at === 'object' && 'headers' in at ? { kind: 'header', name: at.headers[0] } : at;
  if (typeof place !== 'object' || !('kind' in place)) throw new Error('this place can only be read');
  if (place.kind === 'header' && 'name' in place && place.name) request.headers[place.name] = value;
  else if (place.kind === 'query' && 'name' in place && place.name) {
    const mark = request.url.includes('?') ? '&' : '?';
    request.url += `${mark}${place.name}=${encodeURIComponent(value)}`;
  } else if (place.kind === 'formField' && 'name' in place && place.name) {
    const fields = new URLSearchParams(request.body.toString());
    fields.set(place.name, value);
    request.body = Buffer.from(fields.toString());
  } else if (place.kind === 'json' && 'path' in place) {
    const body: unknown = JSON.parse(request.body.toString());
    const key = place.path.at(-1) ?? '';
    const parent = valueAt(body, place.path.slice(0, -1)) as Record<string, unknown> | undefined;
    if (!parent) throw new Error(`the body has no ${place.path.slice(0, -1).join('.')} to sign into`);
    // A number stays a number: receivers check its type (Linear's library does).
    parent[key] = typeof parent[key] === 'number' ? Number(value) : value;
    request.body = Buffer.from(JSON.stringify(body));
  } else throw new Error(`a ${place.kind} can only be read`);
}

export function proofHeadersOf(at: SignatureSpec['at']): string[] {
  if (typeof at === 'string') return [];
  if ('headers' in at) return [...at.headers];
  return at.kind === 'header' ? [at.name] : [];
}

/** For people: `x-signature`, `the query parameter token`, `signature.token of the body`. */
export function placeName(at: SignatureSpec['at']): string {
  if (typeof at === 'string') return at;
  if ('headers' in at)
    return at.headers.length > 3 ? `${at.headers[0]} to ${at.headers.at(-1)}` : at.headers.join(' or ');
  if ('path' in at) return `${at.path.join('.')} of the body`;
  if (!('name' in at)) return 'the body';
  if (at.kind === 'query') return `the query parameter ${at.name}`;
  return at.kind === 'formField' ? `the form field ${at.name}` : at.name;
}

function readPlaces(spec: SignatureSpec, reading: Reading): string[] | Rejection {
  if (spec.repeats && typeof spec.at === 'object' && 'kind' in spec.at && spec.at.kind === 'header') {
    const values = reading.delivery.headers[spec.at.name] ?? [];
    return values.length > 0 ? values.slice(0, maxCandidates) : missing(spec.at.name);
  }
  if (typeof spec.at === 'string' || !('headers' in spec.at)) {
    const text = readPart(spec.at, reading);
    return typeof text === 'string' ? [text] : text;
  }
  const texts: string[] = [];
  for (const name of spec.at.headers) {
    const values = reading.delivery.headers[name];
    if (!values || values.length === 0) continue;
    if (values.length > 1) return { ok: false, reason: 'repeated_header', detail: name };
    texts.push(values[0] ?? '');
  }
  return texts.length > 0 ? texts : missing(placeName(spec.at));
}

function readItems({ separator, repeatsList }: SignatureSpec, text: string): string[] {
  if (!separator) return [text];
  if (!repeatsList) return splitItems(text, separator);
  const items = splitItems(text, ' ').flatMap((list) => splitItems(list, separator));
  return [...new Set(items)].slice(0, maxItems);
}

function splitItems(text: string, separator: string): string[] {
  const items: string[] = [];
  let start = 0;
  while (start <= text.length && items.length < maxItems) {
    let end = text.indexOf(separator, start);
    if (end < 0) end = text.length;
    const piece = trimBlanks(text.slice(start, end));
    if (piece !== '') items.push(piece);
    start = end + separator.length;
  }
  return items;
}

/** Trims only blanks and tabs: a line break after a form field's signature is an alteration. */
function trimBlanks(text: string): string {
  let start = 0;
  let end = text.length;
  while (start < end && isBlank(text.charCodeAt(start))) start++;
  while (end > start && isBlank(text.charCodeAt(end - 1))) end--;
  return text.slice(start, end);
}

function isBlank(code: number): boolean {
  return code === 32 || code === 9;
}

function malformed(detail: string): Rejection {
  return { ok: false, reason: 'malformed_signature', detail };
}
