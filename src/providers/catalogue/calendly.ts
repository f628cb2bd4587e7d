// Calendly: `t=…,v1=…` over `t.body`; no id is sent, so the body's hash is the id.

import type { Provider, SampleDraft } from '../provider.ts';
import { hmac } from '../schemes/hmac.ts';
import { textSecret } from '../secrets.ts';
import { header, item, json, rawBody, timestamp } from '../template/parts.ts';

export const calendly: Provider = {
  name: 'calendly',
  title: 'Calendly',
  docsUrl: 'https://developer.calendly.com/api-docs/overview/webhooks/webhook-signatures',
  facts:
    'Header, `timestamp.body` and signing key D: developer.calendly.com, webhook signatures, and community.calendly.com. Hex T: n8n, Trigger.dev and Hookdeck agree. Body T: public listeners. Retries for 24 h D: developer.calendly.com, webhook errors.',
  scheme: hmac({
    message: [timestamp, '.', rawBody],
    signature: { at: header('calendly-webhook-signature'), encoding: 'hex', separator: ',', prefix: 'v1=' },
    // Whether retries are signed again is not documented. Retries last 24 h; one hour more accepts the last retry. The id
    // is the body's hash, so an old delivery is a duplicate.
    timestamp: { at: item('t'), unit: 's', pastSeconds: 25 * 3600 },
  }),
  secret: textSecret({
    label: 'Webhook signing key',
    where:
      'signing_key that you gave when creating the subscription by API; or the OAuth app → Webhook signing key',
  }),
  idIsSigned: true,
  events: { topic: json('event'), occurredAt: { at: json('created_at'), unit: 'iso' } },
  retries: 'Wants a 2xx; tries again for up to 24 h, then switches the subscription off.',
  answers: { failure: { '5xx': 'retried' } },
  samples: {
    'invitee.created': (draft) => event(draft, { status: 'active', rescheduled: false }),
    'invitee.canceled': (draft) => event(draft, { status: 'canceled', rescheduled: false }),
    '*': (draft) => event(draft, {}),
  },
};

function event({ topic, now }: SampleDraft, more: object): object {
  const scheduled = `https://api.calendly.com/scheduled_events/${crypto.randomUUID()}`;
  return {
    event: topic,
    created_at: now.toISOString(),
    created_by: 'https://api.calendly.com/users/AAAAAAAAAAAAAAAA',
    payload: {
      uri: `${scheduled}/invitees/${crypto.randomUUID()}`,
      email: 'ada@example.com',
      name: 'Ada',
      scheduled_event: { uri: scheduled, name: '30 Minute Meeting', start_time: now.toISOString() },
      ...more,
    },
  };
}
