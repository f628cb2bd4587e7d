// Adyen, Contentful, Dropbox Sign and Mercado Pago: what their signatures cover, and what must not ride along.
import { createHmac } from 'node:crypto';
import t from 'tap';
import { multipartField } from '../../src/providers/body/multipart.ts';
import {
  answerHandshake,
  type Delivery,
  providers,
  readDrafts,
  signDelivery,
  verifyDelivery,
} from '../../src/providers/index.ts';
import { fixedNow, makeSigned, makeSource, readFixture, secretOf, withHeaders } from './deliveries.ts';

const { adyen, contentful, 'dropbox-sign': dropboxSign, mercadopago } = providers;
type Item = Record<string, unknown> & { amount: Record<string, unknown> };

const withBody = (delivery: Delivery, body: object | string): Delivery => ({
  ...delivery,
  body: Buffer.from(typeof body === 'string' ? body : JSON.stringify(body)),
});
const isAccepted = async (source: ReturnType<typeof makeSource>, delivery: Delivery) =>
  (await verifyDelivery(source, delivery)).ok;

t.test('Adyen: each of the eight fields is signed, in each item', async (t) => {
  const { fixture, delivery } = readFixture('adyen');
  const source = makeSource(adyen, fixture.secret);
  const items = (): Item[] =>
    JSON.parse(delivery.body.toString()).notificationItems.map(
      (entry: { NotificationRequestItem: Item }) => entry.NotificationRequestItem,
    );
  const send = (changed: unknown[]) =>
    withBody(delivery, {
      notificationItems: changed.map((NotificationRequestItem) => ({ NotificationRequestItem })),
    });
  t.ok(await isAccepted(source, send(items())));
  for (const index of [0, 1])
    for (const change of [
      { pspReference: '1' },
      { originalReference: '1' },
      { merchantAccountCode: 'Other' },
      { merchantReference: 'Bestellung:42' },
      { amount: { value: 1, currency: 'EUR' } },
      { amount: { value: 1130, currency: 'USD' } },
      { eventCode: 'CAPTURE' },
      { success: index === 0 ? 'false' : 'true' },
      { additionalData: {} },
      { pspReference: { toString: 'x' } },
    ]) {
      const changed = items().map((item, at) => (at === index ? { ...item, ...change } : item));
      t.notOk(await isAccepted(source, send(changed)), `${index} ${JSON.stringify(change)}`);
    }
  t.notOk(await isAccepted(source, send([])), 'no items');
  t.notOk(
    await isAccepted(source, send([...items(), { ...items()[0], additionalData: {} }])),
    'one unsigned rides along',
  );
  t.ok(await isAccepted(source, send([{ ...items()[0], reason: 'x' }])), 'other fields are not signed');
});

t.test('Adyen: a reference cannot be cut so that another field says something else', async (t) => {
  const key = secretOf(adyen);
  const source = makeSource(adyen, key.secret);
  const mac = (text: string) =>
    createHmac('sha256', Buffer.from(key.secret, 'hex')).update(text).digest('base64');
  const text = 'PSP::Shop:order:900:EUR:AUTHORISATION:true:100:EUR:AUTHORISATION:false';
  const item = (merchantReference: string, amount: object, rest: object) => ({
    notificationItems: [
      {
        NotificationRequestItem: {
          pspReference: 'PSP',
          merchantAccountCode: 'Shop',
          merchantReference,
          amount,
          ...rest,
          additionalData: { hmacSignature: mac(text) },
        },
      },
    ],
  });
  const delivery = makeSigned(adyen, { key }).delivery;
  const genuine = item(
    'order:900:EUR:AUTHORISATION:true',
    { value: 100, currency: 'EUR' },
    { eventCode: 'AUTHORISATION', success: 'false' },
  );
  t.ok(await isAccepted(source, withBody(delivery, genuine)));
  const shifted = item(
    'order',
    { value: 900, currency: 'EUR' },
    { eventCode: 'AUTHORISATION', success: 'true:100:EUR:AUTHORISATION:false' },
  );
  t.notOk(await isAccepted(source, withBody(delivery, shifted)));
});

t.test(
  'Adyen: a platform webhook is signed as a whole, and its header is no way round the items',
  async (t) => {
    const { source, delivery } = makeSigned(adyen, { topic: 'balancePlatform.transfer.created' });
    t.ok(await isAccepted(source, delivery));
    t.match(readDrafts(source, delivery), [{ topic: 'balancePlatform.transfer.created' }]);
    const payments = makeSigned(adyen).delivery;
    t.ok(await isAccepted(source, payments));
    const both = withHeaders(payments, { hmacsignature: ['AAAA'] });
    t.notOk(await isAccepted(source, both), 'a header that is there has to hold');
    t.match(await verifyDelivery(source, withHeaders(delivery, { hmacsignature: undefined })), {
      reason: 'missing_header',
    });
  },
);

t.test(
  'Contentful: the list of headers cannot be made shorter, and an unsigned topic does not count',
  async (t) => {
    const { source, delivery } = makeSigned(contentful, { topic: 'ContentManagement.Entry.publish' });
    const signedHeadersName = 'x-contentful-signed-headers';
    for (const list of [
      'x-contentful-timestamp',
      signedHeadersName,
      '',
      `${signedHeadersName},x-contentful-timestamp,${signedHeadersName}`,
      'a,'.repeat(60),
    ])
      t.notOk(await isAccepted(source, withHeaders(delivery, { [signedHeadersName]: [list] })), list);
    const changed = withHeaders(delivery, { 'x-contentful-topic': ['ContentManagement.Entry.unpublish'] });
    t.notOk(await isAccepted(source, changed));
    t.notOk(await isAccepted(source, { ...delivery, method: 'PUT' }));

    // Signed by the very secret, so that only the list can be what refuses.
    const signedOver = (...names: string[]) => {
      const list = names.join(',');
      const headerOf = (name: string) => (name === signedHeadersName ? list : delivery.headers[name]?.[0]);
      const pairs = names.map((name) => `${name}:${headerOf(name)}`).join(';');
      const text = `POST\n/api/webhooks/it?shop%253D1\n${pairs}\n${delivery.body}`;
      const mac = createHmac('sha256', source.secrets[0] ?? '')
        .update(text)
        .digest('hex');
      return withHeaders(delivery, { [signedHeadersName]: [list], 'x-contentful-signature': [mac] });
    };
    t.match(await verifyDelivery(source, signedOver(signedHeadersName)), {
      ok: false,
      detail: /does not name all headers/,
    });
    t.match(await verifyDelivery(source, signedOver('x-contentful-timestamp')), {
      ok: false,
      detail: /does not name all headers/,
    });
    t.match(await verifyDelivery(source, signedOver(signedHeadersName, 'x-contentful-topic')), {
      ok: false,
      detail: /does not name all headers/,
    });
    const few = signedOver(signedHeadersName, 'x-contentful-timestamp');
    t.ok(await isAccepted(source, few));
    t.equal(readDrafts(source, few)[0]?.topic, 'Entry', 'the topic came in a header that nobody signed');
    const all = signedOver(signedHeadersName, 'x-contentful-timestamp', 'x-contentful-topic');
    t.ok(await isAccepted(source, all));
    t.equal(readDrafts(source, all)[0]?.topic, 'ContentManagement.Entry.publish');
  },
);

t.test('Dropbox Sign: events of one type within a second have one hash, and ids of their own', (t) => {
  const key = secretOf(dropboxSign);
  const event = { event_type: 'signature_request_sent', event_time: '1795420799' };
  const [one, two] = ['a', 'b'].map((id) =>
    makeSigned(dropboxSign, {
      key,
      body: JSON.stringify({ event, signature_request: { signature_request_id: id } }),
    }),
  );
  const ids = [one, two].map((signed) => signed && readDrafts(signed.source, signed.delivery)[0]?.eventId);
  t.match(ids, [/:a$/, /:b$/]);
  t.equal(ids[0]?.split(':')[0], ids[1]?.split(':')[0]);
  t.end();
});

t.test('Dropbox Sign: the test of the URL is answered and no event', (t) => {
  const { source, delivery } = makeSigned(dropboxSign, { topic: 'callback_test' });
  t.match(answerHandshake(source, delivery, 'verified', 0), {
    status: 200,
    body: 'Hello API Event Received',
  });
  const event = makeSigned(dropboxSign).delivery;
  t.equal(answerHandshake(source, event, 'verified', 0), undefined);
  const talk = makeSigned(dropboxSign, {
    body: '{"event":{"event_type":"x","note":"callback_test"}}',
  }).delivery;
  t.equal(answerHandshake(source, talk, 'verified', 0), undefined);
  t.end();
});

t.test(
  'Mercado Pago: the id in the URL is signed in lower case, and parts that are not there are left out',
  async (t) => {
    const source = makeSource(mercadopago, 'a-secret-of-sixteen-characters');
    const [ts, id] = ['1742505638683', 'ABC1'];
    const send = (url: string, text: string, headers: Delivery['headers'] = {}): Delivery => {
      const mac = createHmac('sha256', source.secrets[0] ?? '')
        .update(text)
        .digest('hex');
      const signature = { 'x-signature': [`ts=${ts},v1=${mac}`] };
      return {
        method: 'POST',
        url,
        headers: { ...headers, ...signature },
        body: Buffer.from('{}'),
        receivedAt: fixedNow,
      };
    };
    const requestId = { 'x-request-id': ['r-1'] };
    t.ok(await isAccepted(source, send(`/h?data.id=${id}`, `id:abc1;request-id:r-1;ts:${ts};`, requestId)));
    t.ok(await isAccepted(source, send('/h', `request-id:r-1;ts:${ts};`, requestId)));
    t.ok(await isAccepted(source, send(`/h?data.id=${id}`, `id:abc1;ts:${ts};`)));
    t.notOk(
      await isAccepted(source, send(`/h?data.id=${id}`, `request-id:r-1;ts:${ts};`, requestId)),
      'an unsigned id added',
    );
    t.notOk(await isAccepted(source, send(`/h?data.id=${id}&data.id=2`, `id:abc1;ts:${ts};`)), 'two ids');
    t.notOk(await isAccepted(source, send(`/h?data.id=2`, `id:abc1;ts:${ts};`)), 'another id');
  },
);

t.test('Mercado Pago: what is sent carries the id in its URL', (t) => {
  const source = makeSource(mercadopago, 'a-secret-of-sixteen-characters');
  const wish = { topic: 'payment.created', now: fixedNow, body: '{"type":"payment","data":{"id":"7"}}' };
  const at = (url: string) => signDelivery(source, { ...wish, url }).url;
  t.equal(at('http://h/x'), 'http://h/x?data.id=7&type=payment');
  t.equal(at('http://h/x?a=1'), 'http://h/x?a=1&data.id=7&type=payment');
  t.equal(at('http://h/x?data.id=7'), 'http://h/x?data.id=7');
  t.end();
});

t.test('a field of a multipart form is read as it was sent, once or not at all', (t) => {
  const part = (name: string, text: string) =>
    `--B\r\nContent-Disposition: form-data; name="${name}"\r\n\r\n${text}\r\n`;
  const read = (body: string, type = 'multipart/form-data; boundary=B') =>
    multipartField({ headers: { 'content-type': [type] }, body: Buffer.from(body, 'latin1') }, 'json');
  const end = '--B--\r\n';
  t.equal(read(part('a', '1') + part('json', '{"b":"\r\n--Bx"}') + end), '{"b":"\r\n--Bx"}');
  t.equal(read(part('json', 'x') + end, 'multipart/form-data; charset=utf-8; boundary="B"'), 'x');
  t.equal(read(`preamble\r\n${part('json', 'x')}${end}`), 'x');
  t.equal(read(part('json', '') + end), '');
  t.equal(
    read(`--B\r\ncontent-disposition: form-data; filename="a"; name="json"\r\nx: y\r\n\r\nx\r\n${end}`),
    'x',
  );
  for (const [what, body] of Object.entries({
    twice: part('json', '1') + part('json', '2') + end,
    absent: part('other', '1') + end,
    cut: part('json', '1').slice(0, -4),
    'in the text before': `x${part('json', '1')}${end}`,
    empty: '',
    'not UTF-8': part('json', '\xff') + end,
  }))
    t.equal(read(body), undefined, what);
  t.equal(read(part('json', 'x') + end, 'application/json'), undefined);
  t.equal(read(part('json', 'x') + end, `multipart/form-data; boundary=${'b'.repeat(1_000)}`), undefined);
  t.end();
});
