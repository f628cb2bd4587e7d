// Standard Webhooks, v1 (HMAC) and v1a (Ed25519): any sender that follows the specification, under webhook-… headers.

import type { Provider } from '../provider.ts';
import { publicKeySecret } from '../public-key-secrets.ts';
import { perSecret } from '../schemes/per-secret.ts';
import {
  standardWebhooks as standardWebhooksV1,
  standardWebhooksV1a,
  v1aKey,
} from '../schemes/standard-webhooks.ts';
import { encodedSecret } from '../secrets.ts';
import { header, json } from '../template/parts.ts';
import { randomId } from './sample.ts';

const text = { label: 'Signing secret', where: "The sender's webhook settings, beside the endpoint" };
const symmetric = encodedSecret({ ...text, key: { base64: 'whsec_' } });
const asymmetric = publicKeySecret({ ...text, kind: 'ed25519', key: v1aKey });
const isPublicKey = (secret: string) => secret.startsWith(v1aKey.prefix);

export const standardWebhooks: Provider = {
  name: 'standard-webhooks',
  title: 'Standard Webhooks',
  docsUrl: 'https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md',
  facts:
    'v1 L+D: npm standardwebhooks and the specification. v1a D: the specification. Id kept over retries, type and timestamp D.',
  scheme: perSecret(
    { when: (secret) => !isPublicKey(secret), scheme: standardWebhooksV1('webhook') },
    { scheme: standardWebhooksV1a('webhook') },
  ),
  secret: {
    ...symmetric,
    format: 'whsec_… of base64 (v1), or a public key whpk_… of base64 (v1a)',
    check: (secret) => (isPublicKey(secret) ? asymmetric : symmetric).check(secret),
  },
  idIsSigned: true,
  events: {
    id: header('webhook-id'),
    topic: json('type'),
    occurredAt: { at: json('timestamp'), unit: 'iso' },
  },
  headers: ['webhook-id', 'webhook-timestamp'],
  retries: 'Wants a 2xx within 15 to 30 s; retries over days; 410 ends the subscription.',
  sending: { newId: () => randomId('msg_'), headers: ({ id }) => ({ 'webhook-id': id }) },
  answers: { failure: { 410: 'switches-off', '5xx': 'retried' } },
  samples: {
    'user.created': ({ topic, now }) => ({
      type: topic,
      timestamp: now.toISOString(),
      data: { id: randomId('usr_'), email: 'ada@example.com' },
    }),
    '*': ({ topic, now }) => ({ type: topic, timestamp: now.toISOString(), data: { id: randomId() } }),
  },
};
