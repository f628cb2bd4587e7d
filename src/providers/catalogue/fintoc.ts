// Fintoc: `t=…,v1=…` over `t.body`; its whsec_ secret is used as text.
import { header, item, json, rawBody, timestamp } from '../parts.ts';
import type { Provider, SampleDraft } from '../provider.ts';
import { hmac } from '../schemes/hmac.ts';
import { textSecret } from '../secrets.ts';
import { randomId } from './sample.ts';

export const fintoc: Provider = {
  name: 'fintoc',
  title: 'Fintoc',
  docsUrl: 'https://docs.fintoc.com/docs/webhooks',
  facts: 'Signature and 5 minutes L: npm fintoc, WebhookSignature.verifyHeader. Body and retries M.',
  scheme: hmac({
    message: [timestamp, '.', rawBody],
    signature: { at: header('fintoc-signature'), encoding: 'hex', separator: ',', prefix: 'v1=' },
    timestamp: { at: item('t'), unit: 's' },
  }),
  secret: textSecret({
    label: 'Webhook secret',
    prefix: 'whsec_',
    where: 'Dashboard → Developers → Webhooks → your endpoint → Secret',
  }),
  idIsSigned: true,
  events: {
    id: json('id'),
    topic: json('type'),
    occurredAt: { at: json('created_at'), unit: 'iso' },
  },
  retries: 'Wants a 2xx; tries again with growing gaps.',
  sending: { newId: () => randomId('evt_') },
  answers: { failure: { '5xx': 'retried' } },
  samples: {
    'payment_intent.succeeded': (draft) =>
      event(draft, {
        id: randomId('pi_'),
        object: 'payment_intent',
        amount: 4200,
        currency: 'CLP',
        status: 'succeeded',
      }),
    'refund.succeeded': (draft) => event(draft, { id: randomId('re_'), object: 'refund', amount: 4200 }),
    '*': (draft) => event(draft, { id: randomId() }),
  },
};

function event({ topic, id, now }: SampleDraft, data: object): object {
  return { id, object: 'event', type: topic, mode: 'test', created_at: now.toISOString(), data };
}
