// What proxies and frameworks do to a request on its way: each undone, for the diagnosis of a refused one.
import { parseExactly } from './body.ts';
import type { Delivery } from './provider.ts';

export interface Alteration {
  /** Completes "the signature is right once …". */
  undoneBy: string;
  body: Buffer;
}

/** Parsing and writing a larger body would hold up the event loop. */
const MAX_REWRITTEN_BYTES = 128 * 1024;
const BOM = Buffer.from([0xef, 0xbb, 0xbf]);

/** The bodies that may have been signed instead of the one that arrived, the likeliest first; lazily made. */
export function* bodyAlterations({ body }: Delivery): Generator<Alteration> {
  if (body.length === 0) return;
  const text = body.toString('latin1');
  const ending = /[\r\n]+$/.exec(text)?.[0];
  if (ending)
    yield {
      undoneBy: 'the line break at the end is taken away',
      body: body.subarray(0, -ending.length),
    };
  if (ending !== '\n') yield { undoneBy: 'a line break is added at the end', body: join(body, '\n') };
  if (ending !== '\r\n') yield { undoneBy: 'a CRLF is added at the end', body: join(body, '\r\n') };
  if (body.subarray(0, 3).equals(BOM)) yield { undoneBy: 'the BOM is taken away', body: body.subarray(3) };
  else yield { undoneBy: 'a BOM is put in front', body: Buffer.concat([BOM, body]) };
  if (body.length > MAX_REWRITTEN_BYTES) return;
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
  yield* /^\s*[{[]/.test(decoded) ? rewrittenJson(decoded) : rewrittenForm(decoded);
}

/** A proxy that parsed the JSON and wrote it again: tried in the ways in which senders write it. */
function* rewrittenJson(text: string): Generator<Alteration> {
  let value: unknown;
  try {
    value = parseExactly(text);
  } catch {
    // No JSON, so nobody wrote it again as JSON.
    return;
  }
  const compact = JSON.stringify(value);
  const spaced = JSON.stringify(value, null, 1).replaceAll(/,\n */g, ', ').replaceAll(/\n */g, '');
  const ways: [string, string][] = [
    ['compactly', compact],
    ['compactly, with \\u escapes', escapeNonAscii(compact)],
    ['compactly, with \\/ (PHP)', compact.replaceAll('/', '\\/')],
    ['compactly, with \\/ and \\u escapes (PHP)', escapeNonAscii(compact.replaceAll('/', '\\/'))],
    ['compactly, with \\u003c for < (Go)', escapeHtml(compact)],
    ['with blanks after : and , (Python)', spaced],
    ['with blanks and \\u escapes (Python)', escapeNonAscii(spaced)],
    ['with 2 blanks of indent', JSON.stringify(value, null, 2)],
    ['with 4 blanks of indent', JSON.stringify(value, null, 4)],
  ];
  for (const [how, written] of ways)
    if (written !== text) yield { undoneBy: `the JSON is written again ${how}`, body: Buffer.from(written) };
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
  const hosts = [host, ...called.filter((name) => /^[A-Za-z0-9.:[\]-]{1,255}$/.test(name))];
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

function escapeNonAscii(text: string): string {
  return text.replaceAll(
    /[\u007f-\uffff]/g,
    (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}

function escapeHtml(text: string): string {
  return text.replaceAll(/[<>&]/g, (sign) => `\\u00${sign.charCodeAt(0).toString(16)}`);
}
