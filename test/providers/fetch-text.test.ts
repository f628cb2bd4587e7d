// The one request that schemes make, on a real HTTPS server: HTTPS only, no redirect, bounded, and no longer than 3 s.
import { readFileSync } from 'node:fs';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { getCACertificates, setDefaultCACertificates } from 'node:tls';
import t from 'tap';
import {
  fetchText,
  fetchTimeoutMs,
  HttpStatusError,
  maxKeyBytes,
} from '../../src/providers/schemes/fetch-text.ts';

const read = (name: string) => readFileSync(new URL(`certificates/${name}.pem`, import.meta.url));
let requests = 0;
const server = createServer(
  { key: read('signer-key'), cert: read('localhost') },
  async (request, response) => {
    requests++;
    const path = request.url ?? '';
    if (path === '/moved') return response.writeHead(302, { location: '/fine' }).end();
    if (path === '/missing') return response.writeHead(404).end('x'.repeat(100_000));
    if (path === '/silent') return;
    if (path === '/long') return response.end('x'.repeat(maxKeyBytes + 1));
    if (path === '/longest') return response.end('x'.repeat(maxKeyBytes));
    response.end(`${request.method} ${request.headers['content-type'] ?? '-'} ${await text(request)} é`);
  },
);
await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
t.teardown(() => {
  server.closeAllConnections();
  server.close();
});
const origin = `https://127.0.0.1:${(server.address() as AddressInfo).port}`;

t.test('a server whose certificate nobody vouches for is not asked', async (t) => {
  await t.rejects(fetchText(`${origin}/fine`));
  t.equal(requests, 0);
});

t.test('the text comes by GET, or by POST with a body', async (t) => {
  setDefaultCACertificates([...getCACertificates('default'), read('localhost').toString()]);
  t.equal(await fetchText(`${origin}/fine`), 'GET -  é');
  t.equal(await fetchText(`${origin}/fine`, '{"a":1}'), 'POST application/json {"a":1} é');
  t.equal((await fetchText(`${origin}/longest`)).length, maxKeyBytes);
});

t.test('what is no plain answer is an error', async (t) => {
  await t.rejects(fetchText(`${origin}/moved`), 'a redirect is not followed');
  await t.rejects(fetchText(`${origin}/long`), { message: 'the answer is too long' });
  await t.rejects(fetchText(origin.replace('https', 'http')), { message: 'only https:// URLs are fetched' });
  const missing = await fetchText(`${origin}/missing`).catch((error: unknown) => error);
  t.ok(missing instanceof HttpStatusError && missing.status === 404);
  t.ok(missing instanceof HttpStatusError && missing.body.length < maxKeyBytes);
});

t.test('a server that does not answer is given up', async (t) => {
  const startedAt = performance.now();
  await t.rejects(fetchText(`${origin}/silent`), { name: 'TimeoutError' });
  t.ok(performance.now() - startedAt >= fetchTimeoutMs - 50);
});
