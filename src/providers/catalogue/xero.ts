// Xero: base64 HMAC over the body, a batch of events; Xero tests an endpoint with right and wrong signatures.
import { valueAt } from '../body/body.ts';
import { emptyAnswer, smallJsonBody } from '../handshake.ts';
import type { Delivery, HandshakeAnswer, Provider, SampleDraft } from '../provider.ts';
import { hmac } from '../schemes/hmac.ts';
import { textSecret } from '../secrets.ts';
import { header, json, rawBody } from '../template/parts.ts';
import { randomId } from './sample.ts';

export const xero: Provider = {
  name: 'xero',
  title: 'Xero',
  docsUrl: 'https://developer.xero.com/documentation/guides/webhooks/configuring-your-server/',
  facts:
    'Signature, intent to receive, empty answer, deadline, retries and fields of an event D: developer.xero.com/documentation/webhooks. The key is used as text T. No id is sent.',
  scheme: hmac({ message: rawBody, signature: { at: header('x-xero-signature'), encoding: 'base64' } }),
  secret: textSecret({
    label: 'Webhooks key',
    format: 'text (looks like base64, but is used unchanged)',
    where: 'developer.xero.com → your app → Webhooks → Webhooks key',
  }),
  idIsSigned: true,
  events: {
    id: [
      json('tenantId'),
      ':',
      json('eventCategory'),
      ':',
      json('eventType'),
      ':',
      json('resourceId'),
      ':',
      json('eventDateUtc'),
    ],
    topic: [json('eventCategory'), '.', json('eventType')],
    occurredAt: { at: json('eventDateUtc'), unit: 'iso-utc' },
    items: (body) => valueAt(body, ['events']),
  },
  handshakes: [{ method: 'POST', phase: 'verified', answer: answerIntent }],
  // Xero expects no body and no cookies in the answer.
  acceptedAnswer: emptyAnswer(),
  retries:
    'Wants 200 without a body within 5 s, and 401 to a wrong signature; tries again for 24 h, then switches the webhook off.',
  sending: { newId: () => crypto.randomUUID() },
  answers: { success: [200], failure: { '5xx': 'retried' } },
  samples: {
    'INVOICE.CREATE': (draft) => batch(draft, [draft.id, crypto.randomUUID()]),
    'CONTACT.UPDATE': (draft) => batch(draft, [draft.id]),
    '*': (draft) => batch(draft, [draft.id]),
  },
};

/** "Intent to receive": signed, without events. A wrong signature has already got its 401. */
function answerIntent(delivery: Delivery): HandshakeAnswer | undefined {
  const events = valueAt(smallJsonBody(delivery, '"entropy"'), ['events']);
  return Array.isArray(events) && events.length === 0 ? emptyAnswer() : undefined;
}

function batch({ topic, now }: SampleDraft, resourceIds: readonly string[]): object {
  const [eventCategory = '', eventType] = topic.split('.');
  return {
    events: resourceIds.map((resourceId) => ({
      resourceUrl: `https://api.xero.com/api.xro/2.0/${eventCategory}s/${resourceId}`,
      resourceId,
      eventDateUtc: now.toISOString().slice(0, -1),
      eventType,
      eventCategory,
      tenantId: 'c2cc9b6e-9458-4c7d-93cc-f02b81b0594f',
      tenantType: 'ORGANISATION',
    })),
    firstEventSequence: 1,
    lastEventSequence: resourceIds.length,
    entropy: randomId(),
  };
}
