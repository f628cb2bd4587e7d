// Cloudinary: a plain SHA-1 or SHA-256 over body, timestamp and API secret.

import type { Provider, SampleDraft } from '../provider.ts';
import { plainHash } from '../schemes/plain-hash.ts';
import { textSecret } from '../secrets.ts';
import { header, json, rawBody, secret, timestamp } from '../template/parts.ts';
import { randomId } from './sample.ts';

export const cloudinary: Provider = {
  name: 'cloudinary',
  title: 'Cloudinary',
  docsUrl: 'https://cloudinary.com/documentation/notification_signatures',
  facts: 'Signature and the two hours L: npm cloudinary, utils.verifyNotificationSignature. Retries unknown.',
  scheme: plainHash({
    hashes: ['sha1', 'sha256'],
    message: [rawBody, timestamp, secret],
    signature: { at: header('x-cld-signature'), encoding: 'hex' },
    timestamp: { at: header('x-cld-timestamp'), unit: 's', pastSeconds: 7200 },
  }),
  secret: textSecret({
    label: 'API secret',
    where: 'console.cloudinary.com → Settings → API Keys → API secret',
  }),
  idIsSigned: true,
  events: {
    // An API request may cause notifications of several types with the same request id.
    id: [json('notification_type'), ':', json('request_id')],
    topic: json('notification_type'),
    occurredAt: { at: json('timestamp'), unit: 'iso' },
  },
  headers: ['x-cld-timestamp'],
  retries: 'Unknown.',
  answers: 'unknown',
  samples: {
    upload: (draft) => ({ ...notification(draft), public_id: 'bell', format: 'png', bytes: 4200 }),
    delete: (draft) => ({
      ...notification(draft),
      resources: [{ public_id: 'bell', resource_type: 'image' }],
    }),
    '*': (draft) => notification(draft),
  },
};

function notification({ topic, id, now }: SampleDraft): object {
  return {
    notification_type: topic,
    timestamp: now.toISOString(),
    request_id: id,
    asset_id: randomId(),
  };
}
