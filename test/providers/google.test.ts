// Google's two ways: a bearer token that says who sends to whom, and pings without a body.
import { createPublicKey, generateKeyPairSync } from 'node:crypto';
import t from 'tap';
import { providers, readDrafts, type Source, verifyDelivery } from '../../src/providers/index.ts';
import { encodeJson, signToken } from '../../src/providers/schemes/token.ts';
import { exampleUrl, fixedNow, makeSigned, makeSource, postRequest, withHeaders } from './deliveries.ts';

const { 'google-pubsub': pubsub, 'google-channels': channels } = providers;
const email = 'push@trial-project.iam.gserviceaccount.com';
const pair = generateKeyPairSync('rsa', { modulusLength: 2048 });
const seconds = fixedNow.getTime() / 1000;
const claims = {
  iss: 'https://accounts.google.com',
  aud: exampleUrl,
  email: email,
  email_verified: true,
  iat: seconds,
  exp: seconds + 3600,
};
const body = '{"message":{"data":"e30=","messageId":"1"},"subscription":"projects/p/subscriptions/gmail"}';

function sent(changes: Record<string, unknown> = {}, kid = 'k1') {
  const signed = `${encodeJson({ alg: 'RS256', kid, typ: 'JWT' })}.${encodeJson({ ...claims, ...changes })}`;
  const token = `Bearer ${signed}.${signToken('RS256', pair.privateKey, signed)}`;
  return withHeaders(postRequest(body), { authorization: [token] });
}

function published() {
  const asked: string[] = [];
  const jwk = { ...createPublicKey(pair.privateKey).export({ format: 'jwk' }), kid: 'k1' };
  const source: Source = {
    ...makeSource(pubsub, email),
    fetchText: async (url) => {
      asked.push(url);
      return JSON.stringify({ keys: [jwk] });
    },
  };
  return { source, asked };
}

const reasonOf = async (source: Source, delivery: ReturnType<typeof sent>) => {
  const verdict = await verifyDelivery(source, delivery);
  return verdict.ok ? 'ok' : verdict.reason;
};

t.test("Pub/Sub: keys are Google's own, whatever the token says", async (t) => {
  const { source, asked } = published();
  t.equal(await reasonOf(source, sent()), 'ok');
  t.equal(await reasonOf(source, sent()), 'ok');
  t.strictSame(asked, ['https://www.googleapis.com/oauth2/v3/certs'], 'fetched once');
  // Google may have published the key since it was last asked: 503, and Pub/Sub sends again.
  t.equal(await reasonOf(source, sent({}, 'another')), 'key_unavailable');
  t.match(readDrafts(source, sent()), [{ eventId: '1', topic: 'gmail' }]);
});

t.test('Pub/Sub: a genuine token for somebody else, elsewhere or of another time is refused', async (t) => {
  const { source } = published();
  for (const changes of [
    { email: 'push@another-project.iam.gserviceaccount.com' },
    { email: undefined },
    { email_verified: false },
    { email_verified: 'true' },
    { iss: 'https://accounts.example.com' },
    { aud: 'https://shop.example.com/another' },
    { aud: [exampleUrl] },
    { aud: undefined },
  ])
    t.equal(await reasonOf(source, sent(changes)), 'wrong_signature', JSON.stringify(changes));
  t.equal(await reasonOf(source, sent({ exp: seconds - 301 })), 'too_old');
  t.equal(await reasonOf(source, sent({ exp: undefined })), 'malformed_timestamp');
  t.equal(await reasonOf(source, sent({ iat: seconds + 301 })), 'too_new');
  const { webhookUrl: _, ...withoutUrl } = source;
  t.equal(await reasonOf(withoutUrl, sent()), 'missing_url');
});

t.test('Channels: headers are the payload, each ping is an event, and sync is one, too', async (t) => {
  const ping = (number: string, state = 'exists') => {
    const { source, delivery } = makeSigned(channels, { topic: state, id: 'channel-1' });
    const changed = withHeaders(delivery, { 'x-goog-message-number': [number] });
    return { source, delivery: changed, events: readDrafts(source, changed) };
  };
  const { source, delivery, events } = ping('7');
  t.strictSame(await verifyDelivery(source, delivery), { ok: true, secretIndex: 0 });
  t.match(events, [{ eventId: 'channel-1:7', topic: 'exists', payloadError: null, uniqueBody: false }]);
  t.match(JSON.parse(events[0]?.payloadText ?? ''), { channelId: 'channel-1', messageNumber: '7' });
  t.notMatch(events[0]?.payloadText, source.secrets[0], 'the token is not kept');
  t.not(ping('8').events[0]?.eventId, events[0]?.eventId);
  t.match(ping('1', 'sync').events, [{ eventId: 'channel-1:1', topic: 'sync' }]);
});
