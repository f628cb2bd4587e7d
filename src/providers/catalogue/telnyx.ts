// Telnyx: Ed25519 over `timestamp|body`; event id and type in the signed body.
import { header, json, rawBody, timestamp } from '../parts.ts';
import type { Provider, SampleDraft } from '../provider.ts';
import { publicKeySecret } from '../public-key-secrets.ts';
import { publicKey } from '../schemes/public-key.ts';
import { randomId } from './sample.ts';

const key = { format: 'raw-base64' } as const;

export const telnyx: Provider = {
  name: 'telnyx',
  title: 'Telnyx',
  docsUrl: 'https://developers.telnyx.com/development/api-fundamentals/webhooks/receiving-webhooks',
  facts:
    'Signature and 5 minutes both ways L: npm telnyx, webhooks.unwrap. Body L, its types. Retries unknown.',
  scheme: publicKey({
    kind: 'ed25519',
    key,
    message: [timestamp, '|', rawBody],
    signature: { at: header('telnyx-signature-ed25519'), encoding: 'base64' },
    timestamp: { at: header('telnyx-timestamp'), unit: 's' },
  }),
  secret: publicKeySecret({
    kind: 'ed25519',
    key,
    label: 'Public key',
    where: 'portal.telnyx.com → Account Settings → Keys & Credentials → Public Key',
  }),
  idIsSigned: true,
  events: {
    id: json('data.id'),
    topic: json('data.event_type'),
    occurredAt: { at: json('data.occurred_at'), unit: 'iso' },
  },
  headers: ['telnyx-timestamp'],
  retries: 'Wants a 2xx; tries again, also at a second URL if there is one.',
  sending: { newId: () => crypto.randomUUID() },
  answers: { failure: { '5xx': 'retried' } },
  samples: {
    'message.received': (draft) => event(draft, { direction: 'inbound', text: 'Ring', type: 'SMS' }),
    'message.finalized': (draft) => event(draft, { direction: 'outbound', text: 'Ring', type: 'SMS' }),
    'call.hangup': (draft) =>
      event(draft, { call_control_id: randomId('v3:'), hangup_cause: 'normal_clearing' }),
    '*': (draft) => event(draft, {}),
  },
};

function event({ topic, id, now }: SampleDraft, payload: object): object {
  return {
    data: {
      event_type: topic,
      id,
      occurred_at: now.toISOString(),
      payload: { id: crypto.randomUUID(), ...payload },
      record_type: 'event',
    },
    meta: { attempt: 1, delivered_to: 'https://shop.example.com/api/webhooks/telnyx' },
  };
}
