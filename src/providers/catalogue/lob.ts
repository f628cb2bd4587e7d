// Lob: hex HMAC over `time.body`; time and signature are in separate headers.

import type { Provider, SampleDraft } from '../provider.ts';
import { hmac } from '../schemes/hmac.ts';
import { textSecret } from '../secrets.ts';
import { header, json, rawBody } from '../template/parts.ts';
import { randomId } from './sample.ts';

const timeHeader = 'lob-signature-timestamp';

export const lob: Provider = {
  name: 'lob',
  title: 'Lob',
  docsUrl: 'https://help.lob.com/print-and-mail/getting-data-and-results/using-webhooks',
  facts:
    'Signature T: MuckRock and six other public receivers agree. Whether the signed time is in seconds or milliseconds they do not agree on, so its age is not checked: the id is signed, and an old delivery is a duplicate. Body T: the same. A 2xx, and retries else D: help.lob.com, using webhooks.',
  scheme: hmac({
    message: [header(timeHeader), '.', rawBody],
    signature: { at: header('lob-signature'), encoding: 'hex' },
  }),
  secret: textSecret({
    label: 'Webhook secret',
    where: 'dashboard.lob.com → Webhooks → your webhook → Secret',
  }),
  idIsSigned: true,
  events: {
    id: json('id'),
    topic: json('event_type.id'),
    occurredAt: { at: json('date_created'), unit: 'iso' },
  },
  headers: [timeHeader],
  retries: 'Wants a 2xx; tries again, schedule unknown.',
  sending: { newId: () => randomId('evt_'), headers: ({ now }) => ({ [timeHeader]: String(now.getTime()) }) },
  answers: { failure: { any: 'retried' } },
  setup: { url: 'dashboard.lob.com → Webhooks → Create → URL' },
  samples: {
    'letter.delivered': (draft) => event(draft, 'ltr_', 'letter'),
    'postcard.created': (draft) => event(draft, 'psc_', 'postcard'),
    '*': (draft) => event(draft, 'ltr_', 'letter'),
  },
};

function event({ topic, id, now }: SampleDraft, prefix: string, object: string): object {
  const resource = randomId(prefix);
  return {
    id,
    body: { id: resource, object, metadata: {} },
    reference_id: resource,
    event_type: { id: topic, enabled_for_test: true, resource: `${object}s`, object: 'event_type' },
    date_created: now.toISOString(),
    object: 'event',
  };
}
