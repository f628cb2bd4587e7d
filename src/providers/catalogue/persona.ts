// Persona: `t=…,v1=…` over `t.body`; a second list follows after a blank while secrets change.

import type { Provider, SampleDraft } from '../provider.ts';
import { hmac } from '../schemes/hmac.ts';
import { textSecret } from '../secrets.ts';
import { header, item, json, rawBody, timestamp } from '../template/parts.ts';
import { randomId } from './sample.ts';

export const persona: Provider = {
  name: 'persona',
  title: 'Persona',
  docsUrl: 'https://docs.withpersona.com/webhooks-best-practices',
  facts:
    'Signature, the second list, the time as that of sending, and created-at D: docs.withpersona.com, webhook best practices. Hex and wbhsec_ D and T: its examples, Hookdeck and others. Body D: the same, webhooks. 200 and up to 8 retries D: the same of 2021-05-14.',
  scheme: hmac({
    message: [timestamp, '.', rawBody],
    signature: {
      at: header('persona-signature'),
      encoding: 'hex',
      separator: ',',
      prefix: 'v1=',
      repeatsList: true,
    },
    timestamp: { at: item('t'), unit: 's' },
  }),
  secret: textSecret({
    label: 'Webhook secret',
    prefix: 'wbhsec_',
    where: 'Persona Dashboard → Integration → Webhooks → your webhook → Webhook secret',
  }),
  idIsSigned: true,
  events: {
    id: json('data.id'),
    topic: json('data.attributes.name'),
    occurredAt: { at: json('data.attributes.created-at'), unit: 'iso' },
  },
  retries: 'Wants 200; up to 8 more tries with growing gaps.',
  sending: { newId: () => randomId('evt_') },
  answers: { success: [200], failure: { any: 'retried' } },
  setup: { url: 'Persona Dashboard → Integration → Webhooks → Create webhook → URL' },
  samples: {
    'inquiry.approved': (draft) => event(draft, 'approved'),
    'inquiry.completed': (draft) => event(draft, 'completed'),
    '*': (draft) => event(draft, 'created'),
  },
};

function event({ topic, id, now }: SampleDraft, status: string): object {
  return {
    data: {
      type: 'event',
      id,
      attributes: {
        name: topic,
        payload: {
          data: {
            type: topic.split('.')[0],
            id: randomId('inq_'),
            attributes: { status, 'reference-id': 'bell-1042' },
          },
        },
        'created-at': now.toISOString(),
      },
    },
  };
}
