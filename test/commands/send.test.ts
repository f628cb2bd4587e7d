// `send`: what it delivers, a receiver with the same settings accepts; and it tells when one does not.
import { writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import t from 'tap';
import { atEnd } from '../support/at-end.ts';
import { createCli } from '../support/cli.ts';
import { createTestDatabase } from '../support/database.ts';
import { openSession } from '../support/inbox.ts';
import { freePort } from '../support/ports.ts';
import { startProcess } from '../support/processes.ts';

const { url } = await createTestDatabase(t);
const sql = await openSession(t, url);
const secrets = {
  STRIPE_WEBHOOK_SECRET: 'whsec_0123456789abcdef',
  GITHUB_WEBHOOK_SECRET: 'github-secret-0123456789',
  MAILCHIMP_WEBHOOK_SECRET: 'mailchimp-secret-0123456789',
  POSTBELL_SOURCES: 'stripe-eu=stripe,acme=generic',
  STRIPE_EU_WEBHOOK_SECRET: 'whsec_fedcba9876543210',
  ACME_WEBHOOK_SECRET: 'acme-secret-0123456789',
  ACME_HEADER: 'x-acme-signature',
  PUBLIC_URL: 'https://shop.example.com',
};
const web = startProcess(t, ['web'], {
  env: { DATABASE_URL: url, PORT: '0', HOST: '127.0.0.1', ...secrets },
});
const { address } = await web.waitForLog(({ msg }) => msg === 'listening');
await web.waitForLog(({ msg }) => msg === 'ready');
const cli = createCli(t, { PORT: new URL(String(address)).port, ...secrets });

t.test('a sample is accepted, and the answer names the event', async (t) => {
  const { code, stdout } = await cli(['send', 'stripe', 'invoice.paid']);
  t.equal(code, 0);
  const [, id] = /^200 \{"ok":true,"duplicate":false\} {2}(evt_\w+)\n$/.exec(stdout) ?? [];
  t.same(await sql('SELECT source, topic FROM webhook_events WHERE event_id = $1', [id]), [
    { source: 'stripe', topic: 'invoice.paid' },
  ]);
});

t.test('every source that is on can be sent to', async (t) => {
  for (const [source, topic] of [
    ['stripe-eu', 'charge.refunded'],
    ['github', 'issues.opened'],
    ['mailchimp', 'subscribe'],
    ['acme', 'ring'],
  ] as const) {
    const { code, documents } = await cli.inside(['send', source, topic, '--json']);
    t.equal(code, 0, source);
    const [{ eventId, status, body }] = documents() as [Record<string, unknown>];
    t.equal(status, 200);
    t.same(JSON.parse(String(body)), { ok: true, duplicate: false });
    t.same(
      await sql('SELECT topic FROM webhook_events WHERE source = $1 AND event_id = $2', [source, eventId]),
      [{ topic }],
    );
  }
});

t.test('--count sends different events, --repeat each of them again', async (t) => {
  const { code, documents } = await cli.inside([
    'send',
    'stripe',
    'invoice.paid',
    '--count',
    '2',
    '--repeat',
    '1',
    '--json',
  ]);
  t.equal(code, 0);
  const sent = documents();
  t.same(
    sent.map(({ body }) => JSON.parse(String(body)).duplicate),
    [false, true, false, true],
  );
  t.equal(new Set(sent.map(({ eventId }) => eventId)).size, 2);
});

t.test('--data sends an own body, from a file or from standard input; --id names the event', async (t) => {
  writeFileSync(join(cli.folder, 'own.json'), '{"id":"evt_own","type":"invoice.paid","total":1.10}\n');
  t.match(await cli(['send', 'stripe', 'invoice.paid', '--data', 'own.json']), {
    code: 0,
    stdout: 'evt_own',
  });
  t.same(await sql(`SELECT payload->>'total' AS total FROM webhook_events WHERE event_id = 'evt_own'`), [
    { total: '1.10' },
  ]);
  const piped = await cli.inside(['send', 'stripe', 'x', '--data', '-'], {
    input: '{"id":"evt_\\u009b","type":"x"}',
  });
  t.match(piped, { code: 0, stdout: 'evt_\\x9b\n' });
  t.match(await cli.inside(['send', 'github', 'push', '--id', 'my-delivery']), {
    code: 0,
    stdout: 'my-delivery',
  });
  const inline = await cli.inside([
    'send',
    'stripe',
    'x',
    '--data',
    '{"id":"evt_inline","type":"invoice.paid"}',
  ]);
  t.match(inline, {
    code: 0,
    stdout: 'evt_inline',
    stderr: 'note: the body decides the topic: it is invoice.paid, not x\n',
  });
  t.match(await cli(['send', 'stripe', 'x', '--data', 'nowhere.json']), {
    code: 1,
    stderr: 'nowhere.json cannot be read (ENOENT); --data takes a file, JSON such as',
  });
  t.match(await cli.inside(['send', 'stripe', 'x', '--data', '{id:1}']), {
    code: 1,
    stderr: 'begins like JSON and is none: put it between single quotes',
  });
});

t.test('what the receiver will make of a delivery is said, once, and with --json each time', async (t) => {
  const body = '{"action":"opened","sender":{"id":1}}';
  const twice = ['send', 'github', 'issues.opened', '--data', body, '--count', '3'];
  const { stderr } = await cli.inside(twice);
  t.match(stderr, /^note: what is signed is the same under another id: .*IGNORED \(suspected replay\)\n$/);
  const stored = `SELECT count(*)::int AS n FROM webhook_events WHERE source = 'github' AND payload->>'action' = 'opened'
    AND status = 'IGNORED' AND ignored_reason LIKE 'suspected replay%'`;
  t.same(await sql(stored), [{ n: 2 }], 'as it was said');
  const own = ['send', 'stripe', 'x', '--data', '{"id":"evt_same","type":"x"}', '--count', '2', '--json'];
  t.match((await cli.inside(own)).documents(), [
    { notes: [] },
    { notes: ['the body decides the event id: each delivery carries the event evt_same'] },
  ]);
  t.match((await cli.inside(['send', 'mailchimp', 'subscribe'])).stderr, 'note: nothing is signed');
  t.match(await cli.inside(['send', 'stripe', 'x', '--id', 'evt_1', '--count', '2']), {
    code: 1,
    stderr: '--id names one event',
  });
});

t.test('where the network fails in the middle, the answers before it are told', async (t) => {
  let requests = 0;
  const server = createServer((request, response) => {
    if (++requests > 2) return void request.socket.destroy();
    response.writeHead(requests === 1 ? 200 : 503).end();
  }).listen(0, '127.0.0.1');
  atEnd(t, () => void server.close());
  await new Promise((resolve) => server.once('listening', resolve));
  const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const many = ['send', 'stripe', 'invoice.paid', '--count', '5', '--url', origin];
  t.match(await cli.inside(many), {
    code: 1,
    stderr: `2 of 5 deliveries were answered (1 with 200, 1 with 503); then ${origin} gave no answer: `,
  });
  requests = 0;
  const { code, documents } = await cli.inside([...many, '--json']);
  t.equal(code, 1);
  t.match(documents().at(-1), {
    planned: 5,
    answered: 2,
    statuses: { 200: 1, 503: 1 },
    problem: 'no answer',
  });
});

t.test('a rejection is shown and ends with 1', async (t) => {
  const env = { STRIPE_WEBHOOK_SECRET: 'whsec_another-one-0123' };
  const { code, stdout } = await cli(['send', 'stripe', 'invoice.paid'], { env });
  t.equal(code, 1);
  t.match(stdout, /^401 \{"error":"invalid_signature"/);
});

t.test('--url takes a server or an endpoint; no secret of a URL is printed', async (t) => {
  const requests: { url: string | undefined; method: string | undefined }[] = [];
  const server = createServer((request, response) => {
    requests.push({ url: request.url, method: request.method });
    response.writeHead(302, { location: 'http://127.0.0.1:1/' }).end('go\x1b[31m away');
  }).listen(0, '127.0.0.1');
  atEnd(t, () => void server.close());
  await new Promise((resolve) => server.once('listening', resolve));
  const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const toServer = await cli.inside(['send', 'mailchimp', 'subscribe', '--url', origin, '--json']);
  t.equal(toServer.code, 1, 'a redirect is no success');
  t.match(toServer.documents(), [{ url: `${origin}/api/webhooks/mailchimp`, status: 302 }]);
  t.notMatch(toServer.stdout + toServer.stderr, secrets.MAILCHIMP_WEBHOOK_SECRET);
  const toEndpoint = await cli.inside(['send', 'stripe', 'invoice.paid', '--url', `${origin}/hooks/x`]);
  t.match(toEndpoint.stdout, /^302 go\\x1b\[31m away {2}evt_/);
  t.same(requests, [
    { url: `/api/webhooks/mailchimp?secret=${secrets.MAILCHIMP_WEBHOOK_SECRET}`, method: 'POST' },
    { url: '/hooks/x', method: 'POST' },
  ]);
  const withPassword = await cli.inside(['send', 'stripe', 'x', '--url', 'http://ada:sesame@127.0.0.1:1/']);
  t.match(withPassword, { code: 1, stderr: 'must not hold a user or a password' });
  t.notMatch(withPassword.stderr, 'sesame');
  t.match(await cli.inside(['send', 'stripe', 'x', '--url', 'nowhere']), {
    code: 1,
    stderr: '--url must be like',
  });
});

t.test('nobody there, a source that is off, and a name that is none each have a remedy', async (t) => {
  const env = { PORT: String(await freePort()) };
  t.match(await cli.inside(['send', 'stripe', 'invoice.paid'], { env }), {
    code: 1,
    stderr: 'Run: postbell web',
  });
  t.match(await cli.inside(['send', 'shopify', 'orders/create']), {
    code: 1,
    stderr: 'set SHOPIFY_WEBHOOK_SECRET',
  });
  t.match(await cli.inside(['send', 'strpe', 'invoice.paid']), {
    code: 1,
    stderr: 'there is no source "strpe"; did you mean stripe?',
  });
  t.match(await cli.inside(['send', 'generic', 'x']), {
    code: 1,
    stderr: 'POSTBELL_SOURCES=<source>=generic',
  });
  const declared = { POSTBELL_SOURCES: `${secrets.POSTBELL_SOURCES},stripe-uk=stripe` };
  t.match(await cli.inside(['send', 'stripe-uk', 'invoice.paid'], { env: declared }), {
    code: 1,
    stderr: 'set STRIPE_UK_WEBHOOK_SECRET (for a trial: postbell keys stripe --source stripe-uk)',
  });
});
