// What proxies and frameworks do to a request on its way: each undone, for the diagnosis of a rejected delivery.
import { parseExactly } from './body/body.ts';
import { scanJson } from './body/jsonb.ts';
import type { Delivery } from './provider.ts';

export interface Alteration {
  /** Completes "the signature is right once …". */
  undoneBy: string;
  body: Buffer;
}

/** Parsed and written again, in one go each time, is what providers send; not a longer body, */
const maxRewrittenBytes = 64 * 1024;
/** nor one of nothing but brackets, commas or fields: each value costs more than its bytes. */
const maxRewrittenValues = 5_000;
/** Indented, a line holds so many times its indent: no provider nests as deep. */
const maxRewrittenDepth = 20;
const maxHosts = 3;
const bom = Buffer.from([0xef, 0xbb, 0xbf]);
const separators = Buffer.from(',[{&');
const lf = 10;
const cr = 13;

/** The bodies that may have been signed instead of the one that arrived, the likeliest first; each made when asked for. */
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

/** Of the values of a JSON, of the fields of a form; also those that stand in texts. */
function countSeparators(body: Buffer): number {
  let count = 0;
  for (const byte of body) if (separators.includes(byte)) count++;
  return count;
}

/** By bytes: a regular expression that looks for the last line breaks begins anew at each of them. */
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

/** A proxy that parsed the JSON and wrote it again: tried in the ways in which senders write it. */
function* rewrittenJson(text: string): Generator<Alteration> {
  if (scanJson(text, maxRewrittenDepth).problem === 'too_deep') return;
  let value: unknown;
  try {
    value = parseExactly(text);
  } catch {
    // No JSON, so nobody wrote it again as JSON.
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
 * The URLs that may be typed in at the provider instead of the configured one: http or https, our host or the one that
 * was called, the path with or without a slash at its end, with or without what follows the `?`.
 */
export function* urlVariants(configured: string, { url, headers }: Delivery): Generator<string> {
  const { host, pathname, search } = new URL(configured);
  const called = [headers['x-forwarded-host'], headers.host].flatMap((values) => values ?? []);
  const plausible = called.filter((name) => /^[A-Za-z0-9.:[\]-]{1,255}$/.test(name));
  // A request may carry hundreds of them, and each makes dozens of variants.
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
