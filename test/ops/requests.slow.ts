// Live requests: real web processes and a real Postgres. What arrives during a capture is shown, masked, bounded and deleted.
import http from 'node:http';
import { text } from 'node:stream/consumers';
import t, { type Test } from 'tap';
import { type Provider, providers, type Source, signDelivery } from '../../src/providers/index.ts';
import { createCli } from '../support/cli.ts';
import { createTestDatabase } from '../support/database.ts';
import { openSession } from '../support/inbox.ts';
import { startProcess } from '../support/processes.ts';
import { waitFor } from '../support/wait.ts';

const operator = 'sixteen-letters-of-ops';
const reader = 'sixteen-letters-to-read';
const stripeSecret = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw';
const githubSecret = 'github-secret-0123456789';
const telegramSecret = 'telegram-secret-0123456789';
const { url } = await createTestDatabase(t);
const sql = await openSession(t, url);
const env = {
  DATABASE_URL: url,
  PORT: '0',
  HOST: '127.0.0.1',
  OPS_PASSWORD: operator,
  OPS_READONLY_PASSWORD: reader,
  STRIPE_WEBHOOK_SECRET: stripeSecret,
  GITHUB_WEBHOOK_SECRET: githubSecret,
  TELEGRAM_WEBHOOK_SECRET: telegramSecret,
};
const cli = createCli(t, env);
const [first, second] = await Promise.all([start('web'), start('web')]);
const agent = new http.Agent({ keepAlive: true, maxSockets: 32 });
t.teardown(() => agent.destroy());

async function start(verb: string): Promise<string> {
  const started = startProcess(t, [verb], { env });
  const { address } = await started.waitForLog(({ msg }) => msg === 'listening');
  if (verb === 'web') await started.waitForLog(({ msg }) => msg === 'ready');
  return new URL(String(address)).origin;
}

interface Answer {
  status: number;
  body: string;
  location: string | undefined;
}

async function ask(
  address: string,
  { method = 'POST', headers = {}, body = '' as string | Buffer } = {},
): Promise<Answer> {
  const { promise, resolve, reject } = Promise.withResolvers<http.IncomingMessage>();
  http.request(address, { method, headers, agent }, resolve).on('error', reject).end(body);
  const response = await promise;
  return { status: response.statusCode!, body: await text(response), location: response.headers.location };
}

const page = (path: string, password = operator, web = first) =>
  ask(`${web}/ops${path}`, {
    method: 'GET',
    headers: { accept: 'text/html', authorization: `Basic ${btoa(`ada:${password}`)}` },
  });
const submit = (path: string, fields: Record<string, string>, password = operator) =>
  ask(`${first}/ops${path}`, {
    headers: {
      authorization: `Basic ${btoa(`ada:${password}`)}`,
      'content-type': 'application/x-www-form-urlencoded',
    },
    body: new URLSearchParams(fields).toString(),
  });

let count = 0;
const nextId = () => `request-${process.pid}-${++count}`;
const sourceOf = (provider: Provider, secret: string): Source => ({
  name: provider.name,
  provider,
  secrets: [secret],
});
const stripe = sourceOf(providers.stripe, stripeSecret);

/** A correctly signed delivery. @returns its request id */
async function deliver(web: string, source: Source, body: string, further: Record<string, string> = {}) {
  const id = nextId();
  const { headers } = signDelivery(source, {
    ...{ topic: 'push', body, now: new Date(), url: `${web}/api/webhooks/${source.name}` },
  });
  const answer = await ask(`${web}/api/webhooks/${source.name}`, {
    headers: { ...headers, ...further, 'x-request-id': id },
    body,
  });
  return { id, ...answer };
}
const stripeBody = (id: string) =>
  JSON.stringify({ id, type: 'invoice.paid', data: { object: { id: 'in_1' } } });

const rowOf = async (requestId: string) =>
  (await sql('SELECT * FROM captured_requests WHERE request_id = $1', [requestId]))[0];
const captured = (requestId: string) => waitFor(() => rowOf(requestId), { what: `the row of ${requestId}` });
const pageOf = async (requestId: string, password = operator) =>
  (await page(`/request?id=${(await captured(requestId)).id}`, password)).body;

/** Until every web process has noticed: then each of its requests is kept. */
async function noticed(source: Source): Promise<void> {
  for (const web of [first, second])
    await waitFor(
      async () => {
        const { id } = await deliver(web, source, stripeBody(`evt_probe_${count}`));
        const before = performance.now();
        while (performance.now() - before < 600) if (await rowOf(id)) return true;
        return false;
      },
      { what: `${web} to notice the capture of ${source.name}` },
    );
}

async function open(source: Source): Promise<void> {
  const { code } = await cli.inside(['capture', source.name, '--minutes', '60']);
  t.equal(code, 0);
  await noticed(source);
}

t.test('without a capture nothing is kept', async (t) => {
  const accepted = await deliver(first, stripe, stripeBody('evt_none'));
  t.equal(accepted.status, 200);
  t.equal((await deliver(second, { ...stripe, secrets: ['whsec_wrong'] }, '{}')).status, 401);
  await waitFor(() => sql('SELECT FROM rejected_requests').then((rows) => rows.length > 0), {
    what: 'the record of the rejection',
  });
  t.match((await page('/requests')).body, /No request is shown/);
  // Now a capture of another source: requests of this one still leave nothing.
  await open(sourceOf(providers.github, githubSecret));
  await deliver(first, stripe, stripeBody('evt_none_2'));
  const marker = await deliver(first, sourceOf(providers.github, githubSecret), '{"a":1}');
  await captured(marker.id);
  t.strictSame(await sql(`SELECT source FROM captured_requests WHERE source <> 'github'`), []);
});

t.test('accepted, rejected, malformed, huge and binary: shown by each page with the diagnosis', async (t) => {
  await open(stripe);
  const accepted = await deliver(first, stripe, stripeBody('evt_shown'));
  t.match(await pageOf(accepted.id), /Became the event .*evt_shown.*<div class="tree">/s);
  const again = await deliver(second, stripe, stripeBody('evt_shown'));
  t.match(await pageOf(again.id), /200 duplicate.*A further delivery of the event/s);

  const wrong = await deliver(first, { ...stripe, secrets: [githubSecret] }, stripeBody('evt_wrong'));
  t.match(
    await pageOf(wrong.id),
    /401 rejected.*other_secret.*signed with the secret of github.*STRIPE_WEBHOOK_SECRET/s,
  );
  const malformed = await deliver(second, stripe, '{"id":"evt_bad",\n "type" "x"}');
  t.equal(malformed.status, 200);
  t.match(
    await pageOf(malformed.id),
    /No JSON: line 2, column 9, where : should be\..*<mark>&quot;<\/mark>x/s,
  );

  const id = nextId();
  const huge = await ask(`${first}/api/webhooks/stripe`, {
    headers: { 'x-request-id': id, 'content-length': '3000000' },
    body: Buffer.alloc(3_000_000),
  }).catch(() => undefined); // the answer may overtake the body
  t.ok(huge === undefined || huge.status === 413);
  t.match(await pageOf(id), /413 too large.*BODY_LIMIT_BYTES.*Not read/s);

  const large = await deliver(first, stripe, `{"id":"evt_large","type":"x","a":"${'é'.repeat(200_000)}"}`);
  t.match(await pageOf(large.id), /The first 262,144 of 400,\d+ bytes/);
  t.equal(((await captured(large.id)).body as Buffer).length, 262_144);

  const binary = nextId();
  await ask(`${second}/api/webhooks/stripe?x=1`, {
    headers: { 'x-request-id': binary },
    body: Buffer.from([0, 255, 1, 254, 65]),
  });
  t.match(await pageOf(binary), /missing_header.*No text.*000000 {2}00 ff 01 fe 41 .*\.\.\.\.A/s);
  const put = nextId();
  await ask(`${second}/api/webhooks/stripe`, { method: 'PUT', headers: { 'x-request-id': put } });
  t.match(await pageOf(put), /405 method not allowed/);
});

t.test('the list has the requests of both web processes, pauses by its address, and is live', async (t) => {
  const [here, there] = [
    await deliver(first, stripe, stripeBody('evt_here')),
    await deliver(second, stripe, stripeBody('evt_there')),
  ];
  await captured(here.id);
  const { id } = await captured(there.id);
  const list = await page('/requests?source=stripe', operator, second);
  t.match(list.body, /evt_here/);
  t.match(list.body, /evt_there/);
  t.match(list.body, /hx-get="[^"]+".*data-renew-seconds="2"/);
  const later = await deliver(first, stripe, stripeBody('evt_later'));
  await captured(later.id);
  const paused = await page(`/requests?source=stripe&up_to=${id}`);
  t.match(paused.body, /Paused\..* newer request/s);
  t.notMatch(paused.body, /evt_later|hx-get/);
  t.match((await page('/requests?source=stripe')).body, /evt_later/);
});

t.test('no secret gets into the table or onto a page', async (t) => {
  const body = JSON.stringify({ id: 'evt_masked', type: 'x', note: `${stripeSecret} and ${githubSecret}` });
  const secrets = ['bearer-0123456789', 'cookie-0123456789', 'key-0123456789', 'query-0123456789'];
  const [bearer, cookie, key, query] = secrets;
  const id = nextId();
  await ask(`${first}/api/webhooks/stripe?access_token=${query}&u=${githubSecret}`, {
    headers: {
      'x-request-id': id,
      authorization: `Bearer ${bearer}`,
      cookie: `session=${cookie}`,
      'x-api-key': key!,
      'x-note': telegramSecret,
      'stripe-signature': `t=1,v1=${'0'.repeat(64)}`,
    },
    body,
  });
  const row = JSON.stringify(await captured(id)) + String((await captured(id)).body);
  const pages = (await pageOf(id)) + (await page('/requests')).body;
  for (const secret of [...secrets, stripeSecret, githubSecret, telegramSecret]) {
    t.notOk(row.includes(secret), `${secret} in the table`);
    t.notOk(pages.includes(secret), `${secret} on a page`);
    t.notOk(
      pages.includes(Buffer.from(secret).toString('hex').replaceAll(/../g, '$& ')),
      `${secret} in the hex`,
    );
  }
  t.match(pages, /Bearer \[hidden\]/);
});

t.test('a reader sees no signature and no form, and is refused', async (t) => {
  const { id } = await deliver(first, stripe, stripeBody('evt_reader'));
  t.match(await pageOf(id), /stripe-signature<\/dt><dd>t=\d+,v1=[0-9a-f]{64}/);
  const seen = await pageOf(id, reader);
  t.match(seen, /stripe-signature.*a signature, \d+ characters/);
  for (const body of [seen, (await page('/requests', reader)).body]) {
    t.notMatch(body, /v1=[0-9a-f]{64}/);
    t.notMatch(body, /<form(?! method="(post" action="\/ops\/logout|dialog)")/);
  }
  for (const path of ['/requests', '/resend?source=stripe'])
    t.equal(
      (await submit(path, { source: 'stripe', minutes: '30', sure: 'yes', body: '{}' }, reader)).status,
      403,
    );
});

t.test('an edited request is signed and makes one event; the change is recorded', async (t) => {
  const { id } = await deliver(first, stripe, stripeBody('evt_original'));
  t.match(await pageOf(id), /This is no rehearsal.*<textarea[^>]*>\n\{&quot;id&quot;:&quot;evt_original/s);
  const body = '{"id":"evt_edited",\r\n "type":"invoice.paid"}';
  t.equal((await submit('/resend?source=stripe', { body })).status, 400, 'not confirmed');
  const sent = await submit('/resend?source=stripe', { body, sure: 'yes' });
  t.match(sent, { status: 303, location: /\/ops\/event\?source=stripe&id=evt_edited&done=resend$/ });
  const known = await submit('/resend?source=stripe', { body, sure: 'yes' });
  t.match(known, { status: 303, location: /done=resend_known$/ });
  t.match(await sql(`SELECT payload, duplicates FROM webhook_events WHERE event_id = 'evt_edited'`), [
    { payload: { id: 'evt_edited', type: 'invoice.paid' } },
  ]);
  t.match(
    await sql(`SELECT operator, filter, done FROM operator_actions WHERE action = 'resend' ORDER BY id`),
    [
      { operator: 'ada', filter: { source: 'stripe', eventId: 'evt_edited' }, done: 1 },
      { operator: 'ada', done: 1 },
    ],
  );
  t.match((await page('/actions')).body, /Send an edited request/);
  const alone = await start('ops');
  const there = await page(`/request?id=${(await captured(id)).id}`, operator, alone);
  t.match(there.body, /evt_original/);
  t.notMatch(there.body, /Edit and send/, 'postbell ops has no receiver');
});

t.test('a flood is answered, and kept within bounds', async (t) => {
  const deliveries = 10_000;
  let sent = 0;
  const statuses = new Map<number, number>();
  const send = async () => {
    while (sent < deliveries) {
      const { status } = await deliver(sent % 2 ? first : second, stripe, stripeBody(`evt_flood_${sent++}`));
      statuses.set(status, (statuses.get(status) ?? 0) + 1);
    }
  };
  await Promise.all(Array.from({ length: 24 }, send));
  t.strictSame([...statuses], [[200, deliveries]]);
  const [counts] = await waitFor(
    async () => {
      const rows = await sql(
        `SELECT count(*)::int AS kept, sum(not_shown)::int AS "notShown" FROM captured_requests WHERE source = 'stripe'`,
      );
      return Number(rows[0]!.notShown) > 0 && Number(rows[0]!.kept) <= 200 ? rows : undefined;
    },
    { what: 'the number of those not shown' },
  );
  t.ok(Number(counts!.kept) <= 200, `${counts!.kept} are kept`);
  t.match((await page('/requests?source=stripe')).body, /requests of stripe not shown/);
});

t.test('the page opens and ends a capture, and says who did', async (t) => {
  for (const fields of [
    { source: 'none', minutes: '30' },
    { source: 'telegram', minutes: '121' },
    { source: 'telegram', minutes: '' },
  ])
    t.equal((await submit('/requests', fields)).status, 400, JSON.stringify(fields));
  t.equal((await submit('/requests', { source: 'telegram', minutes: '30' })).status, 303);
  t.match(await sql(`SELECT opened_by, ends_at > now() AS open FROM captures WHERE source = 'telegram'`), [
    { opened_by: 'ada', open: true },
  ]);
  t.match((await page('/requests')).body, /telegram<\/strong><\/a> is shown/);
  t.equal((await submit('/requests', { source: 'telegram', action: 'end' })).status, 303);
  t.equal((await submit('/requests', { source: 'telegram', action: 'end' })).status, 409, 'once');
  t.match(
    await sql(`SELECT action, operator FROM operator_actions WHERE action LIKE '%capture' ORDER BY id`),
    [
      { action: 'capture', operator: 'ada' },
      { action: 'end_capture', operator: 'ada' },
    ],
  );
  t.match((await page('/actions')).body, /End live requests/);
});

t.test('a capture closes by itself, and its requests are deleted', async (t: Test) => {
  await sql(`UPDATE captures SET ends_at = now() + interval '10 seconds' WHERE source = 'stripe'`);
  await waitFor(
    async () => (await sql(`SELECT FROM captures WHERE source = 'stripe' AND ends_at < now()`)).length > 0,
    { what: 'the end of the capture' },
  );
  const late = await deliver(first, stripe, stripeBody('evt_late'));
  const marker = await deliver(first, sourceOf(providers.github, githubSecret), '{"a":2}');
  await captured(marker.id);
  t.equal(await rowOf(late.id), undefined);
  await sql(`UPDATE captures SET opened_at = now() - interval '1 hour', ends_at = now() - interval '11 minutes'
    WHERE source = 'stripe'`);
  await waitFor(
    async () => (await sql(`SELECT FROM captured_requests WHERE source = 'stripe'`)).length === 0,
    { what: 'the deletion' },
  );
  t.strictSame(await sql(`SELECT FROM captures WHERE source = 'stripe'`), []);
  t.ok(await rowOf(marker.id), 'those of another source stay');
});
