// Webflow: hex HMAC over `timestamp:body`; the body names its trigger and has no id.

import type { Provider, SampleDraft } from '../provider.ts';
import { hmac } from '../schemes/hmac.ts';
import { textSecret } from '../secrets.ts';
import { header, json, rawBody, timestamp } from '../template/parts.ts';
import { randomId } from './sample.ts';

export const webflow: Provider = {
  name: 'webflow',
  title: 'Webflow',
  docsUrl: 'https://developers.webflow.com/data/docs/working-with-webhooks',
  facts:
    'Signature T: n8n and Hookdeck, which agree. Body, deadline, retries, and that webhooks made in the dashboard are not signed T: Hookdeck.',
  scheme: hmac({
    message: [timestamp, ':', rawBody],
    signature: { at: header('x-webflow-signature'), encoding: 'hex' },
    // Whether retries are signed again is unknown. The id is the body's hash, so an old delivery is a duplicate.
    timestamp: { at: header('x-webflow-timestamp'), unit: 'ms', pastSeconds: 3600 },
  }),
  secret: textSecret({
    label: 'Client secret, or the secret of the webhook',
    where:
      'Of the app that made the webhook: Apps & Integrations → your app. Made with a site token: in the answer to it',
  }),
  idIsSigned: true,
  events: {
    topic: json('triggerType'),
    occurredAt: { at: json('payload.submittedAt'), unit: 'iso' },
  },
  headers: ['x-webflow-timestamp'],
  retries: 'Wants a 2xx within 30 s; 3 retries, 10 minutes apart.',
  answers: { failure: { '5xx': 'retried' } },
  samples: {
    form_submission: (draft) =>
      event(draft, {
        name: 'Ring the bell',
        data: { email: 'ada@example.com' },
        submittedAt: draft.now.toISOString(),
      }),
    ecomm_new_order: (draft) => event(draft, { orderId: randomId(), status: 'pending' }),
    collection_item_changed: (draft) =>
      event(draft, { fieldData: { name: 'Bell' }, lastUpdated: draft.now.toISOString() }),
    '*': (draft) => event(draft, {}),
  },
};

function event({ topic }: SampleDraft, payload: object): object {
  return { triggerType: topic, payload: { id: randomId(), siteId: '65427cf400e02b306eaa049c', ...payload } };
}
