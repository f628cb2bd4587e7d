// Retell: `v=…,d=…`, hex HMAC over the body and then the time in milliseconds; the key is the API key.

import type { Provider, SampleDraft } from '../provider.ts';
import { hmac } from '../schemes/hmac.ts';
import { textSecret } from '../secrets.ts';
import { header, item, json, rawBody, timestamp } from '../template/parts.ts';
import { randomId } from './sample.ts';

export const retell: Provider = {
  name: 'retell',
  title: 'Retell AI',
  docsUrl: 'https://docs.retellai.com/features/secure-webhook',
  facts:
    'Signature and 5 minutes both ways L: npm retell-sdk, verify and sign. Events D: docs.retellai.com, webhook overview. Deadline T, retries M.',
  scheme: hmac({
    message: [rawBody, timestamp],
    signature: { at: header('x-retell-signature'), encoding: 'hex', separator: ',', prefix: 'd=' },
    timestamp: { at: item('v'), unit: 'ms' },
  }),
  secret: textSecret({
    label: 'API key',
    format: 'the API key with the webhook badge, used as text',
    where: 'dashboard.retellai.com → Settings → API Keys',
  }),
  // Retell sends no id: the body names the call and its state, and the body's hash is the id.
  idIsSigned: true,
  events: { topic: json('event') },
  retries: 'Wants a 2xx within 10 s; up to 3 retries.',
  answers: { failure: { '5xx': 'retried' } },
  samples: {
    call_started: (draft) => call(draft, { call_status: 'ongoing' }),
    call_ended: (draft) =>
      call(draft, { call_status: 'ended', disconnection_reason: 'user_hangup', duration_ms: 17_000 }),
    call_analyzed: (draft) =>
      call(draft, {
        call_status: 'ended',
        call_analysis: { call_summary: 'The bell was rung.', user_sentiment: 'Positive' },
      }),
    '*': (draft) => call(draft, {}),
  },
};

function call({ topic, now }: SampleDraft, more: object): object {
  return {
    event: topic,
    call: {
      call_id: randomId('call_'),
      call_type: 'phone_call',
      agent_id: randomId('agent_'),
      from_number: '+15005550006',
      to_number: '+14155238886',
      direction: 'inbound',
      start_timestamp: now.getTime(),
      ...more,
    },
  };
}
