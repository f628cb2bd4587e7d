// Set-up requests: answered exactly, never as an open echo, never before the signature where it is signed.
import { createHash, createHmac } from 'node:crypto';
import t from 'tap';
import { isChallenge } from '../../src/providers/handshake.ts';
import {
  answerHandshake,
  asDelivery,
  handshakeMethods,
  providers,
  readEvents,
  type Source,
  signDelivery,
  verifyDelivery,
} from '../../src/providers/index.ts';
import { makeSigned, makeSource, NOW, WEBHOOK_URL } from './deliveries.ts';

const {
  braintree,
  discord,
  dropbox,
  github,
  intercom,
  line,
  mailchimp,
  mandrill,
  meta,
  okta,
  pagerduty,
  payos,
  slack,
  smartcar,
  trello,
  twitch,
  viber,
  zoom,
} = providers;
const xTwitter = providers['x-twitter'];

t.test('Slack gets its challenge back as plain text, once the signature was found good', (t) => {
  const body = JSON.stringify({
    token: 'x',
    challenge: '3eZbrw1aBm2rZgRNFdxV2595E9CY3gmd',
    type: 'url_verification',
  });
  const { source, delivery } = makeSigned(slack, { topic: 'url_verification', body });
  t.equal(answerHandshake(source, delivery, 'unsigned'), undefined);
  t.strictSame(answerHandshake(source, delivery, 'verified'), {
    status: 200,
    contentType: 'text/plain; charset=utf-8',
    body: '3eZbrw1aBm2rZgRNFdxV2595E9CY3gmd',
    headers: { 'x-content-type-options': 'nosniff' },
  });
  t.end();
});

t.test('what only looks like a challenge is an event', (t) => {
  const source = makeSource(slack, 'a-secret-of-sixteen');
  const answer = (body: string) => {
    const request = signDelivery(source, { topic: 'x', body, now: NOW, url: WEBHOOK_URL });
    return answerHandshake(source, asDelivery(request, NOW), 'verified');
  };
  t.equal(answer('{"type":"event_callback","event":{"text":"\\"url_verification\\""}}'), undefined);
  t.equal(answer('{"type":"url_verification"}'), undefined, 'no challenge');
  t.equal(answer('{"type":"url_verification","challenge":"<script>"}'), undefined, 'no HTML');
  t.equal(answer(`{"type":"url_verification","challenge":"${'x'.repeat(1025)}"}`), undefined, 'over 1 KB');
  t.equal(answer('{"type":"url_verification","challenge":'), undefined, 'malformed');
  t.equal(answer('{"type":"url_verification","challenge":{}}'), undefined, 'no text');
  t.end();
});

t.test('a challenge is printable ASCII without blanks and angle brackets', (t) => {
  for (const good of ['a', 'x'.repeat(1024), 'A-Za-z0-9+/=._~']) t.ok(isChallenge(good));
  for (const bad of ['', 'a b', 'a\n', '<b>', 'é', 'x'.repeat(1025), 1, null, undefined])
    t.notOk(isChallenge(bad));
  t.end();
});

t.test('Mailchimp gets an empty 200 for its GET, without the secret', (t) => {
  const source = makeSource(mailchimp, 'a-secret-of-sixteen');
  const get = { method: 'GET', url: '/', headers: {}, body: Buffer.alloc(0), receivedAt: NOW };
  t.match(answerHandshake(source, get, 'unsigned'), { status: 200, body: '' });
  t.equal(answerHandshake(source, { ...get, method: 'POST' }, 'unsigned'), undefined);
  t.equal(answerHandshake(source, { ...get, method: 'HEAD' }, 'unsigned'), undefined);
  t.strictSame(handshakeMethods(source), ['GET']);
  t.strictSame(handshakeMethods(makeSource(github, 'a-secret-of-sixteen')), []);
  t.end();
});

const get = (url: string) => ({ method: 'GET', url, headers: {}, body: Buffer.alloc(0), receivedAt: NOW });

t.test('Meta gets its challenge if it repeats our token, else 403', (t) => {
  const source: Source = { ...makeSource(meta, 'a-secret-of-sixteen'), verifyToken: 'our-token' };
  const ask = (token: string, challenge = '1158201444', from = source) =>
    answerHandshake(
      from,
      get(`/?hub.mode=subscribe&hub.verify_token=${token}&hub.challenge=${encodeURIComponent(challenge)}`),
      'unsigned',
    );
  t.match(ask('our-token'), { status: 200, body: '1158201444', contentType: /^text\/plain/ });
  t.match(ask('another'), { status: 403, body: '' });
  t.match(ask('our-token', '<script>'), { status: 400, body: '' });
  t.match(ask('', '1', makeSource(meta, 'a-secret-of-sixteen')), { status: 403 }, 'no token configured');
  t.match(answerHandshake(source, get('/?hub.mode=subscribe&hub.challenge=1'), 'unsigned'), { status: 403 });
  t.equal(answerHandshake(source, get('/'), 'unsigned'), undefined);
  t.end();
});

t.test('Zoom gets the HMAC under the secret that was found right', (t) => {
  const source = makeSource(zoom, 'zoom-new-secret-0123', 'zoom-old-secret-0123');
  const body = Buffer.from(
    '{"payload":{"plainToken":"qgg8vlvZRS6UYooatFL8Aw"},"event":"endpoint.url_validation"}',
  );
  const post = { method: 'POST', url: '/', headers: {}, body, receivedAt: NOW };
  for (const [index, secret] of source.secrets.entries()) {
    const encryptedToken = createHmac('sha256', secret).update('qgg8vlvZRS6UYooatFL8Aw').digest('hex');
    const answer = answerHandshake(source, post, 'verified', index);
    t.strictSame(JSON.parse(answer?.body ?? ''), { plainToken: 'qgg8vlvZRS6UYooatFL8Aw', encryptedToken });
  }
  t.equal(answerHandshake(source, post, 'unsigned'), undefined);
  const event = { ...post, body: Buffer.from('{"event":"meeting.started","payload":{"plainToken":"x"}}') };
  t.equal(answerHandshake(source, event, 'verified'), undefined);
  t.end();
});

t.test('Discord gets its PINGs answered, once they are verified', (t) => {
  const source = makeSource(discord, '0'.repeat(64));
  const ping = (body: string, phase: 'unsigned' | 'verified' = 'verified') =>
    answerHandshake(source, { ...get('/'), method: 'POST', body: Buffer.from(body) }, phase);
  t.match(ping('{"type":1}'), { status: 200, body: '{"type":1}', contentType: /^application\/json/ });
  t.match(ping('{"version":1,"type":0}'), { status: 204, body: '' });
  t.equal(ping('{"type":1,"event":{"type":"APPLICATION_AUTHORIZED"}}'), undefined, 'an event');
  t.equal(ping('{"type":2}'), undefined, 'an interaction');
  t.equal(ping('{"type":1}', 'unsigned'), undefined);
  t.end();
});

const head = { ...get('/'), method: 'HEAD' };
const post = (body: string, contentType = 'application/json') => ({
  ...get('/'),
  method: 'POST',
  headers: { 'content-type': [contentType] },
  body: Buffer.from(body),
});

t.test('what only tries out the endpoint gets an empty 200 once it is verified, and is no event', (t) => {
  const pings = [
    [intercom, '{"type":"notification_event","data":{"item":{"type":"ping"}},"id":null,"topic":"ping"}'],
    [line, '{"destination":"U1","events":[]}'],
    [pagerduty, '{"event":{"id":"01","event_type":"pagey.ping","data":{"message":"Hello","type":"ping"}}}'],
  ] as const;
  const events = [
    [intercom, '{"id":"notif_1","topic":"contact.user.created","data":{"item":{"topic":"ping"}}}'],
    [line, '{"destination":"U1","events":[{"type":"message","message":{"text":"\\"events\\":[]"}}]}'],
    [pagerduty, '{"event":{"id":"01","event_type":"incident.triggered","data":{"title":"pagey.ping"}}}'],
  ] as const;
  for (const [provider, body] of pings) {
    const source = makeSource(provider, 'a-secret-of-sixteen');
    t.strictSame(
      answerHandshake(source, post(body), 'verified'),
      { status: 200, contentType: 'text/plain; charset=utf-8', body: '' },
      provider.name,
    );
    t.equal(answerHandshake(source, post(body), 'unsigned'), undefined, `${provider.name}, not verified`);
  }
  for (const [provider, body] of events)
    t.equal(
      answerHandshake(makeSource(provider, 'a-secret-of-sixteen'), post(body), 'verified'),
      undefined,
      `${provider.name}, an event`,
    );
  t.end();
});

t.test('Mandrill gets 200 for its HEAD, and for the empty batch that is signed with a key all know', (t) => {
  const source = makeSource(mandrill, 'a-secret-of-sixteen');
  const form = (body: string) =>
    answerHandshake(source, post(body, 'application/x-www-form-urlencoded'), 'unsigned');
  t.match(answerHandshake(source, head, 'unsigned'), { status: 200, body: '' });
  t.strictSame(handshakeMethods(source), ['HEAD']);
  t.match(form('mandrill_events=%5B%5D'), { status: 200, body: '' });
  t.match(form('mandrill_events=[]'), { status: 200, body: '' });
  for (const other of [
    'mandrill_events=%5B%7B%7D%5D',
    'mandrill_events=[]&mandrill_events=[]',
    `mandrill_events=[]&more=${'x'.repeat(200)}`,
    '',
  ])
    t.equal(form(other), undefined, other);
  t.equal(answerHandshake(source, post('{"mandrill_events":[]}'), 'unsigned'), undefined, 'no form');
  t.end();
});

t.test('Trello gets an empty 200 for its HEAD', (t) => {
  const source = makeSource(trello, 'a-secret-of-sixteen');
  t.strictSame(answerHandshake(source, head, 'unsigned'), {
    status: 200,
    contentType: 'text/plain; charset=utf-8',
    body: '',
  });
  t.equal(answerHandshake(source, post('{}'), 'unsigned'), undefined);
  t.strictSame(handshakeMethods(source), ['HEAD']);
  t.end();
});

t.test('Viber gets 200 when a webhook is set, proven with the test vector of its own library', (t) => {
  const source = makeSource(viber, '44dafb7e0f40021e-61a47a1e6778d187-f2c5a676a07050b3');
  const setUp = {
    ...post('{"event":"webhook","timestamp":4977069964384421269,"message_token":1478683725125}'),
    headers: {
      'x-viber-content-signature': ['d21b343448c8aee33b8e93768ef6ceb64a6ba6163099973a2b8bd028fea510ef'],
    },
  };
  t.strictSame(verifyDelivery(source, setUp), { ok: true, secretIndex: 0 });
  t.equal(answerHandshake(source, setUp, 'unsigned'), undefined);
  t.match(answerHandshake(source, setUp, 'verified'), { status: 200, body: '' });
  const event = post('{"event":"message","message":{"text":"webhook"},"message_token":1}');
  t.equal(answerHandshake(source, event, 'verified'), undefined);
  t.end();
});

t.test(
  'Smartcar gets its challenge keyed with the token that was found right, and only once verified',
  (t) => {
    const source = makeSource(smartcar, 'another-management-token', 'smartcar-management-token');
    // Computed by npm smartcar, hashChallenge.
    const challenge = '512f82e8ee1a5d07277d67857b07edd2a4d08c7886d125908af35956648bf91b';
    const bodies = [
      '{"eventId":"1","eventType":"VERIFY","data":{"challenge":"3a5c8f72-e6d9-4b1a-9f2e-8c7d6a5b4e3f"}}',
      '{"version":"2.0","eventName":"verify","payload":{"challenge":"3a5c8f72-e6d9-4b1a-9f2e-8c7d6a5b4e3f"}}',
    ];
    for (const body of bodies) {
      const answer = answerHandshake(source, post(body), 'verified', 1);
      t.match(answer, { status: 200, contentType: 'application/json; charset=utf-8' });
      t.strictSame(JSON.parse(answer?.body ?? ''), { challenge });
      t.equal(answerHandshake(source, post(body), 'unsigned'), undefined);
    }
    for (const event of [
      '{"eventType":"VEHICLE_STATE","data":{"challenge":"x"}}',
      '{"eventType":"VERIFY","data":{}}',
      '{"eventType":"VERIFY","data":{"challenge":"a b"}}',
    ])
      t.equal(answerHandshake(source, post(event), 'verified', 1), undefined, event);
    t.end();
  },
);

t.test(
  'Twitch gets its bare challenge once verified, told by the signed body; a revocation is an event',
  (t) => {
    const source = makeSource(twitch, 'a-secret-of-sixteen');
    const pending =
      '"subscription":{"status":"webhook_callback_verification_pending","type":"channel.follow"}';
    const challenge = post(`{"challenge":"pogchamp-kappa-360noscope-vohiyo",${pending}}`);
    t.equal(answerHandshake(source, challenge, 'unsigned'), undefined);
    t.strictSame(answerHandshake(source, challenge, 'verified'), {
      status: 200,
      contentType: 'text/plain; charset=utf-8',
      body: 'pogchamp-kappa-360noscope-vohiyo',
      headers: { 'x-content-type-options': 'nosniff' },
    });
    const notification = {
      ...post('{"challenge":"x","subscription":{"status":"enabled","type":"channel.follow"},"event":{}}'),
      headers: { 'twitch-eventsub-message-type': ['webhook_callback_verification'] },
    };
    t.equal(answerHandshake(source, notification, 'verified'), undefined, 'the unsigned type says nothing');
    t.equal(
      answerHandshake(source, post(`{"challenge":"<b>",${pending}}`), 'verified'),
      undefined,
      'no HTML',
    );
    const revoked = post('{"subscription":{"status":"user_removed","type":"channel.follow"}}');
    t.equal(answerHandshake(source, revoked, 'verified'), undefined);
    t.match(readEvents(source, revoked), [{ topic: 'revocation' }]);
    t.match(readEvents(source, notification), [{ topic: 'channel.follow' }]);
    t.end();
  },
);

t.test('Dropbox gets its challenge as plain text that no browser takes for a page', (t) => {
  const source = makeSource(dropbox, 'a-secret-of-sixteen');
  const ask = (query: string) => answerHandshake(source, get(`/api/webhooks/dropbox${query}`), 'unsigned');
  t.strictSame(ask('?challenge=R2FuZ25hbVN0eWxl-_1'), {
    status: 200,
    contentType: 'text/plain; charset=utf-8',
    body: 'R2FuZ25hbVN0eWxl-_1',
    headers: { 'x-content-type-options': 'nosniff' },
  });
  for (const bad of ['', '?challenge=', '?challenge=%3Cb%3E', '?challenge=a&challenge=b', '?challenge=a%20b'])
    t.equal(ask(bad), undefined, bad);
  t.equal(ask(`?challenge=${'x'.repeat(1025)}`), undefined, 'over 1 KB');
  t.end();
});

t.test('X gets its token keyed with the newest secret', (t) => {
  const source = makeSource(xTwitter, 'x-client-secret-0123', 'x-consumer-secret-0123');
  const ask = (token: string) =>
    answerHandshake(source, get(`/?crc_token=${encodeURIComponent(token)}`), 'unsigned');
  const answer = ask('bW9jay1jcmMtdG9rZW4');
  t.match(answer, { status: 200, contentType: /^application\/json/ });
  // Computed with Python's hmac module.
  const expected = 'sha256=hWXKfXVE1wedy4lJjW7XiKrBV4cAxu/xxArbglNsqRY=';
  t.strictSame(JSON.parse(answer?.body ?? ''), { response_token: expected });
  for (const bad of ['', 'a b', '<b>', 'x'.repeat(1025)]) t.equal(ask(bad), undefined, bad);
  t.end();
});

t.test('what X’s challenge hands out is no signature for a body', (t) => {
  const source = makeSource(xTwitter, 'x-client-secret-0123');
  const ask = (token: string) =>
    answerHandshake(source, get(`/?crc_token=${encodeURIComponent(token)}`), 'unsigned');
  t.equal(ask('{"tweet_create_events":[{}]}'), undefined, 'an object is no challenge');
  for (const body of ['[{}]', '"text"', '12345', 'null']) {
    const { response_token } = JSON.parse(ask(body)?.body ?? '{}');
    const forged = { ...post(body), headers: { 'x-twitter-webhooks-signature': [response_token] } };
    t.match(verifyDelivery(source, forged), { ok: false, reason: 'wrong_signature' }, body);
  }
  t.end();
});

t.test('X is believed under either of its headers, but not under a wrong one alone', (t) => {
  const source = makeSource(xTwitter, 'x-consumer-secret-0123');
  const body = '{"for_user_id":"42","follow_events":[{}]}';
  const right = `sha256=${createHmac('sha256', 'x-consumer-secret-0123').update(body).digest('base64')}`;
  const wrong = `sha256=${createHmac('sha256', 'another-secret-0123').update(body).digest('base64')}`;
  const verdict = (headers: Record<string, string[]>) => verifyDelivery(source, { ...post(body), headers });
  const newer = 'x-twitter-webhooks-signature-oauth2';
  const older = 'x-twitter-webhooks-signature';
  t.match(verdict({ [newer]: [right] }), { ok: true });
  t.match(verdict({ [older]: [right] }), { ok: true });
  t.match(verdict({ [newer]: [wrong], [older]: [right] }), { ok: true }, 'only the older key is known here');
  t.match(verdict({ [newer]: [wrong], [older]: [wrong] }), { ok: false, reason: 'wrong_signature' });
  t.match(verdict({ [newer]: [right], [older]: [right, right] }), { ok: false, reason: 'repeated_header' });
  t.end();
});

t.test('Okta gets its challenge back as JSON, from the one header', (t) => {
  const source = makeSource(okta, 'a-secret-of-sixteen');
  const ask = (...values: string[]) =>
    answerHandshake(
      source,
      { ...get('/'), headers: { 'x-okta-verification-challenge': values } },
      'unsigned',
    );
  t.strictSame(ask('BSdDd2aQ3RkXCrVSpkIXbV9P9Zbu_g2O6ivgPaEQ'), {
    status: 200,
    contentType: 'application/json; charset=utf-8',
    body: '{"verification":"BSdDd2aQ3RkXCrVSpkIXbV9P9Zbu_g2O6ivgPaEQ"}',
    headers: { 'x-content-type-options': 'nosniff' },
  });
  t.equal(ask('a', 'b'), undefined, 'doubled');
  t.equal(ask('<script>'), undefined, 'no HTML');
  t.equal(answerHandshake(source, get('/'), 'unsigned'), undefined, 'without a challenge');
  t.end();
});

t.test('the payment that payOS makes up is answered once verified, and is no event', (t) => {
  const source = makeSource(payos, 'a-secret-of-sixteen');
  const answer = (orderCode: number, description: string, phase: 'verified' | 'unsigned' = 'verified') => {
    const body = JSON.stringify({ data: { orderCode, description, reference: 'TF1' }, signature: 'x' });
    return answerHandshake(source, post(body), phase);
  };
  t.match(answer(123, 'VQRIO123'), { status: 200, body: '' });
  t.match(answer(123, 'Ma giao dich thu nghiem'), { status: 200, body: '' });
  t.equal(answer(123, 'VQRIO123', 'unsigned'), undefined);
  t.equal(answer(124, 'VQRIO123'), undefined, 'another order');
  t.equal(answer(123, 'Ring'), undefined, 'a real one');
  t.end();
});

t.test('Braintree gets its challenge signed, if it is one', (t) => {
  const source = makeSource(braintree, 'integration_public_key:integration_private_key');
  const key = createHash('sha1').update('integration_private_key').digest();
  const mac = createHmac('sha1', key).update('20f9f8ed05f77439fe955c977e4c8a53').digest('hex');
  const ask = (challenge: string) => answerHandshake(source, get(`/?bt_challenge=${challenge}`), 'unsigned');
  t.match(ask('20f9f8ed05f77439fe955c977e4c8a53'), { status: 200, body: `integration_public_key|${mac}` });
  for (const bad of ['', 'bad_challenge', '20F9F8ED05F77439FE955C977E4C8A53', 'a'.repeat(19), 'a'.repeat(33)])
    t.equal(ask(bad), undefined, bad);
  t.equal(
    answerHandshake(source, get(`/?bt_challenge=${'a'.repeat(20)}&bt_challenge=b`), 'unsigned'),
    undefined,
  );
  t.end();
});
