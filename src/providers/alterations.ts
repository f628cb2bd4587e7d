// Undoes changes that proxies and frameworks make to a request, to explain why a delivery was rejected.
import { parseExactly } from './body/body.ts';
import { scanJson } from './body/jsonb.ts';
import type { Delivery } from './provider.ts';

export interface Alteration {
  /** Completes "the signature is right once …". */
  undoneBy: string;
  body: Buffer;
}

/** A longer body is not parsed and written again: each rewrite blocks the event loop until its end. */
const maxRewrittenBytes = 64 * 1024;
/** The same for a body of many brackets, commas or fields: each value costs more than its bytes. */
const maxRewrittenValues = 5_000;
/** Indenting repeats the indent once per level, and so makes deep JSON long. No provider nests as deep. */
const maxRewrittenDepth = 20;
const maxHosts = 3;
const bom = Buffer.from([0xef, 0xbb, 0xbf]);
const separators = Buffer.from(',[{&');
const lf = 10;
const cr = 13;

/** Bodies that the provider may have signed instead of the received one, the most probable first. Each is made on demand. */
export function* bodyAlterations({ body }: Delivery): Generator<Alteration> {
  if (body.length === 0) return;
  const trimmed = withoutLineBreaks(body);
  const ending = body.toString('latin1', Math.max(trimmed.length, body.length - 3));
  if (ending !== '') yield { undoneBy: 'the line break at the end is taken away', body: trimmed };
  if (ending !== '\n') yield { undoneBy: 'a line break is added at the end', body: join(body, '\n') };
  if (ending !== '\r\n') yield { undoneBy: 'a CRLF is added at the end', body: join(body, '\r\n') };
  if (body.subarray(0, 3).equals(bom)) yield { undoneBy: 'the BOM is taken away', body: body.subarray(3) };
  else yield { undoneBy: 'a BOM is put in front', body: Buffer.concat([bom, body]) };
  if (body.length > maxRewrittenBytes) return;
  const text = body.toString('latin1');
  const unix = text.replaceAll('\r\n', '\n');
  if (unix !== text) yield { undoneBy: 'CRLF becomes LF', body: Buffer.from(unix, 'latin1') };
  else if (text.includes('\n'))
    yield { undoneBy: 'LF becomes CRLF', body: Buffer.from(text.replaceAll('\n', '\r\n'), 'latin1') };
  const decoded = body.toString('utf8');
  if (decoded.length !== body.length)
    yield {
      undoneBy: 'its characters are encoded once less (UTF-8 taken for Latin-1)',
      body: Buffer.from(decoded, 'latin1'),
    };
  if (countSeparators(body) > maxRewrittenValues) return;
  yield* /^\s*[{[]/.test(decoded) ? rewrittenJson(decoded) : rewrittenForm(decoded);
}

/** Counts separators of JSON values and form fields, including those inside strings. */
function countSeparators(body: Buffer): number {
  let count = 0;
  for (const byte of body) if (separators.includes(byte)) count++;
  return count;
}

/** Compares bytes: a regular expression for trailing line breaks would start again at every line break. */
function withoutLineBreaks(body: Buffer): Buffer {
  let end = body.length;
  while (end > 0 && (body[end - 1] === lf || body[end - 1] === cr)) end--;
  return body.subarray(0, end);
}

const waysOfJson: readonly [how: string, write: (value: unknown) => string][] = [
  ['compactly', compact],
  ['compactly, with \\u escapes', (value) => escapeNonAscii(compact(value))],
  ['compactly, with \\/ (PHP)', (value) => compact(value).replaceAll('/', '\\/')],
  [
    'compactly, with \\/ and \\u escapes (PHP)',
    (value) => escapeNonAscii(compact(value).replaceAll('/', '\\/')),
  ],
  ['compactly, with \\u003c for < (Go)', (value) => escapeHtml(compact(value))],
  ['with blanks after : and , (Python)', spaced],
  ['with blanks and \\u escapes (Python)', (value) => escapeNonAscii(spaced(value))],
  ['with 2 blanks of indent', (value) => JSON.stringify(value, null, 2)],
  ['with 4 blanks of indent', (value) => JSON.stringify(value, null, 4)],
];

/** A proxy may have parsed the JSON and written it again. Tries the ways in which senders write JSON. */
function* rewrittenJson(text: string): Generator<Alteration> {
  if (scanJson(text, maxRewrittenDepth).problem === 'too_deep') return;
  let value: unknown;
  try {
    value = parseExactly(text);
  } catch {
    // The body is no JSON, so no proxy rewrote it as JSON.
    return;
  }
  for (const [how, write] of waysOfJson) {
    const written = write(value);
    if (written !== text) yield { undoneBy: `the JSON is written again ${how}`, body: Buffer.from(written) };
  }
}

function* rewrittenForm(text: string): Generator<Alteration> {
  if (!text.includes('=')) return;
  const written = new URLSearchParams(text).toString();
  for (const [how, form] of [
    ['blanks as +', written],
    ['blanks as %20', written.replaceAll('+', '%20')],
  ] as const)
    if (form !== text) yield { undoneBy: `the form is written again, ${how}`, body: Buffer.from(form) };
}

/**
 * URLs that may be entered at the provider instead of the configured one: http or https, the configured or the
 * requested host, the path with or without a slash at its end, with or without the query.
 */
export function* urlVariants(configured: string, { url, headers }: Delivery): Generator<string> {
  const { host, pathname, search } = new URL(configured);
  const called = [headers['x-forwarded-host'], headers.host].flatMap((values) => values ?? []);
  const plausible = called.filter((name) => /^[A-Za-z0-9.:[\]-]{1,255}$/.test(name));
  // A request may carry hundreds of host names, and each name makes dozens of variants.
  const hosts = [...new Set([host, ...plausible])].slice(0, maxHosts);
  const [receivedPath = '/', receivedQuery] = url.split('?', 2);
  const receivedSearch = receivedQuery === undefined ? '' : `?${receivedQuery}`;
  const tried = new Set([configured]);
  for (const path of [pathname, receivedPath])
    for (const spelled of [path, path.endsWith('/') ? path.slice(0, -1) : `${path}/`])
      for (const query of [search, receivedSearch, ''])
        for (const name of hosts)
          for (const origin of [`https://${name}`, `http://${name}`, `https://${name}:443`]) {
            const variant = origin + spelled + query;
            if (tried.has(variant)) continue;
            tried.add(variant);
            yield variant;
          }
}

function join(body: Buffer, ending: string): Buffer {
  return Buffer.concat([body, Buffer.from(ending)]);
}

function compact(value: unknown): string {
  return JSON.stringify(value);
}

function spaced(value: unknown): string {
  return JSON.stringify(value, null, 1).replaceAll(/,\n */g, ', ').replaceAll(/\n */g, '');
}

function escapeNonAscii(text: string): string {
  return text.replaceAll(
    /[\u007f-\uffff]/g,
    (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}

function escapeHtml(text: string): string {
  return text.replaceAll(/[<>&]/g, (sign) => `\\u00${sign.charCodeAt(0).toString(16)}`);
}
