// Tally: base64 HMAC over the body.

import type { Provider, SampleDraft } from '../provider.ts';
import { hmac } from '../schemes/hmac.ts';
import { textSecret } from '../secrets.ts';
import { header, json, rawBody } from '../template/parts.ts';
import { randomId } from './sample.ts';

export const tally: Provider = {
  name: 'tally',
  title: 'Tally',
  docsUrl: 'https://tally.so/help/webhooks',
  facts:
    'Signature and body T: Hookdeck and several public receivers that agree. Retries, and asking again by the eventId D: developers.tally.so, retrying webhook events.',
  scheme: hmac({ message: rawBody, signature: { at: header('tally-signature'), encoding: 'base64' } }),
  secret: textSecret({
    label: 'Signing secret',
    where: 'Tally → your form → Integrations → Webhooks → your webhook → Signing secret',
  }),
  idIsSigned: true,
  events: {
    id: json('eventId'),
    topic: json('eventType'),
    occurredAt: { at: json('createdAt'), unit: 'iso' },
  },
  retries: 'Wants a 2xx; 5 more tries, after 5 and 30 min, 1, 6 and 24 h.',
  sending: { newId: () => crypto.randomUUID() },
  answers: { failure: { '4xx': 'retried', '5xx': 'retried' } },
  redelivery: 'by API: POST /webhooks/{webhookId}/events/{eventId}',
  setup: { url: 'Tally → your form → Integrations → Webhooks → Connect → Endpoint URL' },
  samples: { FORM_RESPONSE: response, '*': response },
};

function response({ topic, id, now }: SampleDraft): object {
  const responseId = randomId().slice(0, 6);
  return {
    eventId: id,
    eventType: topic,
    createdAt: now.toISOString(),
    data: {
      responseId,
      submissionId: responseId,
      respondentId: randomId().slice(0, 6),
      formId: 'mBGEb7',
      formName: 'Bells',
      createdAt: now.toISOString(),
      fields: [{ key: 'question_3EKz4n', label: 'Name', type: 'INPUT_TEXT', value: 'Ada' }],
    },
  };
}
