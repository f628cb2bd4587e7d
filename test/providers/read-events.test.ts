// What becomes of validly signed bodies that are odd (reliability.md B18 to B38).
import { createHash } from 'node:crypto';
import t from 'tap';
import { maxFormFields } from '../../src/providers/body/form.ts';
import {
  type EventDraft,
  maxEventsPerDelivery,
  type Provider,
  providers,
  readDrafts,
  verifyDelivery,
} from '../../src/providers/index.ts';
import { cpuMs, fixedNow, makeSigned, makeSource, secretOf } from './deliveries.ts';

const { github, mailchimp, meta, sendgrid, shopify, slack, standardWebhooks, stripe } = {
  ...providers,
  standardWebhooks: providers['standard-webhooks'],
};
const stripeSource = makeSource(stripe, 'whsec_5f3d1c0a9b8e7f6d5c4b3a2918070605');
const githubSource = makeSource(github, 'a-secret-of-sixteen');

function read(
  body: string | Buffer,
  source = stripeSource,
  headers: Record<string, string> = {},
): EventDraft {
  const distinct = Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, [value]]));
  const delivery = {
    method: 'POST',
    url: '/',
    headers: distinct,
    body: Buffer.from(body),
    receivedAt: fixedNow,
  };
  const events = readDrafts(source, delivery);
  t.equal(events.length, 1);
  const [event] = events;
  if (!event) throw new Error('no event');
  return event;
}

const sha256 = (data: string | Buffer) => createHash('sha256').update(data).digest('hex');

t.test('a body that jsonb holds is kept as the text that was sent', (t) => {
  const text = ' { "id" : "evt_1", "type":"a.b", "n": 2.00, "big": 12345678901234567890, "x": 1e400 }\r\n';
  const event = read(text);
  t.match(event, { eventId: 'evt_1', topic: 'a.b', payloadText: text, payloadError: null, rawBody: null });
  t.equal(event.bodySha256.toString('hex'), sha256(text));
  t.end();
});

t.test('what jsonb refuses is kept as bytes, with the reason, and still has its id', (t) => {
  const refused: [string, string | Buffer, string][] = [
    ['nul', '{"id":"evt_1","type":"a.b","a":"\\u0000"}', 'evt_1'],
    ['nul', '{"id":"evt_1","type":"a.b","a":"x\\\\\\u0000"}', 'evt_1'],
    ['surrogate', '{"id":"evt_1","type":"a.b","a":"\\ud800"}', 'evt_1'],
    ['surrogate', '{"id":"evt_1","type":"a.b","a":"\\udc00\\ud800"}', 'evt_1'],
    ['surrogate', '{"id":"evt_1","type":"a.b","a":"\\ud800\\u0041"}', 'evt_1'],
    ['number', `{"id":"evt_1","type":"a.b","a":${'9'.repeat(200_000)}}`, 'evt_1'],
    ['number', '{"id":"evt_1","type":"a.b","a":1e-20000}', 'evt_1'],
    ['number', '{"id":"evt_1","type":"a.b","a":1E+131071}', 'evt_1'],
  ];
  for (const [error, body, id] of refused) {
    const event = read(body);
    t.match(event, { payloadText: null, payloadError: error, eventId: id, topic: 'a.b' }, error);
    t.ok(event.rawBody?.equals(Buffer.from(body)), 'the bytes are exact');
  }
  t.equal(
    read('{"id":"evt_1","a":"\\\\u0000 \\ud83d\\ude00"}').payloadError,
    null,
    'an escaped backslash is no escape',
  );
  t.end();
});

t.test('what nobody can read has the hash of the bytes for an id', (t) => {
  const unreadable: [string, string | Buffer][] = [
    ['malformed', '{"a":'],
    ['malformed', '{"a":1,}'],
    ['malformed', '{"a":NaN}'],
    ['malformed', '{"a":1} // why'],
    ['malformed', '{"a":1}{"b":2}'],
    ['malformed', '<xml/>'],
    ['nul', '{"a":"\0"}'],
    ['nul', Buffer.from('{"a":1}', 'utf16le')],
    ['utf8', Buffer.from([0x22, 0xff, 0xfe, 0x22])],
    ['utf8', Buffer.from([0x22, 0xc0, 0xaf, 0x22])],
    ['utf8', Buffer.from([0x22, 0xed, 0xa0, 0x80, 0x22])],
    ['empty', ''],
    ['empty', '\ufeff'],
  ];
  for (const [error, body] of unreadable) {
    const event = read(body);
    t.match(event, { payloadText: null, payloadError: error, topic: 'unknown', occurredAt: null });
    t.equal(event.eventId, `sha256:${sha256(Buffer.from(body))}`);
    t.ok(event.rawBody?.equals(Buffer.from(body)));
  }
  t.end();
});

t.test('two different invalid byte strings are two events', (t) => {
  t.not(read(Buffer.from([0xff])).eventId, read(Buffer.from([0xfe])).eventId);
  t.end();
});

t.test('nesting beyond 200 is found before any parser sees it, within 20 ms', (t) => {
  t.equal(read(`{"id":"evt_1","a":${'['.repeat(199)}${']'.repeat(199)}}`).payloadError, null);
  t.equal(read(`{"id":"evt_1","a":${'['.repeat(200)}${']'.repeat(200)}}`).payloadError, 'too_deep');
  t.ok(cpuMs(() => t.equal(read('['.repeat(1_000_000)).payloadError, 'too_deep')) < 20);
  t.equal(
    read(`{"id":"evt_1","a":"${'['.repeat(500)}"}`).payloadError,
    null,
    'brackets in a string are no nesting',
  );
  t.end();
});

t.test('a byte order mark is left out of the payload only', (t) => {
  const body = Buffer.from('\ufeff{"id":"evt_1","type":"a.b"}');
  t.match(read(body), { eventId: 'evt_1', payloadText: '{"id":"evt_1","type":"a.b"}', payloadError: null });
  t.equal(read(body).bodySha256.toString('hex'), sha256(body));
  t.end();
});

t.test('the last of two equal keys wins, as it does in jsonb', (t) => {
  t.match(read('{"id":"a","type":"x","id":"b","type":"y"}'), { eventId: 'b', topic: 'y' });
  t.end();
});

t.test('keys of the prototype are keys like any other', (t) => {
  const event = read(
    '{"id":"evt_1","type":"a","__proto__":{"polluted":1},"constructor":{"prototype":{"polluted":1}}}',
  );
  t.equal(event.payloadError, null);
  t.equal(({} as { polluted?: number }).polluted, undefined);
  t.equal(read('{"__proto__":{"id":"evt_1"}}').eventId.startsWith('sha256:'), true, 'nothing is inherited');
  t.end();
});

t.test('any JSON value is stored, object or not', (t) => {
  for (const body of ['null', '[]', '"x"', '1', 'true', '{}'])
    t.match(read(body), { payloadText: body, payloadError: null, topic: 'unknown' });
  t.end();
});

t.test('ids are never cut, folded or rounded', (t) => {
  const idOf = (id: string) => read(JSON.stringify({ id })).eventId;
  t.equal(idOf('x'.repeat(255)), 'x'.repeat(255));
  t.equal(idOf('x'.repeat(256)), `sha256:${sha256('x'.repeat(256))}`);
  t.equal(idOf('a\0b'), `sha256:${sha256('a\0b')}`);
  for (const id of ['a\nb', 'a ', 'Aa', '🔔', 'é'.normalize('NFC'), 'é'.normalize('NFD')])
    t.equal(idOf(id), id);
  t.not(idOf('\ud800'), idOf('\ud801'), 'lone surrogates are told apart');
  t.not(read('{"id":"\\ud800"}').eventId, read('{"id":"\\ud801"}').eventId);
  t.equal(read('{"id":12345678901234567890}').eventId, '12345678901234567890', 'a 64-bit number as written');
  t.equal(read('{"id":7}').eventId, '7');
  for (const body of ['{"id":""}', '{"id":null}', '{"id":{}}', '{"id":true}', '{"x":1}'])
    t.equal(read(body).eventId, `sha256:${sha256(body)}`, body);
  t.end();
});

t.test('an unsigned id header that came twice is not used', (t) => {
  const delivery = { method: 'POST', url: '/', body: Buffer.from('{}'), receivedAt: fixedNow };
  const headers = { 'x-github-delivery': ['a', 'b'], 'x-github-event': ['ping'] };
  t.match(readDrafts(githubSource, { ...delivery, headers }), [{ eventId: /^sha256:/, topic: 'ping' }]);
  const two = { 'x-shopify-webhook-id': ['a', 'b'], 'shopify-webhook-id': ['c'] };
  const source = makeSource(shopify, 'a-secret-of-sixteen');
  t.match(readDrafts(source, { ...delivery, headers: two }), [{ eventId: /^sha256:/ }], 'nor got round');
  t.end();
});

t.test('topics lose NUL, are cut at 200 characters, and are never empty', (t) => {
  const topicOf = (type: unknown) => read(JSON.stringify({ type })).topic;
  t.equal(topicOf('a\0b'), 'ab');
  t.equal(topicOf('x'.repeat(5000)), 'x'.repeat(200));
  t.equal(topicOf(`${'x'.repeat(199)}🔔`).isWellFormed(), true, 'no half of a pair is left');
  for (const type of ['', '\0', null, {}, undefined]) t.equal(topicOf(type), 'unknown');
  t.equal(topicOf("a;b%'\u001b[31m"), "a;b%'\u001b[31m", 'odd characters are for the readers to escape');
  t.end();
});

t.test('a time that cannot be is no time', (t) => {
  const at = (created: unknown) => read(JSON.stringify({ created })).occurredAt?.toISOString() ?? null;
  t.equal(at(1686089970), '2023-06-06T22:19:30.000Z');
  t.equal(at('1686089970'), '2023-06-06T22:19:30.000Z');
  for (const created of [0, -1, 1.5, 1e18, 99999999999, 'yesterday', null, {}, 1686089970123])
    t.equal(at(created), null);
  const iso = (timestamp: string) =>
    read(JSON.stringify({ timestamp }), makeSource(standardWebhooks, 'whsec_')).occurredAt?.toISOString() ??
    null;
  t.equal(iso('2026-11-20T10:00:00.123456789-05:00'), '2026-11-20T15:00:00.123Z');
  for (const timestamp of ['2026-11-20T10:00:00', '2026-11-20', 'x', '2026-13-40T99:00:00Z'])
    t.equal(iso(timestamp), null);
  t.end();
});

t.test('a form becomes an object', (t) => {
  const source = makeSource(mailchimp, 'a-secret-of-sixteen');
  const form = { 'content-type': 'application/x-www-form-urlencoded; charset=utf-8' };
  const event = read(
    'type=a&data[x][y]=1&data[x][z]=%C3%A9+2&tag=1&tag=2&data[__proto__][q]=3',
    source,
    form,
  );
  t.equal(
    event.payloadText,
    '{"type":"a","data":{"x":{"y":"1","z":"é 2"},"__proto__":{"q":"3"}},"tag":["1","2"]}',
  );
  t.equal(event.topic, 'a');
  t.equal(read('type=a&x=%00', source, form).payloadError, 'nul');
  t.equal(read('type=a&x=%ff', source, form).payloadError, 'utf8');
  t.equal(read('type=a&x=%zz%4', source, form).payloadText, '{"type":"a","x":"%zz%4"}');
  t.equal(read('type=a&type=b', source, form).topic, 'unknown', 'a doubled field names no topic');
  t.end();
});

t.test('a form field that holds JSON is the payload', (t) => {
  const source = makeSource(slack, 'a-secret-of-sixteen');
  const form = { 'content-type': 'application/x-www-form-urlencoded' };
  const event = read(`payload=${encodeURIComponent('{"type": "block_actions","n":2.00}')}`, source, form);
  t.match(event, { topic: 'block_actions', payloadText: '{"type": "block_actions","n":2.00}' });
  t.equal(read('payload={', source, form).payloadError, 'malformed');
  t.end();
});

t.test('where the fields of a form are signed, its other spellings are the same event', (t) => {
  const twilio = makeSource(providers.twilio, 'a-secret-of-sixteen');
  const form = { 'content-type': 'application/x-www-form-urlencoded' };
  const spellings = ['Body=a+b&From=%2B1', 'From=%2b1&Body=a%20b', 'From=%2B1&Bod=ya+b'];
  const hashes = spellings.map((body) => read(body, twilio, form).bodySha256.toString('hex'));
  t.equal(new Set(hashes).size, 1, 'the guard against replay knows them all');
  t.not(read('Body=a&From=%2B1', twilio, form).bodySha256.toString('hex'), hashes[0]);
  const slackSource = makeSource(slack, 'a-secret-of-sixteen');
  const raw = spellings.map((body) => read(body, slackSource, form).bodySha256.toString('hex'));
  t.equal(new Set(raw).size, 3, 'where the bytes are signed, the bytes count');
  t.end();
});

t.test('the time for a body of many keys grows with the body at most', (t) => {
  const costMs = (count: number) => {
    const keys = Array.from({ length: count }, (_, index) => `"k${index}":{"a":1}`).join(',');
    const body = `{"id":"evt_1",${keys}}`;
    return Math.min(...[1, 2, 3].map(() => cpuMs(() => t.equal(read(body).eventId, 'evt_1'))));
  };
  const [half, whole] = [costMs(30_000), costMs(60_000)];
  t.ok(whole < 100 || whole < 2.5 * half, `${half} ms, then ${whole} ms of CPU time`);
  t.end();
});

function readAll(body: string, provider: Provider = sendgrid): EventDraft[] {
  const delivery = { method: 'POST', url: '/', headers: {}, body: Buffer.from(body), receivedAt: fixedNow };
  return readDrafts(makeSource(provider, 'x'), delivery);
}

t.test('each event of a batch has its own id, text and hash', (t) => {
  const events = readAll(
    '[{"sg_event_id":"a","event":"open"}, {"sg_event_id":"b","event":"click","n":2.00}]',
  );
  t.match(events, [
    { eventId: 'a', topic: 'open', payloadText: '{"sg_event_id":"a","event":"open"}', rawBody: null },
    { eventId: 'b', topic: 'click', payloadText: '{"sg_event_id":"b","event":"click","n":2.00}' },
  ]);
  for (const event of events) t.equal(event.bodySha256.toString('hex'), sha256(event.payloadText ?? ''));
  t.end();
});

t.test('numbers of a batch are kept as they were written', (t) => {
  const [event] = readAll(
    '[{"sg_event_id":12345678901234567890,"x":1e400,"y":-0,"z":0.1000000000000000055}]',
  );
  t.equal(event?.eventId, '12345678901234567890');
  t.equal(
    event?.payloadText,
    '{"sg_event_id":12345678901234567890,"x":1e400,"y":-0,"z":0.1000000000000000055}',
  );
  t.end();
});

t.test('an item that jsonb refuses does not take its neighbours with it', (t) => {
  t.match(readAll('[{"sg_event_id":"a","v":"\\u0000"},{"sg_event_id":"b"}]'), [
    {
      eventId: 'a',
      payloadText: null,
      payloadError: 'nul',
      rawBody: Buffer.from('{"sg_event_id":"a","v":"\\u0000"}'),
    },
    { eventId: 'b', payloadError: null },
  ]);
  t.end();
});

t.test('equal items without ids stay apart, under ids that a redelivery repeats', (t) => {
  const body = '[{"event":"open"},{"event":"open"},{"event":"open"}]';
  const ids = readAll(body).map((event) => event.eventId);
  const hash = sha256('{"event":"open"}');
  t.strictSame(ids, [`sha256:${hash}`, `sha256:${hash}:2`, `sha256:${hash}:3`]);
  t.strictSame(
    readAll(body).map((event) => event.eventId),
    ids,
  );
  t.end();
});

t.test('what is no batch, or an empty one, is one event', (t) => {
  for (const body of ['[]', '{"event":"x"}', 'null', '1', '[', ''])
    t.match(readAll(body), [{ eventId: `sha256:${sha256(body)}` }], body);
  t.match(readAll('[1,null,"x",[]]'), [
    { payloadText: '1' },
    { payloadText: 'null' },
    {},
    { payloadText: '[]' },
  ]);
  t.match(readAll('{"object":"page","entry":{}}', meta), [{ payloadText: '{"object":"page","entry":{}}' }]);
  t.match(readAll('{"object":"page","entry":[{"id":"1"},5]}', meta), [
    { payloadText: '{"object":"page","entry":[{"id":"1"}]}' },
    { payloadText: '{"object":"page","entry":[5]}' },
  ]);
  t.end();
});

t.test('a batch of a thousand is split; one beyond the cap is stored whole and marked', (t) => {
  const batch = (count: number) =>
    JSON.stringify(Array.from({ length: count }, (_, n) => ({ sg_event_id: `e${n}` })));
  t.equal(readAll(batch(1000)).length, 1000);
  t.equal(readAll(batch(maxEventsPerDelivery)).length, maxEventsPerDelivery);
  const over = batch(maxEventsPerDelivery + 1);
  const [event] = readAll(over);
  t.equal(event?.payloadText, null);
  t.equal(event?.payloadError, 'too_many');
  t.ok(event?.rawBody?.equals(Buffer.from(over)));
  t.end();
});

t.test('where bodies repeat, the signed time tells a replay under a new id from another event', (t) => {
  const { sanity } = providers;
  const source = makeSource(sanity, 'a-secret-of-sixteen');
  const event = (time: number, id?: string) =>
    read('{"_id":"a1"}', source, {
      'sanity-webhook-signature': `t=${time},v1=x`,
      ...(id === undefined ? {} : { 'idempotency-key': id }),
    });
  const first = event(1795420800123, 'one');
  t.match(first, { eventId: 'one', uniqueBody: true });
  t.strictSame(event(1795420800123, 'two').bodySha256, first.bodySha256, 'a replay');
  t.notSame(event(1795420800124, 'two').bodySha256, first.bodySha256, 'the same change, made again');
  t.not(event(1795420800124).eventId, event(1795420800123).eventId, 'without an id, too');
  t.end();
});

t.test('a form of too many fields is read by nobody, and one field may be as long as a body', async (t) => {
  const form = { 'content-type': 'application/x-www-form-urlencoded' };
  const slackSource = makeSource(slack, 'a-secret-of-sixteen');
  const fields = (count: number) => 'a=b&'.repeat(count).slice(0, -1);
  t.match(read(fields(maxFormFields), slackSource, form), { payloadError: null });
  const tooMany = read(fields(maxFormFields + 1), slackSource, form);
  t.match(tooMany, { payloadError: 'too_many', payloadText: null });
  t.equal(tooMany.rawBody?.length, fields(maxFormFields + 1).length, 'its bytes are kept: they are signed');

  const { mandrill } = providers;
  const events = JSON.stringify([{ _id: '1', event: 'open', ts: 1, msg: { text: 'x&='.repeat(150_000) } }]);
  const { source, delivery } = makeSigned(mandrill, {
    body: new URLSearchParams({ mandrill_events: events }).toString(),
  });
  t.ok(delivery.body.length > 1_000_000);
  t.match(await verifyDelivery(source, delivery), { ok: true });
  t.match(readDrafts(source, delivery), [{ eventId: '1:open:1', payloadError: null }]);
  // Signed field by field, so what is not read cannot be proven.
  const flooded = makeSigned(mandrill, { key: secretOf(mandrill, 1) }).delivery;
  const body = Buffer.concat([flooded.body, Buffer.from('&a'.repeat(maxFormFields))]);
  t.match(await verifyDelivery(source, { ...flooded, body }), {
    ok: false,
    reason: 'missing_header',
    detail: 'missing mandrill_events as the only field of a form',
  });
});
