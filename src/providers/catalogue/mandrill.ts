// Mandrill: base64 HMAC-SHA1 over the URL and the form fields; mandrill_events holds a JSON array of events.
import { formFields } from '../body/body.ts';
import { singleField } from '../body/form.ts';
import { bareRequest, emptyAnswer } from '../handshake.ts';
import type { Delivery, HandshakeAnswer, Provider, Rejection, SampleDraft } from '../provider.ts';
import { hmac } from '../schemes/hmac.ts';
import { textSecret } from '../secrets.ts';
import { computed, firstOf, header, json, optional, type Reading, url } from '../template/parts.ts';
import { missing } from '../template/reading.ts';
import { randomId, unixSeconds } from './sample.ts';

const eventsField = 'mandrill_events';

export const mandrill: Provider = {
  name: 'mandrill',
  title: 'Mailchimp Transactional (Mandrill)',
  docsUrl: 'https://mailchimp.com/developer/transactional/guides/track-respond-activity-webhooks/',
  facts:
    'Signature D: mandrill.zendesk.com, how to authenticate webhook requests. HEAD and the empty POST under the key test-webhook D: the same, introduction to webhooks. Body, up to 1,000 events, event and ts D: the same, webhook format. Retries unknown.',
  scheme: hmac({
    hash: 'sha1',
    message: [url, computed(signedEvents)],
    signature: { at: header('x-mandrill-signature'), encoding: 'base64' },
    signs: { body: true },
  }),
  secret: textSecret({
    label: 'Webhook key',
    where: 'mandrillapp.com → Settings → Webhooks → your webhook → Key',
  }),
  idIsSigned: true,
  body: { form: 'flat', jsonField: eventsField, signedText: computed(signedEvents) },
  events: {
    // All events of one message share its _id, and a scanner may click two links in one second. Changes of the lists and
    // inbound mail have no _id: the hash of the event is the id.
    id: [
      json('_id'),
      ':',
      json('event'),
      ':',
      json('ts'),
      optional(':', json('ip')),
      optional(':', json('url')),
    ],
    topic: firstOf(json('event'), [json('type'), '.', json('action')]),
    occurredAt: { at: json('ts'), unit: 's' },
    items: (body) => body,
  },
  handshakes: [bareRequest('HEAD'), { method: 'POST', phase: 'unsigned', answer: answerEmptyBatch }],
  retries: 'Wants 200; tries again, schedule unknown.',
  answers: { success: [200], failure: { '5xx': 'retried' } },
  samples: {
    send: (draft) => batch(draft, [{ _id: draft.id }, { _id: randomId() }]),
    open: (draft) => batch(draft, [{ _id: draft.id, ip: '203.0.113.7' }]),
    hard_bounce: (draft) => batch(draft, [{ _id: draft.id }]),
    '*': (draft) => batch(draft, [{ _id: draft.id }]),
  },
};

/**
 * Names and values are signed without separators, so different forms could have the same signature. Only the single
 * field that Mandrill sends is accepted.
 */
function signedEvents({ delivery }: Reading): string | Rejection {
  const fields = formFields(delivery);
  const [field] = fields ?? [];
  if (fields?.length !== 1 || field?.[0] !== eventsField)
    return missing(`${eventsField} as the only field of a form`);
  return field.join('');
}

/** The test when a webhook is created, signed with a publicly known key. It contains no event, so nothing is stored. */
function answerEmptyBatch(delivery: Delivery): HandshakeAnswer | undefined {
  if (delivery.body.length > 200) return undefined;
  const fields = formFields(delivery);
  return fields && singleField(fields, eventsField) === '[]' ? emptyAnswer() : undefined;
}

function batch({ topic, now }: SampleDraft, events: readonly object[]): URLSearchParams {
  const ts = unixSeconds(now);
  const all = events.map((one) => ({
    event: topic,
    ts,
    msg: { ts, subject: 'Ring', email: 'ada@example.com', state: 'sent', tags: ['bell'] },
    ...one,
  }));
  return new URLSearchParams({ [eventsField]: JSON.stringify(all) });
}
