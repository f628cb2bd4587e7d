// Providers that sign or send in more than one way: what each way lets through, and what must not come by the weaker one.
import { createHash, createHmac } from 'node:crypto';
import t from 'tap';
import { multipartBody, multipartToObject } from '../../src/providers/body/multipart.ts';
import {
  type Delivery,
  providers,
  queryAsForm,
  readDrafts,
  type Source,
  signDelivery,
  verifyDelivery,
} from '../../src/providers/index.ts';
import { fixedNow, fixturesOf, makeSigned, makeSource, readFixture, withHeaders } from './deliveries.ts';

const { box, brevo, buildkite, docusign, hubspot, mailgun, meta, mollie, netlify, paypal, polar } = providers;
const { revenuecat, segment, sentry, telegram, twilio } = providers;
const ownSecret = 'a-secret-of-sixteen';

const reasonOf = async (source: Source, delivery: Delivery) => {
  const verdict = await verifyDelivery(source, delivery);
  return verdict.ok ? 'ok' : verdict.reason;
};
const fixtureOf = (name: string) => {
  const { fixture, delivery } = readFixture(name);
  const provider = providers[name.split('.')[0] as keyof typeof providers];
  const webhookUrl = fixture.webhookUrl === undefined ? {} : { webhookUrl: fixture.webhookUrl };
  return { source: { ...makeSource(provider, fixture.secret), ...webhookUrl } as Source, delivery };
};
const idsOf = (source: Source, delivery: Delivery) =>
  readDrafts(source, delivery).map(({ eventId }) => eventId);

t.test('every further fixture belongs to a provider', (t) => {
  const named = Object.keys(providers).flatMap(fixturesOf);
  t.ok(named.filter((name) => name.includes('.')).length >= 15);
  for (const name of Object.keys(providers)) t.ok(named.includes(name), name);
  t.end();
});

t.test('Polar: a whsec_ signs with its text or with what it encodes, any other with its text', async (t) => {
  const body = '{"type":"order.paid"}';
  const seconds = String(fixedNow.getTime() / 1000);
  const send = (key: string | Buffer): Delivery => {
    const mac = createHmac('sha256', key).update(`msg_1.${seconds}.${body}`).digest('base64');
    const headers = {
      'webhook-id': ['msg_1'],
      'webhook-timestamp': [seconds],
      'webhook-signature': [`v1,${mac}`],
    };
    return { method: 'POST', url: '/', headers, body: Buffer.from(body), receivedAt: fixedNow };
  };
  const encoded = Buffer.from('0123456789abcdef0123456789abcdef').toString('base64');
  const whsec = makeSource(polar, `whsec_${encoded}`);
  t.equal(await reasonOf(whsec, send(`whsec_${encoded}`)), 'ok');
  t.equal(await reasonOf(whsec, send(Buffer.from(encoded, 'base64'))), 'ok');
  t.equal(await reasonOf(whsec, send(encoded)), 'wrong_signature');
  t.equal(await reasonOf(whsec, send('')), 'wrong_signature');
  const old = makeSource(polar, encoded);
  t.equal(await reasonOf(old, send(encoded)), 'ok');
  t.equal(await reasonOf(old, send(Buffer.from(encoded, 'base64'))), 'wrong_signature');
  const odd = makeSource(polar, 'whsec_no base64 at all!');
  t.equal(await reasonOf(odd, send('whsec_no base64 at all!')), 'ok');
  t.equal(await reasonOf(odd, send('x')), 'wrong_signature', 'and never 503 for want of a second key');
  const { headers } = signDelivery(whsec, {
    topic: 'order.paid',
    body,
    now: fixedNow,
    url: 'http://h/',
    id: 'msg_1',
  });
  t.equal(
    headers['webhook-signature'],
    send(Buffer.from(encoded, 'base64')).headers['webhook-signature']?.[0],
  );
});

t.test('Box: a signature of another algorithm or version is refused, or of none', async (t) => {
  const { source, delivery } = makeSigned(box);
  t.equal(await reasonOf(source, delivery), 'ok');
  for (const name of ['box-signature-version', 'box-signature-algorithm']) {
    for (const other of ['2', 'HmacSHA1', 'hmacsha256', '1.0', ''])
      t.not(await reasonOf(source, withHeaders(delivery, { [name]: [other] })), 'ok', `${name} ${other}`);
    t.equal(await reasonOf(source, withHeaders(delivery, { [name]: undefined })), 'missing_header');
  }
});

t.test(
  'DocuSign: any of a hundred numbered headers may hold our signature, none may come twice',
  async (t) => {
    const { source, delivery } = makeSigned(docusign);
    const own = delivery.headers['x-docusign-signature-1'];
    const at = (number: number, value = own) =>
      withHeaders(delivery, {
        'x-docusign-signature-1': undefined,
        [`x-docusign-signature-${number}`]: value,
      });
    for (const number of [1, 2, 11, 37, 100])
      t.equal(await reasonOf(source, at(number)), 'ok', String(number));
    t.equal(await reasonOf(source, at(101)), 'missing_header');
    t.equal(await reasonOf(source, at(0)), 'missing_header');
    t.equal(await reasonOf(source, at(50, [own?.[0] ?? '', own?.[0] ?? ''])), 'repeated_header');
    const verdict = await verifyDelivery(
      source,
      withHeaders(delivery, { 'x-docusign-signature-1': undefined }),
    );
    t.match(verdict, { detail: 'missing x-docusign-signature-1 to x-docusign-signature-100' });
  },
);

t.test(
  'HubSpot: v3 decides where it is sent, and no hash with the secret in front can be made longer',
  async (t) => {
    const { source, delivery } = fixtureOf('hubspot.v1');
    t.equal(await reasonOf(source, delivery), 'ok');
    const beside = withHeaders(delivery, { 'x-hubspot-signature-v3': ['AAAA'] });
    t.equal(await reasonOf(source, beside), 'missing_header', 'a v3 beside it has to hold');
    const { headers } = makeSigned(hubspot).delivery;
    const v3 = makeSigned(hubspot);
    const stripped = withHeaders(v3.delivery, { 'x-hubspot-signature-v3': undefined });
    t.equal(await reasonOf(v3.source, stripped), 'missing_header');
    t.ok(headers['x-hubspot-signature-v3']);

    // By the secret itself, so that only the shape of the body can be what refuses.
    const [secret = ''] = source.secrets;
    const hashed = (body: Buffer) =>
      withHeaders(
        { ...delivery, body },
        { 'x-hubspot-signature': [createHash('sha256').update(secret).update(body).digest('hex')] },
      );
    t.equal(await reasonOf(source, hashed(Buffer.from('[{"eventId":1}]'))), 'ok');
    const padded = Buffer.concat([
      delivery.body,
      Buffer.from([0x80, 0, 0, 0]),
      Buffer.from('[{"eventId":2}]'),
    ]);
    t.equal(await reasonOf(source, hashed(padded)), 'wrong_signature', 'as a longer hash would need it');
    const asBody = Buffer.from(`POST${source.webhookUrl}[]`);
    t.equal(await reasonOf(source, hashed(asBody)), 'wrong_signature', 'a v2 told as a v1');
  },
);

t.test('Twilio: the port may differ from the one configured, and nothing else', async (t) => {
  const sign = (signedUrl: string) => {
    const mac = createHmac('sha1', ownSecret).update(`${signedUrl}CallSidCA1`).digest('base64');
    const headers = {
      'content-type': ['application/x-www-form-urlencoded'],
      'x-twilio-signature': [mac],
    };
    return { method: 'POST', url: '/t', headers, body: Buffer.from('CallSid=CA1'), receivedAt: fixedNow };
  };
  const verify = (webhookUrl: string, signedUrl: string) =>
    reasonOf({ ...makeSource(twilio, ownSecret), webhookUrl }, sign(signedUrl));
  for (const [configured, signed, expected] of [
    ['https://h.example/t', 'https://h.example:443/t', 'ok'],
    ['https://h.example:443/t?a=1', 'https://h.example/t?a=1', 'ok'],
    ['https://h.example:8443/t', 'https://h.example/t', 'ok'],
    ['http://h.example/t', 'http://h.example:80/t', 'ok'],
    ['https://u:p@h.example/t?at=a:1', 'https://u:p@h.example:443/t?at=a:1', 'ok'],
    ['https://[::1]/t', 'https://[::1]:443/t', 'ok'],
    ['https://[::1]:8443/t', 'https://[::1]/t', 'ok'],
    ['https://h.example/t', 'https://h.example:80/t', 'wrong_signature'],
    ['https://h.example/t', 'https://h.example:8443/t', 'wrong_signature'],
    ['https://h.example/t', 'http://h.example/t', 'wrong_signature'],
    ['https://h.example/t', 'https://other.example/t', 'wrong_signature'],
    ['https://h.example/t:1', 'https://h.example/t', 'wrong_signature'],
  ] as const)
    t.equal(await verify(configured, signed), expected, `${configured} signed as ${signed}`);
});

t.test(
  'Twilio by GET: the query is the event, and no other kind of delivery can be told as one',
  async (t) => {
    const webhookUrl = 'https://h.example/t?a=1';
    const source = { ...makeSource(twilio, ownSecret), webhookUrl };
    const get = (query: string, signed = `https://h.example/t?${query}`) => {
      const mac = createHmac('sha1', ownSecret).update(signed).digest('base64');
      const headers = { 'x-twilio-signature': [mac], 'i-twilio-idempotency-token': ['token-1'] };
      return { method: 'GET', url: `/t?${query}`, headers, body: Buffer.alloc(0), receivedAt: fixedNow };
    };
    const verify = (delivery: Delivery, from: Source = source) => reasonOf(from, queryAsForm(delivery));
    const call = get('a=1&CallSid=CA1&CallStatus=ringing&From=%2B1500');
    t.equal(await verify(call), 'ok');
    t.match(readDrafts(source, queryAsForm(call)), [
      {
        eventId: 'token-1',
        topic: 'call.ringing',
        payloadText: '{"a":"1","CallSid":"CA1","CallStatus":"ringing","From":"+1500"}',
      },
    ]);
    const [one, two] = [call, get('a=1&CallSid=CA2&CallStatus=ringing')].map(
      (delivery) => readDrafts(source, queryAsForm(delivery))[0]?.bodySha256,
    );
    t.notSame(one, two, 'two calls are no replays of one another, though neither has a body');
    const relabelled = withHeaders(call, { 'content-type': ['application/json'] });
    t.same(readDrafts(source, queryAsForm(relabelled))[0]?.bodySha256, one, 'whatever type it claims to be');
    t.equal(await verify(get('a=1&CallSid=CA2', 'https://h.example/t?a=1&CallSid=CA1')), 'wrong_signature');
    t.equal(
      await reasonOf(source, { ...call, body: Buffer.from('CallSid=CA9') }),
      'wrong_signature',
      'a body',
    );
    t.equal(await verify(get('a=2&CallSid=CA1')), 'wrong_signature', 'another URL');
    // A form is signed as URL and fields run together: told as a query, they would be one long field.
    t.equal(await verify(get('a=1CallSidCA1')), 'wrong_signature', 'the signature of a form');
    const json = 'a=1&bodySHA256=e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855';
    t.equal(await verify(get(json)), 'wrong_signature', 'the signature of a JSON delivery');
    const plain = { ...source, webhookUrl: 'https://h.example/t' };
    t.equal(await verify(get('CallSid=CA1'), plain), 'ok');
    t.equal(await verify(get('CallSid=CA1', 'https://h.example:443/t?CallSid=CA1'), plain), 'ok');
  },
);

t.test('Mollie: a token takes the bare id of a payment and nothing else', async (t) => {
  const token = 'token_0123456789abcdef';
  const source = makeSource(mollie, token, 'mollie-signing-secret-01');
  const send = (body: string, url = `/m?token=${token}`, headers: Delivery['headers'] = {}): Delivery => ({
    ...{ method: 'POST', url, headers, receivedAt: fixedNow },
    body: Buffer.from(body),
  });
  t.equal(await reasonOf(source, send('id=tr_7UhSN1zuXS')), 'ok');
  t.not(await reasonOf(source, send('id=tr_7UhSN1zuXS', '/m?token=token_0123456789abcdeg')), 'ok');
  t.not(
    await reasonOf(source, send('id=tr_7UhSN1zuXS', '/m?token=mollie-signing-secret-01')),
    'ok',
    'the secret',
  );
  t.not(await reasonOf(source, send('id=tr_7UhSN1zuXS', '/m')), 'ok');
  const event = '{"resource":"event","id":"event_1","type":"payment-link.paid"}';
  for (const body of [
    event,
    ` ${event}`,
    'id=tr_1&type=payment-link.paid',
    'id=',
    '',
    'id=tr_1%26',
    'id=tr_1\n',
  ])
    t.not(await reasonOf(source, send(body)), 'ok', JSON.stringify(body));
  const signedByToken = createHmac('sha256', token).update(event).digest('hex');
  const headers = { 'x-mollie-signature': [`sha256=${signedByToken}`] };
  t.not(await reasonOf(source, send(event, `/m?token=${token}`, headers)), 'ok', 'signed with the token');
  const right = createHmac('sha256', 'mollie-signing-secret-01').update(event).digest('hex');
  const both = { 'x-mollie-signature': [`sha256=${'0'.repeat(64)}`, right] };
  t.equal(await reasonOf(source, send(event, '/m', both)), 'ok');

  const later = { ...send('id=tr_7UhSN1zuXS'), receivedAt: new Date(fixedNow.getTime() + 60_000) };
  const changes = [send('id=tr_7UhSN1zuXS'), later].map((delivery) => readDrafts(source, delivery)[0]);
  t.match(changes, [{ topic: 'classic.tr' }, { topic: 'classic.tr' }]);
  t.not(changes[0]?.eventId, changes[1]?.eventId, 'each change of a payment is an event');
  t.equal(mollie.secret.check(token), undefined);
  t.match(mollie.secret.check('token_short'), /shorter/);
  t.match(mollie.secret.check('token_with blank 0123456789'), /blank/);
});

t.test(
  'Mailgun: a mail keeps its id under another token, and its sender cannot say what it is',
  async (t) => {
    const source = makeSource(mailgun, ownSecret);
    const seconds = fixedNow.getTime() / 1000;
    const send = (token: string, more: Record<string, string> = {}) => {
      const signature = createHmac('sha256', ownSecret).update(`${seconds}${token}`).digest('hex');
      const fields = { recipient: 'a@b.example', 'body-plain': 'Ring', 'Message-Id': '<1@x>', ...more };
      const body = new URLSearchParams({
        ...fields,
        timestamp: String(seconds),
        token,
        signature,
      }).toString();
      const headers = { 'content-type': ['application/x-www-form-urlencoded'] };
      return { method: 'POST', url: '/', headers, body: Buffer.from(body), receivedAt: fixedNow };
    };
    const [first, again, other] = [send('t1'), send('t2'), send('t3', { recipient: 'c@d.example' })];
    for (const delivery of [first, again, other]) t.equal(await reasonOf(source, delivery), 'ok');
    t.same(idsOf(source, again), idsOf(source, first));
    t.notSame(idsOf(source, other), idsOf(source, first), 'another recipient');
    t.notSame(
      idsOf(source, send('t4', { 'body-plain': 'Ring!' })),
      idsOf(source, first),
      'the same Message-Id again',
    );
    const posing = send('t5', {
      event: 'delivered',
      'event-data': '{"event":"delivered","id":"x"}',
      'event-data.event': 'y',
    });
    t.equal(await reasonOf(source, posing), 'ok');
    t.match(readDrafts(source, posing), [{ topic: 'inbound', eventId: /^mail:/ }]);
    const replaced = { ...first, body: Buffer.from(first.body.toString().replace('Ring', 'Rung')) };
    const [genuine, forged] = [first, replaced].map((delivery) => readDrafts(source, delivery)[0]);
    t.same(forged?.bodySha256, genuine?.bodySha256, 'a second mail beside one token counts as a replay');
    t.match(genuine, { uniqueBody: true });
    t.equal(
      await reasonOf(source, send('t1', { token: 'x' })),
      'ok',
      'the last field of a name is ours to set',
    );
    const twice = { ...first, body: Buffer.from(`token=t9&${first.body}`) };
    t.equal(await reasonOf(source, twice), 'missing_header', 'two tokens');
  },
);

t.test('a multipart form with files is read whole, or not at all', (t) => {
  const read = (body: Buffer | string) =>
    multipartToObject({
      headers: { 'content-type': ['multipart/form-data; boundary=B'] },
      body: Buffer.from(body as string),
    });
  const part = (head: string, text: string) =>
    `--B\r\nContent-Disposition: form-data; ${head}\r\n\r\n${text}\r\n`;
  const end = '--B--\r\n';
  t.same(read(part('name="a"', '1') + part('name="a"', '2') + part('name="ü"', 'ö') + end), {
    a: ['1', '2'],
    ü: 'ö',
  });
  t.same(read(part('name="f"; filename="ä.txt"', 'x') + end), { f: { filename: 'ä.txt', base64: 'eA==' } });
  t.same(Object.entries(read(part('name="__proto__"', '1') + end) ?? {}), [['__proto__', '1']]);
  t.equal(read(part('filename="a"', '1') + end), undefined, 'without a name');
  t.equal(read(part('name="a"', '1').repeat(1_001) + end), undefined, 'too many');
  t.equal(Object.keys(read(part('name="a"', '1').repeat(1_000) + end) ?? {}).length, 1);
  t.equal(read(''), undefined);
  const { body, contentType } = multipartBody('json', '{}');
  t.same(multipartToObject({ headers: { 'content-type': [contentType] }, body }), { json: '{}' });
  t.end();
});

t.test('Meta: a batch that is cut anew and sent later has the same ids', (t) => {
  const message = (id: string) => ({ id, timestamp: '1795420790', type: 'text', text: { body: 'Ring' } });
  const status = (id: string, to: string) => ({ id, status: to, timestamp: '1795420791', recipient_id: '1' });
  const body = (time: number, ...values: object[]) =>
    JSON.stringify({
      object: 'whatsapp_business_account',
      entry: [{ id: '10', time, changes: values.map((value) => ({ field: 'messages', value })) }],
    });
  const contacts = [{ wa_id: '1' }];
  const read = (text: string) => {
    const { source, delivery } = makeSigned(meta, { body: text });
    return readDrafts(source, delivery);
  };
  const together = read(
    body(1, {
      contacts,
      messages: [message('m1'), message('m2')],
      statuses: [status('s1', 'sent'), status('s1', 'read')],
    }),
  );
  const apart = [
    ...read(body(2, { contacts, messages: [message('m1')] }, { contacts, messages: [message('m2')] })),
    ...read(body(3, { contacts, statuses: [status('s1', 'sent')] })),
    ...read(body(4, { contacts, statuses: [status('s1', 'read')] })),
  ];
  t.same(
    apart.map(({ eventId }) => eventId),
    together.map(({ eventId }) => eventId),
  );
  t.equal(new Set(together.map(({ eventId }) => eventId)).size, 4);
  t.match(
    together.map(({ payloadText }) => JSON.parse(payloadText ?? '').entry[0].changes[0].value),
    [
      { contacts, messages: [{ id: 'm1' }] },
      { messages: [{ id: 'm2' }] },
      { statuses: [{ status: 'sent' }] },
      { statuses: [{ status: 'read' }] },
    ],
    'each in a body of its own, nothing of another in it',
  );
  t.notOk(together.some(({ payloadText }) => /messages":.*statuses":/.test(payloadText ?? '')));
  t.equal(
    read(body(5, { contacts, messages: [], errors: [{ code: 1 }] })).length,
    1,
    'a change without either',
  );
  t.end();
});

t.test('PayPal: a transmission is good for one event, since only a checksum of it is signed', (t) => {
  const { source, delivery } = makeSigned(paypal);
  const forged = delivery.body.toString().replace(/"id":"WH-[^"]*"/, '"id":"WH-FORGED"');
  const [genuine, second] = [delivery, { ...delivery, body: Buffer.from(forged) }].map(
    (one) => readDrafts(source, one)[0],
  );
  t.match(genuine, { uniqueBody: true });
  t.match(second, { eventId: 'WH-FORGED', uniqueBody: true });
  t.same(second?.bodySha256, genuine?.bodySha256, 'it counts as a replay');
  const next = readDrafts(source, makeSigned(paypal).delivery)[0];
  t.notSame(next?.bodySha256, genuine?.bodySha256);
  t.end();
});

t.test('Sentry: a retry has another Request-ID and is the same event', (t) => {
  const { source, delivery } = makeSigned(sentry);
  const retry = withHeaders(delivery, { 'request-id': ['another'], 'sentry-hook-timestamp': ['1795420999'] });
  t.same(idsOf(source, retry), idsOf(source, delivery));
  t.notSame(idsOf(source, makeSigned(sentry).delivery), idsOf(source, delivery));
  t.end();
});

t.test(
  'RevenueCat and Buildkite: a signature that was sent has to hold, whatever stands beside it',
  async (t) => {
    for (const [provider, token, value] of [
      [revenuecat, 'authorization', ownSecret],
      [buildkite, 'x-buildkite-token', ownSecret],
    ] as const) {
      const { delivery } = makeSigned(provider, { key: { secret: ownSecret } });
      const source = makeSource(provider, ownSecret);
      const body = Buffer.from(delivery.body.toString().replace(/\d/, 'x'));
      t.equal(await reasonOf(source, delivery), 'ok');
      t.equal(await reasonOf(source, { ...delivery, body }), 'wrong_signature', 'another body');
      const beside = withHeaders({ ...delivery, body }, { [token]: [value] });
      t.equal(await reasonOf(source, beside), 'wrong_signature', 'and the token beside it is no way round');
      const [proof] = provider.scheme.proofHeaders;
      t.equal(
        await reasonOf(source, withHeaders(beside, { [proof ?? '']: undefined })),
        'ok',
        'the token alone',
      );
      t.equal(
        await reasonOf(source, withHeaders(delivery, { [proof ?? '']: undefined })),
        'missing_header',
        'neither',
      );
    }
  },
);

t.test('Netlify: only a token by HS256 of netlify, for this body; it bears no time', async (t) => {
  const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
  const body = '{"id":"5ebc34bf4fea0b01f02efa3a","state":"ready"}';
  const sha256 = createHash('sha256').update(body).digest('hex');
  const send = (claims: object, head: object = { alg: 'HS256' }): Delivery => {
    const signed = `${part(head)}.${part(claims)}`;
    const token = `${signed}.${createHmac('sha256', ownSecret).update(signed).digest('base64url')}`;
    const headers = { 'x-webhook-signature': [token] };
    return { method: 'POST', url: '/', headers, body: Buffer.from(body), receivedAt: fixedNow };
  };
  const source = makeSource(netlify, ownSecret);
  t.equal(await reasonOf(source, send({ iss: 'netlify', sha256 })), 'ok');
  t.equal(await reasonOf(source, send({ iss: 'netlify', sha256: '0'.repeat(64) })), 'wrong_signature');
  t.equal(await reasonOf(source, send({ iss: 'netlify' })), 'wrong_signature');
  t.equal(await reasonOf(source, send({ sha256 })), 'wrong_signature');
  t.equal(await reasonOf(source, send({ iss: 'netlify', sha256 }, { alg: 'none' })), 'malformed_signature');
  t.equal(netlify.scheme.freshness, undefined);
});

t.test('Segment: a batch, of which the first event alone is signed, is refused', async (t) => {
  const first = '{"messageId":"1","type":"track"}';
  const signature = createHmac('sha1', ownSecret).update(first).digest('hex');
  const send = (body: string): Delivery => ({
    method: 'POST',
    url: '/',
    headers: { 'x-signature': [signature] },
    body: Buffer.from(body),
    receivedAt: fixedNow,
  });
  const source = makeSource(segment, ownSecret);
  t.equal(await reasonOf(source, send(first)), 'ok');
  t.equal(await reasonOf(source, send(`[${first},{"messageId":"2","type":"track"}]`)), 'wrong_signature');
});

t.test('Telegram: the kind of an update is its other member, wherever that stands', (t) => {
  const { source, delivery } = makeSigned(telegram);
  const read = (body: string) => readDrafts(source, { ...delivery, body: Buffer.from(body) });
  t.match(read('{"update_id":7,"poll":{"id":"1"}}'), [{ eventId: '7', topic: 'poll' }]);
  t.match(read('{"message":null,"chat_member":{"date":1795428000},"update_id":7}'), [
    { topic: 'chat_member', occurredAt: new Date(1795428000_000) },
  ]);
  for (const body of ['{"update_id":7}', '[]', '3', 'null', ''])
    t.match(read(body), [{ topic: 'unknown' }], body);
  t.type(telegram.secret.check('with.a.dot.and.16.or.more'), 'string');
  t.type(telegram.secret.check('a'.repeat(257)), 'string');
  t.end();
});

t.test(
  'Brevo: a pair comes as basic auth, any other secret as Bearer; a list is an event each',
  async (t) => {
    const { source, delivery } = makeSigned(brevo, { key: { secret: 'brevo-token-0123456789' } });
    t.match(delivery.headers.authorization, ['Bearer brevo-token-0123456789']);
    const pair = makeSource(brevo, 'ada:brevo-token-0123456789');
    t.equal(await reasonOf(pair, delivery), 'wrong_signature');
    const basic = `Basic ${Buffer.from('ada:brevo-token-0123456789').toString('base64')}`;
    t.equal(await reasonOf(pair, withHeaders(delivery, { authorization: [basic] })), 'ok');
    const body = Buffer.from('[{"event":"opened","ts_event":1},{"event":"click","ts_event":2}]');
    t.match(readDrafts(source, { ...delivery, body }), [{ topic: 'opened' }, { topic: 'click' }]);
    t.end();
  },
);
