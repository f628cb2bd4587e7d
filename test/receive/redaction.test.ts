// `<SOURCE>_REDACT`: the value reaches no column of the database and no log line, whatever brings the event.
import t from 'tap';
import { parseRecovers, readDrafts, type Source, signDelivery } from '../../src/providers/index.ts';
import { findProvider } from '../../src/providers/registry.ts';
import { parseSources, variableOf } from '../../src/providers/sources.ts';
import { postRequest, secretOf } from '../providers/deliveries.ts';
import { standIns, startApi } from '../pull/api.ts';
import { recovererOn, recoverSourceOf } from '../pull/recovering.ts';
import { atEnd } from '../support/at-end.ts';
import { rowsWith } from '../support/database-dump.ts';
import { openInbox, sha256 } from '../support/inbox.ts';
import { receiversOn } from '../support/receivers.ts';
import { createRoute } from '../support/route.ts';

const inbox = await openInbox(t);
const { sql, logs } = inbox;
const key = 'a key of 32 characters, or longer';
const secret = 'Zqx81@example.com';
t.beforeEach(() => sql('DELETE FROM webhook_events'));

/** The source as its variables make it. */
function sourceOf(name: string, redact: string, env: Record<string, string> = {}): Source {
  const prefix = variableOf(name);
  const all = {
    [`${prefix}_WEBHOOK_SECRET`]: secretOf(findProvider(name)!).secret,
    [`${prefix}_REDACT`]: redact,
    PUBLIC_URL: 'https://shop.example.com',
    ...env,
  };
  const { sources, problems } = parseSources(all);
  t.same(problems, []);
  return sources.get(name)!;
}

const receiver = receiversOn(inbox)(t);

/** The receiver of this source, on a real socket. */
async function openRoute(source: Source) {
  const app = createRoute([source], { receiver, rejections: { record: () => {} }, log: inbox.log });
  atEnd(t, () => app.close());
  const address = await app.listen({ port: 0, host: '127.0.0.1' });
  return (headers: Record<string, string>, body: Buffer) =>
    fetch(`${address}/api/webhooks/${source.name}`, { method: 'POST', headers, body: new Uint8Array(body) });
}

function signed(source: Source, topic: string, body: string) {
  const { privateKey } = secretOf(source.provider);
  return signDelivery(source, {
    topic,
    body,
    now: new Date(),
    url: source.webhookUrl!,
    ...(privateKey === undefined ? {} : { privateKey }),
  });
}

/** Sends a signed delivery to the real receiver. @returns the stored rows */
async function deliver(source: Source, topic: string, text: string) {
  const post = await openRoute(source);
  const { headers, body } = signed(source, topic, text);
  const response = await post(headers, body);
  t.equal(response.status, 200, source.name);
  return sql('SELECT * FROM webhook_events ORDER BY received_at, event_id');
}

const nowhere = async (text = secret) => {
  t.same(await rowsWith(inbox, text), []);
  t.notOk(JSON.stringify(logs).toLowerCase().includes(text.toLowerCase()), 'nor in the log');
};

const seconds = Math.floor(Date.now() / 1_000);
const stripeBody = (id: string, email = secret) =>
  `{"id":"${id}","type":"invoice.paid","created":${seconds},"n":12345678901234567890.10,"data":{"object":{"email":"${email}","name":"Ada","phone":null,"zip":10115,"lines":[{"to":{"email":"${email}"}},{"to":{"email":"${email}"}}]}}}`;

t.test('JSON: blocked, hashed, in lists; numbers stay exact, null stays null', async (t) => {
  const source = sourceOf(
    'stripe',
    'data.object.email:hash, data.object.lines.to.email, data.object.phone,data.object.zip:hash',
    { REDACT_KEY: key },
  );
  const [row] = await deliver(source, 'invoice.paid', stripeBody('evt_1'));
  await nowhere();
  t.match(row, {
    event_id: 'evt_1',
    topic: 'invoice.paid',
    raw_body: null,
    payload: {
      data: {
        object: {
          name: 'Ada',
          phone: null,
          email: /^hmac:[0-9a-f]{64}$/,
          zip: /^hmac:/,
          lines: [{ to: { email: '[redacted]' } }, { to: { email: '[redacted]' } }],
        },
      },
    },
  });
  t.match(await sql(`SELECT payload ->> 'n' AS n FROM webhook_events`), [{ n: '12345678901234567890.10' }]);
  const body = stripeBody('evt_1');
  t.notSame(
    (row!.body_sha256 as Buffer).toString('hex'),
    sha256(body).toString('hex'),
    'the hash of the body is keyed',
  );
  const shop = sourceOf('shopify', 'email:hash', { REDACT_KEY: key });
  const rows = await deliver(shop, 'orders/create', `{"id":1,"email":"${secret}"}`);
  const emailOf = (at: number) =>
    (at === 0 ? (rows[0]!.payload as Paid).data.object : (rows[1]!.payload as Person)).email;
  t.equal(emailOf(1), emailOf(0), 'equal values can be joined over sources');
});

interface Person {
  email: string;
}
interface Paid {
  data: { object: Person };
}

t.test('a form, and a batch', async (t) => {
  const [form] = await deliver(
    sourceOf('twilio', 'From,Body'),
    'received',
    `MessageSid=SM1&SmsStatus=received&From=%2B15550100&Body=I+am+${encodeURIComponent(secret)}`,
  );
  t.match(form, {
    topic: 'received',
    payload: { From: '[redacted]', Body: '[redacted]', SmsStatus: 'received' },
  });
  await sql('DELETE FROM webhook_events');
  const items = [1, 2].map((n) => ({
    sg_event_id: `sg_${n}`,
    event: 'delivered',
    timestamp: seconds,
    email: secret,
    'smtp-id': 'x',
  }));
  const batch = await deliver(sourceOf('sendgrid', 'email'), 'delivered', JSON.stringify(items));
  t.match(batch, [
    { event_id: 'sg_1', payload: { email: '[redacted]' } },
    { event_id: 'sg_2', payload: { email: '[redacted]' } },
  ]);
  await nowhere();
});

t.test(
  'a body that cannot be read is not kept, and the row says so; what jsonb cannot hold is kept without the value',
  async (t) => {
    const source = sourceOf('stripe', 'data.object.email');
    const [malformed] = await deliver(source, 'x', `{"id":"evt_1","data":{"object":{"email":"${secret}"`);
    t.match(malformed, { payload: null, payload_error: 'malformed', status: 'PENDING' });
    t.match(String(malformed!.raw_body), /^\[redacted\] 5\d bytes that could not be read: malformed$/);
    await sql('DELETE FROM webhook_events');
    const [nul] = await deliver(source, 'x', stripeBody('evt_2').replace('"Ada"', '"A\\u0000da"'));
    t.match(nul, { payload: null, payload_error: 'nul', event_id: 'evt_2' });
    t.match(JSON.parse(String(nul!.raw_body)), { data: { object: { email: '[redacted]', name: 'A\0da' } } });
    await sql('DELETE FROM webhook_events');
    const [gone] = await deliver(
      source,
      'x',
      stripeBody('evt_3', `\\u0000${secret}`).replaceAll(/,"lines":.*?\]/g, ''),
    );
    t.match(
      gone,
      { payload: { data: { object: { email: '[redacted]' } } }, payload_error: null },
      'the problem went with the value',
    );
    await nowhere();
  },
);

t.test('the signature is checked over the bytes as they came', async (t) => {
  const source = sourceOf('stripe', 'data.object.email');
  const post = await openRoute(source);
  const { headers, body } = signed(source, 'x', stripeBody('evt_1'));
  const altered = Buffer.from(String(body).replace(secret, '[redacted]'));
  t.equal((await post(headers, altered)).status, 401, 'also for a value that is removed');
  t.equal((await post(headers, body)).status, 200);
  t.same(await (await post(headers, body)).json(), { ok: true, duplicate: true });
});

t.test('repeated bodies are still told apart by the removed value', async (t) => {
  const source = sourceOf('shopify', 'email', { REDACT_KEY: key });
  for (const email of ['a@b.c', 'd@e.f', 'a@b.c'])
    await deliver(source, 'orders/create', `{"id":1,"email":"${email}"}`);
  const rows = await sql('SELECT status FROM webhook_events ORDER BY received_at');
  t.same(
    rows.map(({ status }) => status),
    ['PENDING', 'PENDING', 'IGNORED'],
  );
});

t.test('events that are pulled, also of a source without a secret', async (t) => {
  const item = { ...JSON.parse(stripeBody('evt_1')), object: 'event' };
  const api = await startApi(t, (call) =>
    standIns.stripe([{ id: 'evt_1', at: Date.now() - 1_000, item }], call, 2),
  );
  const recover = recoverSourceOf('stripe', api.url, {
    STRIPE_REDACT: 'data.object.email,data.object.lines.*.to',
  });
  t.match(await recovererOn(inbox)(t, recover, { keepsBytes: true }), { recovered: 1 });
  t.match(await sql('SELECT received_by, payload, raw_body FROM webhook_events'), [
    { received_by: 'pull', payload: { data: { object: { email: '[redacted]' } } }, raw_body: null },
  ]);
  await nowhere();
});

t.test('hostile keys and paths: nothing is missed, and the time is bounded', (t) => {
  const read = (redact: string, body: string) =>
    readDrafts(sourceOf('shopify', redact), postRequest(body), true)[0]!;
  t.equal(
    read('__proto__.a,constructor', '{"__proto__":{"a":"s","b":1},"constructor":"s"}').payloadText,
    '{"__proto__":{"a":"[redacted]","b":1},"constructor":"[redacted]"}',
  );
  t.equal(
    read('a.b', '{"a":{"b":"s"},"a":[[{"b":"s"}],{"b":"s","b":"t"}]}').payloadText,
    '{"a":[[{"b":"[redacted]"}],{"b":"[redacted]"}]}',
    'lists are passed through; of equal keys the last counts, as in jsonb',
  );
  t.equal(
    read('a.1,b.0.c', '{"a":["x","s"],"b":[{"c":"s"},{"c":"x"}]}').payloadText,
    '{"a":["x","[redacted]"],"b":[{"c":"[redacted]"},{"c":"x"}]}',
  );
  t.equal(read('a,a.b', '{"a":{"b":"s"}}').payloadText, '{"a":"[redacted]"}');
  t.equal(read('a', '{"b":1.0}').rawBody, null, 'the bytes are not kept either, whatever they hold');
  const deep = `${'{"a":'.repeat(150)}"s"${'}'.repeat(150)}`;
  t.match(read(Array(50).fill('a').join('.'), deep).payloadText, /"\[redacted\]"/);
  const huge = JSON.stringify(
    Array.from({ length: 4_000 }, (_, n) => ({
      n,
      list: Array.from({ length: 20 }, (_, m) => ({ m, x: 's' })),
    })),
  );
  const startedAt = process.cpuUsage();
  const many = Array.from({ length: 100 }, (_, n) => `*.*.*.${n % 2 ? '*' : 'x'}.y${n}`).join(',');
  read(many, huge);
  const { user } = process.cpuUsage(startedAt);
  t.ok(user < 5_000_000, `${user} µs for ${huge.length} bytes and 100 paths`);
  t.end();
});

t.test('a source that is only pulled: wrong paths prevent the start, and nothing is pulled', (t) => {
  const erp = {
    POSTBELL_SOURCES: 'erp=pulled',
    ERP_API_KEY: 'sk_0123456789abcdef',
    ERP_API_PATH: '/v1',
    ERP_API_URL: 'https://erp.example.com',
  };
  const cases = [
    ['email:hash', /REDACT_KEY is missing; ERP_REDACT/],
    ['a..b', /ERP_REDACT: "a\.\.b" must be keys/],
  ] as const;
  for (const [redact, problem] of cases) {
    const env = { ...erp, ERP_REDACT: redact };
    const parsed = parseSources(env);
    t.match(parsed.problems, [problem]);
    t.notOk(parseRecovers(env, parsed).ready.has('erp'));
  }
  const right = { ...erp, ERP_REDACT: 'email' };
  t.ok(parseRecovers(right, parseSources(right)).ready.get('erp')?.source.redaction);
  t.end();
});

t.test('settings that would not do what was meant prevent the start, all at once', (t) => {
  const problemsOf = (env: Record<string, string>) =>
    parseSources({ STRIPE_WEBHOOK_SECRET: secretOf(findProvider('stripe')!).secret, ...env }).problems;
  const cases: [string, RegExp][] = [
    ['a..b', /"a\.\.b" must be keys with dots/],
    ['a:hsah', /must end with :hash/],
    ['a:hash', /REDACT_KEY is missing/],
    ['id', /STRIPE_REDACT: id holds the id of the events/],
    ['*', /holds the id of the events/],
    ['type', /holds the topic/],
    [Array(1_000).fill('a').join('.'), /1000 keys: use at most 50/],
    [Array.from({ length: 101 }, (_, n) => `a${n}`).join(','), /101 paths: use at most 100/],
  ];
  for (const [redact, problem] of cases)
    t.match(problemsOf({ STRIPE_REDACT: redact }), [problem], redact.slice(0, 30));
  t.equal(problemsOf({ STRIPE_REDACT: 'id,a..b,x:hash' }).length, 3);
  t.match(problemsOf({ STRIPPE_REDACT: 'a' }), [
    /STRIPPE_REDACT belongs to no source; did you mean STRIPE_REDACT\?/,
  ]);
  t.match(problemsOf({ SHOPIFY_RETENTION_DAYS: 'x' }), [/must be a whole number of days/]);
  t.same(
    problemsOf({
      LOG_REDACT: 'a',
      PAYLOAD_RETENTION_DAYS: '3',
      RAW_BODY_RETENTION_DAYS: '3',
      STRIPE_REDACT: 'data.id, data.object.id',
    }),
    [],
  );
  for (const path of ['id', 'id:hash', 'updated_at', '*'])
    t.match(
      problemsOf({ SHOPIFY_REDACT: path, REDACT_KEY: key }),
      [/SHOPIFY_REDACT: .* holds the (id|time) of the events/],
      'events that are made need both',
    );
  t.match(
    problemsOf({ OKTA_REDACT: 'data.events.uuid' }),
    [/holds the id/],
    'a list is passed through here, too; also without a secret',
  );
  t.end();
});
