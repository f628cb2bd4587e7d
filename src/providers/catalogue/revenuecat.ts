// RevenueCat: `t=…,v1=…` over `t.body` where signing is on; else the Authorization header that you set.

import type { Provider, SampleDraft } from '../provider.ts';
import { alternatives } from '../schemes/alternatives.ts';
import { credential } from '../schemes/credential.ts';
import { hmac } from '../schemes/hmac.ts';
import { textSecret } from '../secrets.ts';
import { header, item, json, rawBody, timestamp } from '../template/parts.ts';
import { randomId, randomNumber } from './sample.ts';

const signatureHeader = 'x-revenuecat-webhook-signature';

export const revenuecat: Provider = {
  name: 'revenuecat',
  title: 'RevenueCat',
  docsUrl: 'https://www.revenuecat.com/docs/integrations/webhooks',
  facts:
    'Authorization header, retries and that they keep id and time, fields D: RevenueCat/docs, webhooks and event types. Signature (t and v1, hex, seconds, 300 s; several v1 while secrets change) T: seven public receivers that agree; that each attempt is signed again T: one of them.',
  // A received signature must be valid; the header beside it does not replace it.
  scheme: alternatives(
    {
      headers: [signatureHeader],
      scheme: hmac({
        message: [timestamp, '.', rawBody],
        signature: { at: header(signatureHeader), encoding: 'hex', separator: ',', prefix: 'v1=' },
        timestamp: { at: item('t'), unit: 's' },
      }),
    },
    { headers: [], scheme: credential({ at: header('authorization'), name: 'static secret' }) },
  ),
  secret: textSecret({
    label: 'Signing secret or Authorization header',
    format: 'the signing secret (better), or the whole value of the Authorization header',
    where: 'app.revenuecat.com → your project → Integrations → Webhooks → your webhook',
  }),
  idIsSigned: true,
  events: {
    id: json('event.id'),
    topic: json('event.type'),
    occurredAt: { at: json('event.event_timestamp_ms'), unit: 'ms' },
  },
  retries:
    'Wants exactly 200 within 60 s; tries again 5 times, after 5, 10, 20, 40 and 80 min. Afterwards by hand: Retry in the list of events.',
  sending: { newId: () => crypto.randomUUID() },
  answers: { success: [200], failure: { '5xx': 'retried' } },
  samples: {
    INITIAL_PURCHASE: (draft) => event(draft, { period_type: 'NORMAL', price: 4.99, currency: 'USD' }),
    RENEWAL: (draft) => event(draft, { period_type: 'NORMAL', is_trial_conversion: false }),
    CANCELLATION: (draft) => event(draft, { cancel_reason: 'UNSUBSCRIBE' }),
    '*': (draft) => event(draft, {}),
  },
};

function event({ topic, id, now }: SampleDraft, more: object): object {
  return {
    api_version: '1.0',
    event: {
      id,
      type: topic,
      event_timestamp_ms: now.getTime(),
      app_id: randomId('app'),
      app_user_id: String(randomNumber(10)),
      product_id: 'com.example.bell.monthly',
      entitlement_ids: ['pro'],
      store: 'APP_STORE',
      environment: 'PRODUCTION',
      transaction_id: String(randomNumber(14)),
      ...more,
    },
  };
}
