// What only SNS does: signed fields instead of signed bytes, two versions, subscriptions that want to be confirmed.
import { createPublicKey, sign } from 'node:crypto';
import { readFileSync } from 'node:fs';
import t from 'tap';
import {
  answerHandshake,
  type Delivery,
  providers,
  readDrafts,
  type Source,
  signDelivery,
  verifyDelivery,
} from '../../src/providers/index.ts';
import { fixedNow } from './deliveries.ts';

const { 'aws-sns': awsSns } = providers;
const read = (name: string) => readFileSync(new URL(`certificates/${name}.pem`, import.meta.url), 'utf8');
const privateKey = read('signer-key');
const publicKey = createPublicKey(privateKey).export({ type: 'spki', format: 'der' }).toString('base64');
const arn = 'arn:aws:sns:us-east-1:123456789012:orders';
const pinned: Source = { name: 'aws-sns', provider: awsSns, secrets: [`${arn};${publicKey}`] };

/** As AWS documents it, apart from our own signing. */
function signedMessage(fields: Record<string, string>, version: '1' | '2' = '2'): Record<string, string> {
  const names =
    fields.Type === 'Notification'
      ? ['Message', 'MessageId', 'Subject', 'Timestamp', 'TopicArn', 'Type']
      : ['Message', 'MessageId', 'SubscribeURL', 'Timestamp', 'Token', 'TopicArn', 'Type'];
  const text = names.flatMap((name) => (name in fields ? [`${name}\n${fields[name]}\n`] : [])).join('');
  const signature = sign(version === '1' ? 'sha1' : 'sha256', Buffer.from(text), privateKey);
  return {
    ...fields,
    SignatureVersion: version,
    Signature: signature.toString('base64'),
    SigningCertURL: `https://sns.us-east-1.amazonaws.com/SimpleNotificationService-${'a'.repeat(32)}.pem`,
  };
}

function delivered(message: object | string, headers: Delivery['headers'] = {}): Delivery {
  const body = Buffer.from(typeof message === 'string' ? message : JSON.stringify(message));
  return { method: 'POST', url: '/hook', headers, body, receivedAt: fixedNow };
}

const notification = {
  Type: 'Notification',
  MessageId: 'm-1',
  TopicArn: arn,
  Message: 'Grüße\n2',
  Timestamp: fixedNow.toISOString(),
};
const confirmation = {
  ...notification,
  Type: 'SubscriptionConfirmation',
  Token: 'abc&Action=DeleteTopic',
  SubscribeURL: 'https://evil.example.net/?Action=ConfirmSubscription',
};

t.test('both versions are accepted, and a changed field of those that are signed is not', async (t) => {
  for (const version of ['1', '2'] as const)
    for (const fields of [notification, { ...notification, Subject: 'S' }, confirmation]) {
      const message = signedMessage(fields, version);
      t.match(await verifyDelivery(pinned, delivered(message)), { ok: true }, `${fields.Type} ${version}`);
      for (const name of Object.keys(fields)) {
        if (name === 'Type') continue;
        const altered = { ...message, [name]: `${message[name]}x` };
        t.match(await verifyDelivery(pinned, delivered(altered)), { ok: false }, name);
        const { [name]: _, ...without } = message;
        t.match(await verifyDelivery(pinned, delivered(without)), { ok: false }, `without ${name}`);
      }
      const other = version === '1' ? '2' : '1';
      const relabelled = { ...message, SignatureVersion: other };
      t.match(await verifyDelivery(pinned, delivered(relabelled)), { ok: false }, 'the other version');
    }
});

t.test('a type, a version or a field of another kind is refused', async (t) => {
  const message = signedMessage(notification);
  for (const change of [
    { Type: 'toString' },
    { Type: 'SubscriptionConfirmation' },
    { Type: 1 },
    { SignatureVersion: '3' },
    { SignatureVersion: 'constructor' },
    { SignatureVersion: 2 },
    { Signature: '' },
    { Signature: 'AAAA' },
    { Signature: null },
    { Subject: 1 },
    { TopicArn: [arn] },
    { TopicArn: `${arn}:more` },
  ]) {
    const verdict = await verifyDelivery(pinned, delivered({ ...message, ...change }));
    t.equal(verdict.ok, false, JSON.stringify(change));
    t.notMatch(verdict, { detail: /the verifier failed/ });
  }
  for (const body of ['', 'null', '[]', '{', '"x"'])
    t.match(await verifyDelivery(pinned, delivered(body)), { ok: false });
  const raw = delivered('{"order":1}', { 'x-amz-sns-rawdelivery': ['true'] });
  t.match(await verifyDelivery(pinned, raw), { ok: false, detail: /raw message delivery is not signed/ });
});

t.test('an own text is sent as the message of an envelope', async (t) => {
  const request = signDelivery(pinned, {
    topic: 'x',
    now: fixedNow,
    url: 'http://h/',
    body: 'plain text',
    privateKey,
  });
  const delivery = delivered(request.body.toString());
  t.match(await verifyDelivery(pinned, delivery), { ok: true });
  t.match(JSON.parse(readDrafts(pinned, delivery)[0]?.payloadText ?? ''), {
    Message: 'plain text',
    TopicArn: arn,
  });
  t.equal(readDrafts(pinned, delivery)[0]?.topic, 'orders');
});

t.test('a confirmation is no event, and asks the host that the configuration names', async (t) => {
  const asked: string[] = [];
  const source: Source = {
    ...pinned,
    secrets: [arn.replace('orders', 'others'), arn],
    fetchText: async (url) => {
      asked.push(url);
      return url.endsWith('.pem') ? read('sns') : '<ConfirmSubscriptionResponse/>';
    },
  };
  const delivery = delivered(signedMessage(confirmation));
  const verdict = await verifyDelivery(source, delivery);
  t.match(verdict, { ok: true, secretIndex: 1 });
  const answer = answerHandshake(source, delivery, 'verified', 1);
  t.match(answer, { status: 200, body: '' });
  t.equal(asked.length, 1, 'only the certificate so far');
  t.equal(await answer?.afterwards?.(), `subscribed to ${arn}`);
  const [, confirmed = ''] = asked;
  const { origin, pathname, searchParams } = new URL(confirmed);
  t.strictSame([origin, pathname], ['https://sns.us-east-1.amazonaws.com', '/']);
  t.strictSame(
    [...searchParams],
    [
      ['Action', 'ConfirmSubscription'],
      ['TopicArn', arn],
      ['Token', 'abc&Action=DeleteTopic'],
    ],
    'whatever SubscribeURL and Token say',
  );
});

t.test('a confirmation that fails once is tried again', async (t) => {
  let tries = 0;
  const source: Source = {
    ...pinned,
    secrets: [arn],
    fetchText: async () => {
      tries++;
      if (tries === 1) throw new Error('ECONNRESET');
      return '';
    },
  };
  const answer = answerHandshake(source, delivered(signedMessage(confirmation)), 'verified', 0);
  t.equal(await answer?.afterwards?.(), `subscribed to ${arn}`);
  t.equal(tries, 2);
});

t.test('nothing is confirmed for a topic of somebody else, nor with a key for trials', (t) => {
  const foreign = delivered(signedMessage({ ...confirmation, TopicArn: arn.replace('orders', 'x') }));
  const source: Source = { ...pinned, secrets: [arn] };
  t.equal(answerHandshake(source, foreign, 'verified', 0)?.afterwards, undefined);
  const own = delivered(signedMessage(confirmation));
  t.match(answerHandshake(pinned, own, 'verified', 0), { status: 200 });
  t.equal(answerHandshake(pinned, own, 'verified', 0)?.afterwards, undefined);
  t.end();
});

t.test('an end of a subscription is no event either, and is not undone', (t) => {
  const delivery = delivered(signedMessage({ ...confirmation, Type: 'UnsubscribeConfirmation' }));
  const answer = answerHandshake({ ...pinned, secrets: [arn] }, delivery, 'verified', 0);
  t.match(answer, { status: 200, body: '' });
  t.equal(answer?.afterwards, undefined);
  const talk = delivered(signedMessage({ ...notification, Message: '"Type":"SubscriptionConfirmation"' }));
  t.equal(
    answerHandshake(pinned, talk, 'verified', 0),
    undefined,
    'a message that only talks of one is an event',
  );
  t.end();
});

t.test('a wrong ARN stops the start', (t) => {
  const { check } = awsSns.secret;
  t.equal(check(arn), undefined);
  t.equal(check('arn:aws-cn:sns:cn-north-1:123456789012:*'), undefined);
  t.equal(check('arn:aws-us-gov:sns:us-gov-west-1:123456789012:a.fifo'), undefined);
  for (const wrong of [
    `${arn}:b24e11a2-06bd-4e73-aa29-0ed2de3b41b5`,
    'arn:aws:sqs:us-east-1:123456789012:orders',
    'arn:aws:sns:*:123456789012:orders',
    'arn:aws:sns:evil.example.net/:123456789012:orders',
    'arn:aws:sns:us-east-1:*:orders',
    `${arn};`,
    `${arn};AAAA`,
  ])
    t.match(check(wrong), /is no ARN of an SNS topic/, wrong);
  t.end();
});
