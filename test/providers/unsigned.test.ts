// Providers that sign nothing (Microsoft Graph, CloudEvents, UPS): what is believed all the same, and what is answered.
import t from 'tap';
import {
  answerHandshake,
  type Delivery,
  providers,
  readDrafts,
  verifyDelivery,
} from '../../src/providers/index.ts';
import { fixedNow, makeSigned, makeSource, withHeaders } from './deliveries.ts';

const { asana, cloudevents, 'microsoft-graph': graph, ups } = providers;
const ownState = 'client-state-of-ours-0123';
const olderState = 'client-state-of-old-45678';

const request = (
  method: string,
  url: string,
  headers: Delivery['headers'] = {},
  body: unknown = '',
): Delivery => ({
  ...{ method, url, headers, receivedAt: fixedNow },
  body: Buffer.from(typeof body === 'string' ? body : JSON.stringify(body)),
});

t.test('Graph: every item must bear a secret of ours, whichever', async (t) => {
  const source = makeSource(graph, ownState, olderState);
  const verify = (value: unknown) => verifyDelivery(source, request('POST', '/', {}, { value }));
  t.match(await verify([{ clientState: ownState }, { clientState: olderState }]), { ok: true });
  t.match(await verify([{ clientState: ownState }, { clientState: `${olderState}x` }]), {
    reason: 'wrong_signature',
  });
  t.match(await verify([{ clientState: ownState }, {}]), { reason: 'missing_header' });
  t.match(await verify([{ clientState: ownState }, null]), { reason: 'missing_header' });
  t.match(await verify([{ clientState: [ownState] }]), { reason: 'missing_header' });
  for (const none of [[], {}, ownState, null, undefined])
    t.match(await verify(none), { reason: 'missing_header' });
});

t.test('Graph: the validation token is repeated as plain text, and nothing that could be markup', (t) => {
  const source = makeSource(graph, ownState);
  const ask = (query: string, method = 'POST') =>
    answerHandshake(source, request(method, `/api/webhooks/microsoft-graph?${query}`), 'unsigned');
  const token =
    'Validation%3a+Testing+client+application+reachability+for+subscription+Request-Id%3a+522a8e7e';
  t.match(ask(`validationToken=${token}`), {
    status: 200,
    contentType: 'text/plain; charset=utf-8',
    body: 'Validation: Testing client application reachability for subscription Request-Id: 522a8e7e',
    headers: { 'x-content-type-options': 'nosniff' },
  });
  for (const bad of ['%3Cscript%3E', 'a%0d%0ab', '', 'x'.repeat(1_025), '%ff', 'a&validationToken=b'])
    t.equal(ask(`validationToken=${bad}`), undefined, bad.slice(0, 20));
  t.equal(ask(`validationToken=${token}`, 'GET'), undefined);
  t.end();
});

t.test('Graph: what nothing tells apart is an event of its own, each time', (t) => {
  const source = makeSource(graph, ownState);
  const bare = {
    value: [{ clientState: ownState, subscriptionId: 's', changeType: 'updated', resource: 'r' }],
  };
  const idAt = (receivedAt: Date) =>
    readDrafts(source, { ...request('POST', '/', {}, bare), receivedAt })[0]?.eventId;
  t.not(idAt(fixedNow), idAt(new Date(fixedNow.getTime() + 1)));
  t.end();
});

t.test('CloudEvents: bearer header or query; a wrong header is not got round by the query', async (t) => {
  const source = makeSource(cloudevents, ownState);
  const verify = (url: string, authorization?: string[]) =>
    verifyDelivery(source, request('POST', url, authorization ? { authorization } : {}, '{}'));
  t.match(await verify('/', [`Bearer ${ownState}`]), { ok: true });
  t.match(await verify(`/?access_token=${ownState}`), { ok: true });
  t.match(await verify(`/?access_token=${ownState}`, ['Bearer wrong']), { reason: 'wrong_signature' });
  t.match(await verify('/', [ownState]), { reason: 'wrong_signature' });
  t.match(await verify('/'), { reason: 'missing_header' });
  t.strictSame(cloudevents.scheme.proofParams, ['access_token'], 'never logged');
});

t.test('CloudEvents: OPTIONS is answered to one host name, and to nothing else', (t) => {
  const source = makeSource(cloudevents, ownState);
  const ask = (...origins: string[]) =>
    answerHandshake(source, request('OPTIONS', '/', { 'webhook-request-origin': origins }), 'unsigned');
  t.match(ask('eventemitter.example.com'), {
    status: 200,
    body: '',
    headers: {
      'webhook-allowed-origin': 'eventemitter.example.com',
      'webhook-allowed-rate': '*',
      allow: 'POST, OPTIONS',
    },
  });
  for (const bad of [[], ['a', 'b'], ['<b>'], ['a\r\nb'], [''], ['x'.repeat(254)]])
    t.equal(ask(...bad), undefined, JSON.stringify(bad).slice(0, 20));
  t.end();
});

t.test('CloudEvents: structured, batched and binary; an array of data is no batch', (t) => {
  const source = makeSource(cloudevents, ownState);
  const one = { specversion: '1.0', id: '1', source: '/s', type: 'a', time: '2026-11-23T10:00:00Z' };
  const read = (body: unknown, headers = {}) =>
    readDrafts(source, request('POST', '/', headers, body)).map(({ eventId, topic }) => [eventId, topic]);
  t.strictSame(read(one), [['/s:1', 'a']]);
  t.strictSame(read([one, { ...one, id: '2', type: 'b' }]), [
    ['/s:1', 'a'],
    ['/s:2', 'b'],
  ]);
  const binary = { 'ce-id': ['7'], 'ce-source': ['/b'], 'ce-type': ['c'] };
  t.strictSame(read([{ id: 1 }, { id: 2 }], binary), [['/b:7', 'c']]);
  t.end();
});

t.test('UPS v2: our own URL gives the token to whoever knows the secret, and takes it', async (t) => {
  const { source, delivery } = makeSigned(ups, { topic: 'D.FS' });
  const [secret = ''] = source.secrets;
  const basic = (text: string) => [`Basic ${Buffer.from(text).toString('base64')}`];
  const form = { 'content-type': ['application/x-www-form-urlencoded'] };
  const ask = (authorization?: string[], body = 'grant_type=client_credentials') =>
    answerHandshake(
      { ...source, secrets: ['another:0123456789abcdef', ...source.secrets] },
      request('POST', '/', { ...form, ...(authorization && { authorization }) }, body),
      'unsigned',
    );
  const answer = ask(basic(secret), 'scope=public&grant_type=client_credentials');
  t.match(answer, { status: 200, contentType: /^application\/json/ });
  const { access_token, token_type, expires_in } = JSON.parse(answer?.body ?? '');
  t.strictSame([token_type, expires_in], ['Bearer', 3_600]);
  t.notOk(access_token.includes(secret.split(':')[1]), 'the token does not tell the secret');
  t.strictSame(delivery.headers.authorization, [`Bearer ${access_token}`]);
  t.match(await verifyDelivery(source, delivery), { ok: true });
  for (const [what, authorization, body] of [
    ['another secret', basic('postbell:another-secret-0123')],
    ['the ID alone', basic(secret.split(':')[0] ?? '')],
    ['no credentials', undefined],
    ['two of them', [...basic(secret), ...basic(secret)]],
    ['another grant', basic(secret), 'grant_type=password'],
    ['an event', basic(secret), '{"trackingNumber":"1Z"}'],
    ['too much', basic(secret), `grant_type=client_credentials&x=${'x'.repeat(2_000)}`],
  ] as [string, string[] | undefined, string?][])
    t.equal(ask(authorization, body), undefined, what);
  for (const wrong of [basic(secret)[0] ?? '', `Bearer ${secret}`, 'Bearer ', `Bearer ${access_token}0`])
    t.match(
      await verifyDelivery(source, withHeaders(delivery, { authorization: [wrong] })),
      { reason: 'wrong_signature' },
      wrong.slice(0, 10),
    );
});

t.test(
  'UPS v1: the credential comes back in its header; no id, so a scan told anew is another event',
  async (t) => {
    const source = makeSource(ups, ownState);
    const { delivery: signed } = makeSigned(ups, { topic: 'D.FS' });
    const delivery = withHeaders(signed, { authorization: undefined, credential: [ownState] });
    t.match(await verifyDelivery(source, delivery), { ok: true });
    const other = withHeaders(delivery, { credential: ['another-credential-012'] });
    t.match(await verifyDelivery(source, other), { reason: 'wrong_signature' });
    const both = withHeaders(delivery, { authorization: ['Bearer x'] });
    t.match(
      await verifyDelivery(source, both),
      { reason: 'wrong_signature' },
      'a token that is there must hold',
    );
    const body = delivery.body.toString().replace(/}$/, ',"deliveryPhoto":"iVBORw0KGgo="}');
    const [event, withPhoto] = [delivery, { ...delivery, body: Buffer.from(body) }].map(
      (one) => readDrafts(source, one)[0],
    );
    t.equal(event?.occurredAt?.toISOString(), '2026-11-23T10:00:00.000Z');
    t.notSame(withPhoto?.eventId, event?.eventId);
  },
);

t.test('Asana: a sign of life without events is answered and no event', (t) => {
  const source = makeSource(asana, 'b537207f20cbfa02357cf448134da559');
  const ask = (body: string) => answerHandshake(source, request('POST', '/', {}, body), 'verified');
  t.match(ask('{"events":[]}'), { status: 200, body: '' });
  t.equal(ask('{"events":[{"action":"added"}]}'), undefined);
  t.equal(ask('{"events":'), undefined);
  t.end();
});
