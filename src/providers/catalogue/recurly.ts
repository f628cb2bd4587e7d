// Recurly's JSON notifications: a list of time and signatures, over `time.body`.

import type { Provider, SampleDraft } from '../provider.ts';
import { hmac } from '../schemes/hmac.ts';
import { textSecret } from '../secrets.ts';
import { header, itemAt, json, rawBody, timestamp } from '../template/parts.ts';
import { randomId } from './sample.ts';

export const recurly: Provider = {
  name: 'recurly',
  title: 'Recurly',
  docsUrl: 'https://docs.recurly.com/recurly-engage/docs/webhooks',
  facts:
    'Signature, milliseconds, 5 minutes and body L: recurly/recurly-client-ruby, lib/recurly/webhooks.rb and its spec. Deadline D: docs.recurly.com/docs/webhooks. XML notifications are unsigned and not accepted.',
  scheme: hmac({
    message: [timestamp, '.', rawBody],
    signature: { at: header('recurly-signature'), encoding: 'hex', separator: ',', skip: 1 },
    timestamp: { at: itemAt(0), unit: 'ms' },
  }),
  secret: textSecret({
    label: 'Shared secret',
    where: 'Integrations → Webhooks → your endpoint → Secret key',
  }),
  idIsSigned: true,
  events: {
    // `id` names the object; together with kind and time of the event it makes the event's id.
    id: [json('object_type'), ':', json('id'), ':', json('event_type'), ':', json('event_time')],
    topic: [json('object_type'), '.', json('event_type')],
    occurredAt: { at: json('event_time'), unit: 'iso' },
  },
  retries: 'Wants a 2xx within 5 s; tries again with growing gaps.',
  sending: { newId: () => randomId().slice(0, 12) },
  answers: { failure: { '5xx': 'retried' } },
  samples: {
    'account.created': (draft) => notification(draft, { account_code: 'ada' }),
    'subscription.renewed': (draft) => notification(draft, { uuid: randomId() }),
    '*': (draft) => notification(draft, {}),
  },
};

function notification({ topic, id, now }: SampleDraft, more: object): object {
  const [type, event] = topic.split('.');
  return {
    id,
    object_type: type,
    site_id: 'qc326l1hl8k9',
    event_type: event,
    event_time: now.toISOString(),
    ...more,
  };
}
