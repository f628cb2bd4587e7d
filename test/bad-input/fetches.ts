// An HTTPS server that answers in every way a key server should not, to see that we do not follow.
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer as createHttpServer } from 'node:http';
import { createServer } from 'node:https';
import type { AddressInfo, Server } from 'node:net';
import { fetchText, MAX_KEY_BYTES } from '../../src/providers/schemes/fetch-text.ts';

const pem = (name: string) =>
  readFileSync(new URL(`../providers/certificates/${name}.pem`, import.meta.url), 'utf8');

export interface FetchReport {
  /** By path: the text, or why there was none. */
  answers: Record<string, string>;
  /** Requests that reached the place where they must not go. */
  trespasses: number;
}

/** What `fetchText` makes of redirects, long answers, silence, other protocols, and a certificate that nobody vouches for. */
export async function tryFetches(): Promise<FetchReport> {
  let trespasses = 0;
  const inner = createHttpServer((_request, response) => {
    trespasses++;
    response.end('internal');
  });
  const innerUrl = await listen(inner, 'http');
  const outer = createServer({ key: pem('signer-key'), cert: pem('sns') }, ({ url }, response) => {
    if (url === '/ok') response.end('key');
    else if (url?.startsWith('/redirect')) response.writeHead(302, { location: innerUrl }).end();
    else if (url === '/long') response.end('x'.repeat(MAX_KEY_BYTES + 1));
    else if (url === '/silent') response.write('k');
    else response.writeHead(404).end('internal');
  });
  const outerUrl = await listen(outer, 'https');
  const answers: Record<string, string> = {};
  const ask = async (title: string, url: string) => {
    answers[title] = await fetchText(url).catch((error: Error) => `${error.name}: ${error.message}`);
  };
  await ask('its certificate', `${outerUrl}/ok`);
  for (const url of [
    innerUrl,
    'file:///etc/passwd',
    'HTTPS://127.0.0.1',
    'ftp://a',
    '//127.0.0.1',
    'data:,x',
    '',
  ])
    await ask(url, url);
  // From here on the certificate is not looked at, so that the rest is reached.
  const before = process.env.NODE_TLS_REJECT_UNAUTHORIZED;
  process.env.NODE_TLS_REJECT_UNAUTHORIZED = '0';
  try {
    await Promise.all(
      ['/ok', '/redirect', '/long', '/silent', '/404'].map((path) => ask(path, outerUrl + path)),
    );
  } finally {
    if (before === undefined) delete process.env.NODE_TLS_REJECT_UNAUTHORIZED;
    else process.env.NODE_TLS_REJECT_UNAUTHORIZED = before;
    for (const server of [inner, outer]) {
      server.closeAllConnections();
      server.close();
    }
  }
  return { answers, trespasses };
}

async function listen(server: Server, protocol: string): Promise<string> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return `${protocol}://127.0.0.1:${(server.address() as AddressInfo).port}`;
}
