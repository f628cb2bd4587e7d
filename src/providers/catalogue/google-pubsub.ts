// Google Pub/Sub push (also Gmail and Google Play): Google's JWT names sender and receiver, but does not cover the body.
import type { KeyObject } from 'node:crypto';
import type { Provider, SampleDraft, SecretSpec, Source } from '../provider.ts';
import { generateKeyPair } from '../public-key-secrets.ts';
import { type KeySource, pinnedKey } from '../schemes/key-source.ts';
import { publicJwt } from '../schemes/public-jwt.ts';
import { parsePublicKey } from '../schemes/public-key.ts';
import { remoteKeys } from '../schemes/remote-keys.ts';
import { computed, header, json, type Reading } from '../template/parts.ts';
import { readText } from '../template/reading.ts';
import { randomNumber } from './sample.ts';

const keysUrl = 'https://www.googleapis.com/oauth2/v3/certs';
const keyFormat = { format: 'spki' } as const;
const emailPattern = /^[^@\s;,]+@[a-z0-9-]+(?:\.[a-z0-9-]+)+$/;

const secret: SecretSpec = {
  label: 'Service account',
  format:
    'push@your-project.iam.gserviceaccount.com (no secret: the account whose tokens are accepted); for trials followed by ; and a public key',
  where:
    'Google Cloud → Pub/Sub → your push subscription → Authentication → Service account; leave Audience empty, or enter the URL',
  check(text) {
    if (text.trim() === '') return 'is empty; set it, or remove the variable to turn the source off';
    if (!emailPattern.test(emailOf(text))) return 'is no e-mail address of a service account';
    return text.includes(';') && !ownKeyOf(text) ? 'has no public key after the ;' : undefined;
  },
  generate() {
    const pair = generateKeyPair('rsa-sha256', keyFormat);
    return { ...pair, secret: `push@trial-project.iam.gserviceaccount.com;${pair.secret}` };
  },
};

export const googlePubsub: Provider = {
  name: 'google-pubsub',
  title: 'Google Pub/Sub push',
  docsUrl: 'https://docs.cloud.google.com/pubsub/docs/authenticate-push-subscriptions',
  facts:
    'Token in Authorization, its claims, iss D: the page above. Keys, 300 s of leeway L: npm google-auth-library, oauth2client. Message, messageId and codes that acknowledge D: docs.cloud.google.com/pubsub/docs/push. aud is checked to be the URL that you typed in, email to be your service account. The token says nothing of the body: who gets hold of one could send anything for an hour. So a subscription without authentication, or unwrapped, is not accepted.',
  scheme: publicJwt({
    at: header('authorization'),
    prefix: 'Bearer ',
    algorithm: 'RS256',
    rules: {
      url: { claim: 'aud', encoding: 'text' },
      expires: true,
      lifetimeSeconds: 3_600,
      leewaySeconds: 300,
    },
    claimsOf: (text) => ({ iss: 'https://accounts.google.com', email: emailOf(text), email_verified: true }),
    keysOf,
  }),
  secret,
  idIsSigned: true,
  events: {
    id: json('message.messageId'),
    topic: computed(subscriptionOf),
    occurredAt: { at: json('message.publishTime'), unit: 'iso' },
  },
  retries:
    'Acknowledged by 200, 201, 202, 204 or 102. After any other answer the message is sent again with growing gaps, as long as the subscription keeps messages (7 days by default).',
  sending: { newId: () => String(randomNumber(14)) },
  answers: { success: [102, 200, 201, 202, 204], failure: { any: 'retried' } },
  samples: {
    gmail: (draft) => push(draft, { emailAddress: 'ada@example.com', historyId: randomNumber(10) }),
    'play-billing': (draft) =>
      push(draft, {
        version: '1.0',
        packageName: 'com.example.bell',
        eventTimeMillis: String(draft.now.getTime()),
        subscriptionNotification: { version: '1.0', notificationType: 4, purchaseToken: 'trial' },
      }),
    '*': (draft) => push(draft, { ring: true }),
  },
};

function emailOf(text: string): string {
  return text.split(';', 1)[0] ?? '';
}

function ownKeyOf(text: string): KeyObject | undefined {
  const at = text.indexOf(';');
  return at < 0 ? undefined : parsePublicKey(text.slice(at + 1), 'rsa-sha256', keyFormat);
}

function keysOf(text: string, source: Source): KeySource | undefined {
  if (!text.includes(';')) return remoteKeys(keysUrl, source);
  const own = ownKeyOf(text);
  return own && pinnedKey(own);
}

/** `projects/p/subscriptions/gmail` → `gmail`. */
function subscriptionOf(reading: Reading): string | undefined {
  return readText(json('subscription'), reading)?.split('/').at(-1);
}

function push({ topic, id, now }: SampleDraft, data: object): object {
  return {
    message: {
      data: Buffer.from(JSON.stringify(data)).toString('base64'),
      messageId: id,
      message_id: id,
      publishTime: now.toISOString(),
      publish_time: now.toISOString(),
    },
    subscription: `projects/trial-project/subscriptions/${topic}`,
  };
}
