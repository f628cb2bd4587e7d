// Authsignal: `t=…,v2=…` over `t.body`, the signature in base64 without padding.
import { header, item, json, rawBody, timestamp } from '../parts.ts';
import type { Provider, SampleDraft } from '../provider.ts';
import { hmac } from '../schemes/hmac.ts';
import { textSecret } from '../secrets.ts';
import { randomId } from './sample.ts';

export const authsignal: Provider = {
  name: 'authsignal',
  title: 'Authsignal',
  docsUrl: 'https://docs.authsignal.com/advanced-usage/webhooks/introduction',
  facts:
    'Signature, the five minutes and the fields of an event L: npm @authsignal/node, webhook.constructEvent. Retries unknown.',
  scheme: hmac({
    message: [timestamp, '.', rawBody],
    signature: { at: header('x-signature-v2'), encoding: 'base64-unpadded', separator: ',', prefix: 'v2=' },
    timestamp: { at: item('t'), unit: 's' },
  }),
  secret: textSecret({
    label: 'Secret key',
    where: 'Authsignal portal → Settings → API keys → Secret key of the tenant',
  }),
  idIsSigned: true,
  events: { id: json('id'), topic: json('type'), occurredAt: { at: json('time'), unit: 'iso' } },
  retries: 'Wants a 2xx; schedule unknown.',
  sending: { newId: () => crypto.randomUUID() },
  answers: 'unknown',
  samples: {
    'email.created': (draft) => event(draft, { to: 'ada@example.com', code: '123456' }),
    'sms.created': (draft) => event(draft, { to: '+14155238886', code: '123456' }),
    '*': (draft) => event(draft, {}),
  },
};

function event({ topic, id, now }: SampleDraft, data: object): object {
  return {
    version: 1,
    type: topic,
    id,
    source: 'https://authsignal.com',
    time: now.toISOString(),
    tenantId: randomId(),
    data,
  };
}
