// HubSpot v3: base64 HMAC over method, URL, body and timestamp; v1 and v2: plain hashes. A JSON array of events in each.
import { isUtf8 } from 'node:buffer';
import type { Provider, Rejection, SampleDraft } from '../provider.ts';
import { alternatives } from '../schemes/alternatives.ts';
import { hmac } from '../schemes/hmac.ts';
import { plainHash } from '../schemes/plain-hash.ts';
import { textSecret } from '../secrets.ts';
import {
  computed,
  header,
  json,
  method,
  optional,
  type Reading,
  rawBody,
  secret,
  timestamp,
  url,
} from '../template/parts.ts';
import { randomNumber } from './sample.ts';

const v3 = hmac({
  message: [method, url, rawBody, timestamp],
  signature: { at: header('x-hubspot-signature-v3'), encoding: 'base64' },
  timestamp: { at: header('x-hubspot-request-timestamp'), unit: 'ms' },
});

/** Accepted at any age, since no time is signed: the ids in the body make a repeated delivery a duplicate. */
const v1OrV2 = plainHash({
  hashes: ['sha256'],
  message: [secret, computed(jsonBody)],
  otherMessages: [[secret, method, url, computed(jsonBody)]],
  signature: { at: header('x-hubspot-signature'), encoding: 'hex' },
  signs: { body: true, url: true },
});

export const hubspot: Provider = {
  name: 'hubspot',
  title: 'HubSpot',
  docsUrl:
    'https://developers.hubspot.com/docs/apps/developer-platform/build-apps/authentication/request-validation',
  facts:
    'Signatures v1, v2 and v3 L: npm @hubspot/api-client, Signature.isValid; v2 D: legacydocs.hubspot.com, v2 request validation. v3 decides where it is sent. eventId is not unique T, and one change may be told of both sides of an association M: its objects are in the id. What is tried again T: community.hubspot.com and legacy pages. Retries M.',
  scheme: alternatives(
    { headers: ['x-hubspot-signature-v3'], scheme: v3 },
    { headers: ['x-hubspot-signature'], scheme: v1OrV2 },
    { headers: [], scheme: v3 },
  ),
  secret: textSecret({
    label: 'Client secret',
    where: 'Developer account → your app → Auth → Client secret',
  }),
  idIsSigned: true,
  events: {
    id: [
      json('eventId'),
      ':',
      json('subscriptionId'),
      ':',
      json('occurredAt'),
      optional(':', json('objectId')),
      optional(':', json('fromObjectId'), '-', json('toObjectId')),
      optional(':', json('propertyName')),
    ],
    topic: json('subscriptionType'),
    occurredAt: { at: json('occurredAt'), unit: 'ms' },
    items: (body) => body,
  },
  headers: ['x-hubspot-request-timestamp'],
  retries:
    'Wants a 2xx within 5 s; up to 10 retries over 24 h (attemptNumber grows) after 429, 5xx and timeouts, none after 400, 401, 403, 404 and 405; webhooks of workflows are not sent again after any 4xx.',
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

/**
 * Anybody who saw a hash with the secret in front can extend the hashed text, but the added bytes are never UTF-8. Also,
 * method and URL of v2 must not count as the beginning of a v1 body.
 */
function jsonBody({ delivery: { body } }: Reading): Buffer | Rejection {
  if ((body[0] === 91 || body[0] === 123) && isUtf8(body)) return body;
  return { ok: false, reason: 'wrong_signature', detail: 'under this signature the body must be JSON' };
}

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
