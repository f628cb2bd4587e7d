// Amazon SNS: an RSA signature over fields of the body, and subscriptions that must be confirmed.
import { setTimeout as pause } from 'node:timers/promises';
import { decodeBody, valueAt } from '../body/body.ts';
import { emptyAnswer } from '../handshake.ts';
import type { Delivery, HandshakeAnswer, Provider, SampleDraft, SecretSpec, Source } from '../provider.ts';
import { generateKeyPair } from '../public-key-secrets.ts';
import { fetchText } from '../schemes/fetch-text.ts';
import { computed, json, type Reading } from '../template/parts.ts';
import { snsSignature } from './aws-sns-signature.ts';
import { isTopicOf, parseTopics } from './aws-sns-topic.ts';
import { randomId } from './sample.ts';

const trialAccount = 'arn:aws:sns:us-east-1:000000000000:';
const confirmTries = 3;
const confirmPauseMs = 2_000;

const secret: SecretSpec = {
  label: 'Topic ARN',
  format:
    'arn:aws:sns:<region>:<account>:<topic>, or * as the topic for all of the account (no secret: the topics whose messages are accepted); for trials followed by ; and a public key',
  where:
    'AWS console → SNS → Topics → your topic → ARN; subscribe the URL as HTTPS, without raw message delivery',
  check(text) {
    if (text.trim() === '') return 'is empty; set it, or remove the variable to turn the source off';
    return parseTopics(text)
      ? undefined
      : 'is no ARN of an SNS topic; use the form arn:aws:sns:eu-west-1:123456789012:orders';
  },
  generate() {
    const pair = generateKeyPair('rsa-sha256', { format: 'spki' });
    return { ...pair, secret: `${trialAccount}*;${pair.secret}` };
  },
};

export const awsSns: Provider = {
  name: 'aws-sns',
  title: 'Amazon SNS',
  docsUrl: 'https://docs.aws.amazon.com/sns/latest/dg/sns-verify-signature-of-message.html',
  facts:
    "Signed fields, both versions, pinned hosts and names in the certificates L+D: AWS's validators for JavaScript and Java, checked against real messages of the latter's tests; the page above, which also asks to refuse foreign topics. MessageId kept over retries and confirmation by GET D: docs.aws.amazon.com/sns/latest/dg/SendMessageToHttp.prepare.html. MessageAttributes and UnsubscribeURL are not signed.",
  scheme: snsSignature(),
  secret,
  idIsSigned: true,
  events: {
    id: json('MessageId'),
    // The event's topic is the SNS topic of the message: `Type` is the same for all events.
    topic: computed(topicName),
    occurredAt: { at: json('Timestamp'), unit: 'iso' },
  },
  headers: ['x-amz-sns-message-id', 'x-amz-sns-topic-arn', 'x-amz-sns-subscription-arn'],
  handshakes: [{ method: 'POST', phase: 'verified', answer: answerConfirmation }],
  retries:
    'Wants a 2xx within 15 s; tries again for about an hour unless the topic says otherwise, but not after a 4xx.',
  sending: {
    newId: () => crypto.randomUUID(),
    contentType: 'text/plain; charset=UTF-8',
    headers: ({ id }) => ({ 'x-amz-sns-message-type': 'Notification', 'x-amz-sns-message-id': id }),
  },
  answers: { failure: { '4xx': 'final', '5xx': 'retried' } },
  samples: {
    orders: (draft) => notification(draft, { order_id: randomId('ord_'), status: 'placed' }),
    alarms: (draft) => ({
      ...notification(draft, { AlarmName: 'bell-silent', NewStateValue: 'ALARM' }),
      Subject: 'ALARM: "bell-silent" in US East (N. Virginia)',
    }),
    '*': (draft) => notification(draft, { id: randomId() }),
  },
};

function topicName(reading: Reading): string | undefined {
  const arn = valueAt(reading.decoded?.value, ['TopicArn']);
  return typeof arn === 'string' ? arn.slice(arn.lastIndexOf(':') + 1) : undefined;
}

/** Called after verification. A message of neither kind is an event. */
function answerConfirmation(
  delivery: Delivery,
  source: Source,
  secretIndex: number,
): HandshakeAnswer | undefined {
  if (!delivery.body.includes('Confirmation"')) return undefined;
  const body = decodeBody(delivery, source).value;
  const type = valueAt(body, ['Type']);
  // Nothing to do: an authorized person removed the subscription.
  if (type === 'UnsubscribeConfirmation') return emptyAnswer();
  if (type !== 'SubscriptionConfirmation') return undefined;
  const topicArn = valueAt(body, ['TopicArn']);
  const token = valueAt(body, ['Token']);
  const topics = parseTopics(source.secrets[secretIndex] ?? '');
  if (!topics || typeof topicArn !== 'string' || typeof token !== 'string' || !isTopicOf(topics, topicArn))
    return emptyAnswer();
  if (topics.pinned) return emptyAnswer();
  // Postbell never calls SubscribeURL. The address is built from the configured host and the signed token, so no message,
  // even a signed one, can choose another host.
  const url = `https://${topics.host}/?Action=ConfirmSubscription&TopicArn=${encodeURIComponent(topicArn)}&Token=${encodeURIComponent(token)}`;
  return { ...emptyAnswer(), afterwards: () => confirm(url, topicArn, source.fetchText ?? fetchText) };
}

async function confirm(url: string, topicArn: string, get: typeof fetchText): Promise<string> {
  for (let tries = 1; ; tries++) {
    try {
      await get(url);
      return `subscribed to ${topicArn}`;
    } catch (error) {
      if (tries >= confirmTries)
        throw new Error(
          `${topicArn}: SNS did not confirm in ${tries} tries; request the confirmation again in the SNS console`,
          {
            cause: error,
          },
        );
    }
    await pause(confirmPauseMs);
  }
}

function notification({ topic, id, now }: SampleDraft, message: object) {
  return {
    Type: 'Notification',
    MessageId: id,
    TopicArn: trialAccount + topic,
    Message: JSON.stringify(message),
    Timestamp: now.toISOString(),
    UnsubscribeURL: 'https://sns.us-east-1.amazonaws.com/?Action=Unsubscribe&SubscriptionArn=trial',
  };
}
