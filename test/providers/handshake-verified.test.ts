// Set-up requests that are signed: answered only once verified, and what looks like one is an event.
import { createHmac } from 'node:crypto';
import t from 'tap';
import { isChallenge } from '../../src/providers/handshake.ts';
import {
  answerHandshake,
  asDelivery,
  providers,
  readDrafts,
  signDelivery,
  verifyDelivery,
} from '../../src/providers/index.ts';
import { exampleUrl, fixedNow, makeSigned, makeSource, postRequest } from './deliveries.ts';

const { discord, intercom, line, pagerduty, payos, slack, smartcar, twitch, viber, zoom } = providers;

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
    const request = signDelivery(source, { topic: 'x', body, now: fixedNow, url: exampleUrl });
    return answerHandshake(source, asDelivery(request, fixedNow), 'verified');
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

t.test('Zoom gets the HMAC under the secret that was found right', (t) => {
  const source = makeSource(zoom, 'zoom-new-secret-0123', 'zoom-old-secret-0123');
  const body = Buffer.from(
    '{"payload":{"plainToken":"qgg8vlvZRS6UYooatFL8Aw"},"event":"endpoint.url_validation"}',
  );
  const post = { method: 'POST', url: '/', headers: {}, body, receivedAt: fixedNow };
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
    answerHandshake(source, postRequest(body), phase);
  t.match(ping('{"type":1}'), { status: 200, body: '{"type":1}', contentType: /^application\/json/ });
  t.match(ping('{"version":1,"type":0}'), { status: 204, body: '' });
  t.equal(ping('{"type":1,"event":{"type":"APPLICATION_AUTHORIZED"}}'), undefined, 'an event');
  t.equal(ping('{"type":2}'), undefined, 'an interaction');
  t.equal(ping('{"type":1}', 'unsigned'), undefined);
  t.end();
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
      answerHandshake(source, postRequest(body), 'verified'),
      { status: 200, contentType: 'text/plain; charset=utf-8', body: '' },
      provider.name,
    );
    t.equal(
      answerHandshake(source, postRequest(body), 'unsigned'),
      undefined,
      `${provider.name}, not verified`,
    );
  }
  for (const [provider, body] of events)
    t.equal(
      answerHandshake(makeSource(provider, 'a-secret-of-sixteen'), postRequest(body), 'verified'),
      undefined,
      `${provider.name}, an event`,
    );
  t.end();
});

t.test('Viber gets 200 when a webhook is set, proven with the test vector of its own library', (t) => {
  const source = makeSource(viber, '44dafb7e0f40021e-61a47a1e6778d187-f2c5a676a07050b3');
  const setUp = {
    ...postRequest('{"event":"webhook","timestamp":4977069964384421269,"message_token":1478683725125}'),
    headers: {
      'x-viber-content-signature': ['d21b343448c8aee33b8e93768ef6ceb64a6ba6163099973a2b8bd028fea510ef'],
    },
  };
  t.strictSame(verifyDelivery(source, setUp), { ok: true, secretIndex: 0 });
  t.equal(answerHandshake(source, setUp, 'unsigned'), undefined);
  t.match(answerHandshake(source, setUp, 'verified'), { status: 200, body: '' });
  const event = postRequest('{"event":"message","message":{"text":"webhook"},"message_token":1}');
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
      const answer = answerHandshake(source, postRequest(body), 'verified', 1);
      t.match(answer, { status: 200, contentType: 'application/json; charset=utf-8' });
      t.strictSame(JSON.parse(answer?.body ?? ''), { challenge });
      t.equal(answerHandshake(source, postRequest(body), 'unsigned'), undefined);
    }
    for (const event of [
      '{"eventType":"VEHICLE_STATE","data":{"challenge":"x"}}',
      '{"eventType":"VERIFY","data":{}}',
      '{"eventType":"VERIFY","data":{"challenge":"a b"}}',
    ])
      t.equal(answerHandshake(source, postRequest(event), 'verified', 1), undefined, event);
    t.end();
  },
);

t.test(
  'Twitch gets its bare challenge once verified, told by the signed body; a revocation is an event',
  (t) => {
    const source = makeSource(twitch, 'a-secret-of-sixteen');
    const pending =
      '"subscription":{"status":"webhook_callback_verification_pending","type":"channel.follow"}';
    const challenge = postRequest(`{"challenge":"pogchamp-kappa-360noscope-vohiyo",${pending}}`);
    t.equal(answerHandshake(source, challenge, 'unsigned'), undefined);
    t.strictSame(answerHandshake(source, challenge, 'verified'), {
      status: 200,
      contentType: 'text/plain; charset=utf-8',
      body: 'pogchamp-kappa-360noscope-vohiyo',
      headers: { 'x-content-type-options': 'nosniff' },
    });
    const notification = {
      ...postRequest(
        '{"challenge":"x","subscription":{"status":"enabled","type":"channel.follow"},"event":{}}',
      ),
      headers: { 'twitch-eventsub-message-type': ['webhook_callback_verification'] },
    };
    t.equal(answerHandshake(source, notification, 'verified'), undefined, 'the unsigned type says nothing');
    t.equal(
      answerHandshake(source, postRequest(`{"challenge":"<b>",${pending}}`), 'verified'),
      undefined,
      'no HTML',
    );
    const revoked = postRequest('{"subscription":{"status":"user_removed","type":"channel.follow"}}');
    t.equal(answerHandshake(source, revoked, 'verified'), undefined);
    t.match(readDrafts(source, revoked), [{ topic: 'revocation' }]);
    t.match(readDrafts(source, notification), [{ topic: 'channel.follow' }]);
    t.end();
  },
);

t.test('the payment that payOS makes up is answered once verified, and is no event', (t) => {
  const source = makeSource(payos, 'a-secret-of-sixteen');
  const answer = (orderCode: number, description: string, phase: 'verified' | 'unsigned' = 'verified') => {
    const body = JSON.stringify({ data: { orderCode, description, reference: 'TF1' }, signature: 'x' });
    return answerHandshake(source, postRequest(body), phase);
  };
  t.match(answer(123, 'VQRIO123'), { status: 200, body: '' });
  t.match(answer(123, 'Ma giao dich thu nghiem'), { status: 200, body: '' });
  t.equal(answer(123, 'VQRIO123', 'unsigned'), undefined);
  t.equal(answer(124, 'VQRIO123'), undefined, 'another order');
  t.equal(answer(123, 'Ring'), undefined, 'a real one');
  t.end();
});

t.test('Front gets the challenge of its sync request back as JSON, and only of that', (t) => {
  const { source, delivery } = makeSigned(providers.front, {
    body: '{"type":"sync","authorization":{"id":"cmp_abc"}}',
  });
  const ask = (body: string, ...challenge: string[]) =>
    answerHandshake(
      source,
      {
        ...delivery,
        body: Buffer.from(body),
        headers: { ...delivery.headers, 'x-front-challenge': challenge },
      },
      'verified',
    );
  const sync = delivery.body.toString();
  t.match(ask(sync, 'RMhLNqYvYyQ1'), {
    status: 200,
    contentType: /json/,
    body: '{"challenge":"RMhLNqYvYyQ1"}',
  });
  t.equal(ask(sync), undefined, 'no challenge');
  t.equal(ask(sync, 'a', 'b'), undefined, 'two challenges');
  t.equal(ask(sync, '<script>'), undefined, 'no HTML');
  t.equal(ask('{"type":"inbound_received","text":"\\"sync\\""}', 'a'), undefined, 'an event');
  t.end();
});

t.test("Ashby's ping is no event", (t) => {
  const ping = makeSigned(providers.ashby, {
    body: '{"action":"ping","data":{"webhookActionType":"candidateHire"}}',
  });
  t.match(answerHandshake(ping.source, ping.delivery, 'verified'), { status: 200, body: '' });
  const event = makeSigned(providers.ashby, {
    body: '{"action":"candidateHire","data":{"note":"\\"ping\\""}}',
  });
  t.equal(answerHandshake(event.source, event.delivery, 'verified'), undefined);
  t.end();
});
