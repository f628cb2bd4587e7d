// Acuity Scheduling: base64 HMAC over a form that only names the appointment, under the account's API key.

import type { Provider, SampleDraft } from '../provider.ts';
import { hmac } from '../schemes/hmac.ts';
import { textSecret } from '../secrets.ts';
import { arrival, computed, firstOf, header, json, type Reading, rawBody } from '../template/parts.ts';
import { readText } from '../template/reading.ts';
import { randomNumber } from './sample.ts';

const oncePerObject = ['scheduled', 'order.completed'];

export const acuity: Provider = {
  name: 'acuity',
  title: 'Acuity Scheduling',
  docsUrl: 'https://developers.acuityscheduling.com/docs/webhooks',
  facts:
    'Signature, form fields and actions D: developers.acuityscheduling.com, webhooks. Signature T as well: n8n. No id is sent; `scheduled` and `order.completed` come once per object D. Retries unknown.',
  scheme: hmac({ message: rawBody, signature: { at: header('x-acuity-signature'), encoding: 'base64' } }),
  secret: textSecret({
    label: 'API key',
    where: "Acuity → Integrations → API → View Credentials → API key (of the account's main admin)",
  }),
  idIsSigned: true,
  body: { form: 'flat' },
  events: {
    // Two changes of one appointment have equal bodies, so the time of arrival is the id.
    id: firstOf(computed(idOfSingleEvent), [json('action'), ':', json('id'), ':', arrival]),
    idPerDelivery: true,
    topic: json('action'),
  },
  retries: 'Wants a 2xx; schedule unknown. A redelivered `changed` looks like a second change.',
  answers: 'unknown',
  samples: {
    changed: (draft) => appointment(draft),
    scheduled: (draft) => appointment(draft),
    rescheduled: (draft) => appointment(draft),
    canceled: (draft) => appointment(draft),
    '*': (draft) => appointment(draft),
  },
};

function idOfSingleEvent(reading: Reading): string | undefined {
  const action = readText(json('action'), reading) ?? '';
  return oncePerObject.includes(action) ? readText([action, ':', json('id')], reading) : undefined;
}

function appointment({ topic }: SampleDraft): URLSearchParams {
  return new URLSearchParams({
    action: topic,
    id: String(randomNumber(9)),
    calendarID: '1234',
    appointmentTypeID: '5678',
  });
}
