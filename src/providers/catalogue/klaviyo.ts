// Klaviyo system webhooks: hex HMAC over the body and then the timestamp header's text; a batch of events.
import { splitBody } from '../body/batch.ts';
import type { Provider, Rejection, SampleDraft } from '../provider.ts';
import { hmac } from '../schemes/hmac.ts';
import { textSecret } from '../secrets.ts';
import { computed, header, json, type Reading, rawBody } from '../template/parts.ts';
import { readPart } from '../template/reading.ts';
import { randomId, unixSeconds } from './sample.ts';

export const klaviyo: Provider = {
  name: 'klaviyo',
  title: 'Klaviyo',
  docsUrl: 'https://developers.klaviyo.com/en/docs/working_with_system_webhooks',
  facts:
    'Headers, hex (of the example), body, external_id and topic D: developers.klaviyo.com, working with system webhooks. Body before timestamp T: Hookdeck and other implementations that agree. Flow webhooks are not signed T. Retries unknown.',
  // No tolerance is documented, and some genuine headers differ by hours (test data of nickdnk/klaviyo), so the age is
  // not checked. The ids are signed, so an old delivery is a duplicate.
  scheme: hmac({
    message: [rawBody, computed(timeAfterBody)],
    signs: { body: true },
    signature: { at: header('klaviyo-signature'), encoding: 'hex' },
  }),
  secret: textSecret({
    label: 'Webhook secret',
    where: 'Chosen by you: Integrations → Webhooks → your webhook, or secret_key in the Webhooks API',
  }),
  idIsSigned: true,
  events: {
    id: json('data.0.external_id'),
    topic: json('data.0.topic'),
    occurredAt: { at: json('data.0.payload.data.attributes.timestamp'), unit: 's' },
    // The member beside the events names the account.
    items: (body) => splitBody(body, 'data'),
  },
  headers: ['klaviyo-timestamp', 'klaviyo-webhook-id'],
  retries: 'Wants a 2xx; retries unknown.',
  sending: { headers: ({ now }) => ({ 'klaviyo-timestamp': now.toUTCString() }) },
  answers: 'unknown',
  samples: {
    'event:klaviyo.email_delivered': (draft) => batch(draft, [draft.id, randomId()]),
    'event:klaviyo.opened_email': (draft) => batch(draft, [draft.id]),
    'event:klaviyo.unsubscribed_from_email_marketing': (draft) => batch(draft, [draft.id]),
    '*': (draft) => batch(draft, [draft.id]),
  },
};

/** The time follows the body without separator: only the last bracket of the JSON marks the end of the body. */
function timeAfterBody(reading: Reading): string | Rejection {
  const time = readPart(header('klaviyo-timestamp'), reading);
  if (typeof time !== 'string') return time;
  const isCutThere = /^[A-Za-z0-9][\w ,:.+-]{0,60}$/.test(time) && endsAsJson(reading.delivery.body);
  return isCutThere
    ? time
    : {
        ok: false,
        reason: 'malformed_signature',
        detail: 'the boundary between body and klaviyo-timestamp is not certain',
      };
}

function endsAsJson(body: Buffer): boolean {
  const last = body.findLast((byte) => byte !== 10 && byte !== 13);
  return last === 125 || last === 93;
}

function batch({ topic, now }: SampleDraft, ids: readonly string[]): object {
  return {
    data: ids.map((id) => ({
      topic,
      external_id: id,
      payload: {
        data: {
          type: 'event',
          id,
          attributes: {
            timestamp: unixSeconds(now),
            event_properties: { email_address: 'ada@example.com' },
            datetime: now.toISOString(),
          },
        },
      },
    })),
    meta: {
      timestamp: now.toISOString(),
      klaviyo_account_id: 'AbC123',
      klaviyo_webhook_id: '01HQ3D1S8CG3RQE0RVKZR8D0XX',
      version: '2024-06-28',
    },
  };
}
