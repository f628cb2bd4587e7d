// ShipStation API v2 (ShipEngine): RSA-SHA256 over `timestamp.body` with a key that ShipEngine publishes.

import type { Provider } from '../provider.ts';
import { publishedKeySecret } from '../public-key-secrets.ts';
import { publishedKey } from '../schemes/published-key.ts';
import { header, json, rawBody, timestamp } from '../template/parts.ts';
import { randomId } from './sample.ts';

const key = { format: 'spki' } as const;

export const shipstation: Provider = {
  name: 'shipstation',
  title: 'ShipStation (API v2)',
  docsUrl: 'https://docs.shipstation.com/apis/docs/guides/webhooks-validation',
  facts:
    'Signature T/D: headline of docs.shipstation.com and several public implementations that agree. V1 is unsigned.',
  scheme: publishedKey({
    kind: 'rsa-sha256',
    key,
    jwksUrl: 'https://api.shipengine.com/jwks',
    keyId: header('x-shipengine-rsa-sha256-key-id'),
    message: [timestamp, '.', rawBody],
    signature: { at: header('x-shipengine-rsa-sha256-signature'), encoding: 'base64' },
    timestamp: { at: header('x-shipengine-timestamp'), unit: 'iso' },
  }),
  secret: publishedKeySecret({
    kind: 'rsa-sha256',
    key,
    label: 'Public key',
    where: 'https://api.shipengine.com/jwks',
  }),
  idIsSigned: true,
  events: {
    // The body only names the changed resource, so two changes have equal bodies: their signed times differ.
    id: [json('resource_type'), ':', json('resource_url'), ':', header('x-shipengine-timestamp')],
    idPerDelivery: true,
    topic: json('resource_type'),
  },
  headers: ['x-shipengine-timestamp', 'x-shipengine-rsa-sha256-key-id'],
  retries: 'Unknown.',
  sending: { headers: () => ({ 'x-shipengine-rsa-sha256-key-id': 'postbell-send' }) },
  answers: 'unknown',
  samples: {
    API_BATCH: ({ topic }) => resource(topic, `batches/se-${randomId()}`),
    API_TRACK: ({ topic }) => resource(topic, `tracking?tracking_number=${randomId()}`),
    '*': ({ topic }) => resource(topic, randomId()),
  },
};

function resource(topic: string, path: string): object {
  return { resource_url: `https://api.shipengine.com/v1/${path}`, resource_type: topic };
}
