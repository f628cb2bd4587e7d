// HubSpot v3: base64 HMAC over method, URL, body and timestamp; a JSON array of events in each delivery.
import { header, json, method, rawBody, timestamp, url } from '../parts.ts';
import type { Provider, SampleDraft } from '../provider.ts';
import { hmac } from '../schemes/hmac.ts';
import { textSecret } from '../secrets.ts';
import { randomNumber } from './sample.ts';

export const hubspot: Provider = {
  name: 'hubspot',
  title: 'HubSpot',
  docsUrl:
    'https://developers.hubspot.com/docs/apps/developer-platform/build-apps/authentication/request-validation',
  facts:
    'Signature L: npm @hubspot/api-client, Signature.isValid. That eventId is not unique, and retries, M.',
  // v1 and v2 (X-HubSpot-Signature) are plain hashes with the secret in front: not accepted.
  scheme: hmac({
    message: [method, url, rawBody, timestamp],
    signature: { at: header('x-hubspot-signature-v3'), encoding: 'base64' },
    timestamp: { at: header('x-hubspot-request-timestamp'), unit: 'ms' },
  }),
  secret: textSecret({
    label: 'Client secret',
    where: 'Developer account → your app → Auth → Client secret',
  }),
  idIsSigned: true,
  events: {
    id: [json('eventId'), ':', json('subscriptionId'), ':', json('occurredAt')],
    topic: json('subscriptionType'),
    occurredAt: { at: json('occurredAt'), unit: 'ms' },
    items: (body) => body,
  },
  headers: ['x-hubspot-request-timestamp'],
  retries: 'Wants a 2xx within 5 s; up to 10 retries over 24 h (attemptNumber grows).',
  sending: { newId: () => String(randomNumber(9)) },
  answers: {
    failure: {
      400: 'final',
      401: 'final',
      403: 'final',
      404: 'final',
      405: 'final',
      429: 'retried',
      '5xx': 'retried',
    },
  },
  samples: {
    'contact.creation': (draft) => [event(draft, draft.id), event(draft, String(randomNumber(9)))],
    'contact.propertyChange': (draft) => [
      { ...event(draft, draft.id), propertyName: 'email', propertyValue: 'ada@example.com' },
    ],
    'deal.creation': (draft) => [event(draft, draft.id)],
    '*': (draft) => [event(draft, draft.id)],
  },
};

function event({ topic, now }: SampleDraft, id: string): object {
  return {
    eventId: Number(id) || id,
    subscriptionId: 25,
    portalId: 33,
    appId: 1160452,
    occurredAt: now.getTime(),
    subscriptionType: topic,
    attemptNumber: 0,
    objectId: 123,
    changeSource: 'CRM',
  };
}
