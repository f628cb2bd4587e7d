// Requests at random: from noise to all but right ones, for the property tests.
import fc, { type Arbitrary } from 'fast-check';
import type { Delivery, Provider } from '../../src/providers/index.ts';
import { fixedNow } from './deliveries.ts';

const bytes = (length: number) => fc.uint8Array({ minLength: length, maxLength: length }).map(Buffer.from);
const encoded = fc
  .tuple(
    fc.constantFrom(0, 16, 20, 32, 64, 256).chain(bytes),
    fc.constantFrom<BufferEncoding>('hex', 'base64', 'base64url'),
  )
  .map(([raw, encoding]) => raw.toString(encoding));
const base64urlJson = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url');
const token = fc
  .tuple(
    fc.constantFrom('HS256', 'none', 'RS256', 'ES256', 'ES512', 'hs256', ''),
    fc.jsonValue(),
    fc.constantFrom(
      {},
      { kid: 'a' },
      { jku: 'https://evil.example/' },
      { crit: ['b64'] },
      { tl_headers: 'a,b' },
    ),
    fc.integer({ min: -600, max: 600 }),
    encoded,
  )
  .map(([alg, claims, more, age, signature]) => {
    const iat = Math.floor(fixedNow.getTime() / 1000) - age;
    const body = typeof claims === 'object' && claims !== null ? { iat, exp: iat + 300, ...claims } : claims;
    return `${base64urlJson({ alg, typ: 'JWT', ...more })}.${base64urlJson(body)}.${signature}`;
  });
const instant = fc
  .tuple(fc.integer({ min: -1_000, max: 1_000 }), fc.constantFrom('s', 'ms', 'iso', 'http'))
  .map(([age, unit]) => {
    const at = new Date(fixedNow.getTime() - age * 1000);
    if (unit === 'iso') return at.toISOString();
    if (unit === 'http') return at.toUTCString();
    return String(unit === 's' ? Math.floor(at.getTime() / 1000) : at.getTime());
  });
const noise = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 40 }),
  fc.string({ maxLength: 40 }),
  fc.constantFrom(
    '',
    ' ',
    '\0',
    '=',
    ',',
    'v1=',
    't=',
    '__proto__',
    '-1',
    '1e9',
    'NaN',
    '\u00e9',
    'a'.repeat(9_000),
  ),
);
const proof = fc
  .tuple(
    fc.constantFrom(
      '',
      'sha256=',
      'sha1=',
      'v1=',
      'v0=',
      'v1,',
      'v1a,',
      'Bearer ',
      'Basic ',
      'v=1,d=',
      'hmac-sha256=',
    ),
    fc.oneof(encoded, token, noise),
    fc.constantFrom('', ',', ' ', ';', '&'),
    instant,
  )
  .map(([prefix, value, separator, at]) =>
    separator === '' ? prefix + value : `t=${at}${separator}${prefix}${value}`,
  );
const headerValue = fc.oneof(proof, instant, noise, token);

/** Any request with headers, fields and parameters that the provider looks at. */
export function anyDelivery(provider: Provider, right: Delivery): Arbitrary<Delivery> {
  const names = [
    ...new Set([...provider.scheme.proofHeaders, ...(provider.headers ?? []), ...Object.keys(right.headers)]),
  ];
  const headers = fc
    .tuple(
      fc.array(fc.tuple(fc.constantFrom(...names), fc.array(headerValue, { minLength: 1, maxLength: 2 })), {
        maxLength: names.length,
      }),
      fc.constantFrom(
        undefined,
        'application/json',
        'application/x-www-form-urlencoded',
        'multipart/form-data; boundary=x',
        'text/plain',
      ),
    )
    .map(([pairs, type]) => ({
      ...Object.fromEntries(pairs),
      ...(type === undefined ? {} : { 'content-type': [type] }),
    }));
  const params = ['token', 'secret', 'validationToken', 'challenge', 'hub.challenge', 'bodySHA256'];
  const query = fc
    .array(fc.tuple(fc.constantFrom(...params, ...provider.scheme.proofParams), fc.oneof(noise, encoded)), {
      maxLength: 3,
    })
    .map((pairs) =>
      pairs.map(([name, value]) => `${name}=${encodeURIComponent(value.toWellFormed())}`).join('&'),
    );
  return fc.record({
    method: fc.constantFrom('POST', 'GET', 'HEAD', 'OPTIONS'),
    url: fc.oneof(
      query.map((text) => `/api/webhooks/it?${text}`),
      fc.constantFrom('*', '', '?', '/?%', '/?a=%ff', right.url),
    ),
    headers,
    body: anyBody(right.body),
    receivedAt: fc.constant(fixedNow),
  });
}

/** Bytes, JSON, forms, and the right body with parts of it exchanged. */
export function anyBody(right: Buffer): Arbitrary<Buffer> {
  return fc.oneof(
    fc.uint8Array({ maxLength: 60 }).map(Buffer.from),
    fc.jsonValue({ maxDepth: 4 }).map((value) => Buffer.from(JSON.stringify(value))),
    fc
      .array(fc.tuple(noise, fc.oneof(noise, encoded)), { maxLength: 5 })
      .map((pairs) => Buffer.from(new URLSearchParams(pairs).toString())),
    fc
      .constantFrom('', '{', '[]', 'null', '[null]', '[[[]]]', '"x"', '\ufeff{}', `${'['.repeat(3_000)}`)
      .map((text) => Buffer.from(text)),
    exchanged(right),
    mutated(right),
  );
}

/** The right JSON or form with some of its values replaced by any others. */
function exchanged(right: Buffer): Arbitrary<Buffer> {
  const text = right.toString();
  const value = fc.oneof(fc.jsonValue({ maxDepth: 2 }), noise, instant, fc.double());
  return fc.array(fc.tuple(fc.nat(), value), { minLength: 1, maxLength: 4 }).map((changes) => {
    let body: unknown;
    try {
      body = JSON.parse(text);
    } catch {
      const fields = new URLSearchParams(text);
      const names = [...fields.keys()];
      for (const [at, change] of changes)
        fields.set(
          names[at % names.length] ?? 'x',
          typeof change === 'object' ? JSON.stringify(change) : String(change),
        );
      return Buffer.from(fields.toString());
    }
    for (const [at, change] of changes) body = replacedAt(body, at, change);
    return Buffer.from(JSON.stringify(body) ?? '');
  });
}

/** One of the places of the value, chosen by the number, holds the other one. */
function replacedAt(value: unknown, at: number, other: unknown): unknown {
  const keys = typeof value === 'object' && value !== null ? Object.keys(value) : [];
  const choice = at % (keys.length + 1);
  const key = keys[choice];
  if (key === undefined) return other;
  const copy = (Array.isArray(value) ? [...value] : { ...(value as object) }) as Record<string, unknown>;
  copy[key] = replacedAt(copy[key], Math.floor(at / (keys.length + 1)), other);
  return copy;
}

/** One to three bytes flipped, put in, taken out, or the end cut off; never the same bytes. */
export function mutated(right: Buffer): Arbitrary<Buffer> {
  const step = fc.tuple(
    fc.constantFrom('flip', 'insert', 'delete', 'cut'),
    fc.nat(),
    fc.integer({ min: 1, max: 255 }),
  );
  return fc
    .array(step, { minLength: 1, maxLength: 3 })
    .map((steps) => {
      let body = Buffer.from(right);
      for (const [kind, place, byte] of steps) {
        const at = body.length === 0 ? 0 : place % body.length;
        if (kind === 'flip' && body.length > 0) body[at] = (body[at] ?? 0) ^ byte;
        else if (kind === 'delete') body = Buffer.concat([body.subarray(0, at), body.subarray(at + 1)]);
        else if (kind === 'cut') body = body.subarray(0, at);
        else body = Buffer.concat([body.subarray(0, at), Buffer.from([byte]), body.subarray(at)]);
      }
      return body;
    })
    .filter((body) => !body.equals(right));
}

/** A right delivery with some of its headers, its body or its time exchanged. */
export function alteredDelivery(provider: Provider, right: Delivery): Arbitrary<Delivery> {
  const change = (text: string) =>
    fc.oneof(
      mutated(Buffer.from(text, 'latin1')).map((bytes) => bytes.toString('latin1')),
      headerValue,
      fc.constantFrom(text.toUpperCase(), `${text} `, `${text},${text}`, text.replace('=', '')),
    );
  const headers = Object.entries(right.headers).map(([name, values = []]) =>
    fc.tuple(
      fc.constant(name),
      fc.oneof(
        { weight: 3, arbitrary: fc.constant(values) },
        change(values[0] ?? '').map((value) => [value]),
        change(values[0] ?? '').map((value) => [value, ...values]),
        fc.constant(undefined),
      ),
    ),
  );
  return fc.record({
    method: fc.constant(right.method),
    url: fc.oneof({ weight: 4, arbitrary: fc.constant(right.url) }, fc.constantFrom('/', `${right.url}&x=1`)),
    headers: fc.tuple(...headers).map((pairs) => Object.fromEntries(pairs)),
    body: fc.oneof({ weight: 2, arbitrary: fc.constant(right.body) }, anyBody(right.body)),
    receivedAt: fc
      .integer({ min: -2 * (provider.scheme.freshness?.pastSeconds ?? 300), max: 100_000 })
      .map((seconds) => new Date(fixedNow.getTime() + seconds * 1000)),
  });
}
