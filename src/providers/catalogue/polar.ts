// Polar: Standard Webhooks, with the whole secret as text for a key or, of newer whsec_…, the bytes that it encodes.

import type { Provider, SampleDraft } from '../provider.ts';
import { bearer, listAt, type RecoverSpec, textAt } from '../recover.ts';
import { decodeKey } from '../schemes/key.ts';
import { standardWebhooks } from '../schemes/standard-webhooks.ts';
import { isSigningToken } from '../secrets.ts';
import { json } from '../template/parts.ts';
import { randomId } from './sample.ts';
import { standardSender } from './standard-family.ts';

const asText = standardSender({
  name: 'polar',
  title: 'Polar',
  docsUrl: 'https://docs.polar.sh/integrate/webhooks/delivery',
  facts:
    'List of deliveries, their created_at, and redelivery L: npm @polar-sh/sdk, webhooks.listWebhookDeliveries and redeliverWebhookEvent; the event id is sent as webhook-id L: polarsource/polar, webhook/tasks.py; 30 or 90 days M. Signature and the text as key L: npm @polar-sh/sdk, webhooks.validateEvent. Secrets made since 2026-06-29 begin with whsec_, and those made before 2026-09-08 still sign with the text of the whole, later ones with the decoded bytes L: polarsource/polar, pull requests 14102 and 14117. Nobody can tell from a whsec_… which it is, so both keys are tried, as their newer library does. Type L, timestamp M. Retries and switching off L: the same repository.',
  secret: {
    where: 'Settings → Webhooks → your endpoint → Secret',
    format: 'whsec_…, polar_whs_… or one of your choice, copied whole',
  },
  key: 'text',
  occurredAt: { at: json('timestamp'), unit: 'iso' },
  retries:
    'Wants a 2xx within 10 s, no redirect; 10 tries, each with a new signature; 10 failed events in a row switch the endpoint off.',
  answers: { failure: { '5xx': 'retried' } },
  samples: {
    'order.paid': (draft) => event(draft, { status: 'paid', total_amount: 4200, currency: 'eur' }),
    'subscription.active': (draft) => event(draft, { status: 'active' }),
    '*': (draft) => event(draft, {}),
  },
});

const pageSize = 100;

const recover: RecoverSpec = {
  key: 'organization access token with webhooks:read and webhooks:write',
  url: 'https://api.polar.sh',
  wants: {
    setting: 'ENDPOINT',
    example: 'the id of your webhook endpoint, a UUID',
    pattern: /^[\w-]+$/,
    onlyToSendAgain: true,
  },
  keptHours: 30 * 24,
  authorize: bearer,
  redeliver: {
    endpoint: 'GET /v1/webhooks/deliveries, POST /v1/webhooks/events/{id}/redeliver',
    // The stretch has an end: what is added meanwhile does not shift the numbered pages.
    page: ({ since, until, cursor = '1', wanted }) => ({
      path: '/v1/webhooks/deliveries',
      query: {
        endpoint_id: wanted,
        limit: String(pageSize),
        page: cursor,
        start_timestamp: since.toISOString(),
        end_timestamp: until.toISOString(),
      },
    }),
    read: ({ json: answer }, { cursor = '1' }) => {
      const isLast = Number(cursor) >= Number(textAt(answer, 'pagination.max_page') ?? 0);
      return { items: listAt(answer, 'items'), next: isLast ? undefined : String(Number(cursor) + 1) };
    },
    delivery: (item) => {
      const id = textAt(item, 'webhook_event.id');
      return id === undefined || listAt(item, 'webhook_event.is_archived') === true
        ? undefined
        : { id, eventIds: [id] };
    },
    sentAt: (item) => textAt(item, 'created_at'),
    again: (id) => ({ method: 'POST', path: `/v1/webhooks/events/${encodeURIComponent(id)}/redeliver` }),
  },
  lost: 'events that Polar has archived, and those that it never tried to deliver',
};

export const polar: Provider = {
  ...asText,
  recover,
  scheme: standardWebhooks('webhook', [encodedKey, 'text']),
};

function encodedKey(secret: string): Buffer | undefined {
  return isSigningToken(secret) ? decodeKey({ base64: 'whsec_' }, secret) : undefined;
}

function event({ topic, now }: SampleDraft, data: object): object {
  return { type: topic, timestamp: now.toISOString(), data: { id: randomId(), ...data } };
}
