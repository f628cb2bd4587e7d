// Meta (Facebook, Instagram, WhatsApp): `sha256=` hex HMAC over the body as sent; entries of changes or messages.

import { valueAt } from '../body.ts';
import { verifyTokenChallenge } from '../handshake.ts';
import { computed, header, json, type Reading, rawBody } from '../parts.ts';
import type { Provider } from '../provider.ts';
import { readText } from '../reading.ts';
import { hmac } from '../schemes/hmac.ts';
import { textSecret } from '../secrets.ts';
import { randomId, randomNumber, unixSeconds } from './sample.ts';

export const meta: Provider = {
  name: 'meta',
  title: 'Meta (Facebook, Instagram, WhatsApp)',
  docsUrl: 'https://developers.facebook.com/docs/graph-api/webhooks/getting-started',
  facts: 'Signature and handshake T: Trigger.dev, n8n, quotations of the Meta documentation. Retries M.',
  // Meta signs the text with \uXXXX escapes: the raw bytes are that text, a decoded body would not be.
  scheme: hmac({
    message: rawBody,
    signature: { at: header('x-hub-signature-256'), encoding: 'hex', prefix: 'sha256=' },
  }),
  secret: textSecret({
    label: 'App secret',
    where: 'developers.facebook.com → your app → App settings → Basic',
  }),
  // No id is sent for the whole; the hash of one change with its entry's id and time is the id.
  idIsSigned: true,
  events: {
    topic: [json('object'), '.', computed(fieldOf)],
    occurredAt: { at: computed(timeOf), unit: 'iso' },
    items: splitEntries,
  },
  handshakes: [verifyTokenChallenge('hub.mode', 'subscribe', 'hub.verify_token', 'hub.challenge')],
  retries: 'Wants 200; tries again for up to 36 h, and may then send several changes together.',
  answers: { success: [200], failure: { '5xx': 'retried' } },
  // WhatsApp sends up to 3 MB.
  bodyLimitBytes: 3_145_728,
  samples: {
    'whatsapp_business_account.messages': ({ now }) => ({
      object: 'whatsapp_business_account',
      entry: [
        {
          id: String(randomNumber(13)),
          changes: [
            {
              field: 'messages',
              value: {
                messaging_product: 'whatsapp',
                messages: [
                  {
                    from: '16315551234',
                    id: `wamid.${randomId()}`,
                    timestamp: String(unixSeconds(now)),
                    type: 'text',
                    text: { body: 'Ring' },
                  },
                ],
              },
            },
          ],
        },
      ],
    }),
    'page.feed': ({ now }) => ({
      object: 'page',
      entry: [
        {
          id: String(randomNumber(13)),
          time: unixSeconds(now),
          changes: [
            { field: 'feed', value: { item: 'status', verb: 'add', post_id: `1_${randomNumber(9)}` } },
            { field: 'feed', value: { item: 'like', verb: 'add', post_id: `1_${randomNumber(9)}` } },
          ],
        },
      ],
    }),
    'page.message': ({ now }) => ({
      object: 'page',
      entry: [
        {
          id: String(randomNumber(13)),
          time: now.getTime(),
          messaging: [
            {
              sender: { id: String(randomNumber(13)) },
              recipient: { id: '1' },
              timestamp: now.getTime(),
              message: { mid: `m_${randomId()}`, text: 'Ring' },
            },
          ],
        },
      ],
    }),
    '*': ({ topic, now }) => {
      const [object, field = 'field'] = topic.split('.');
      const change = { field, value: { id: randomId() } };
      return { object, entry: [{ id: String(randomNumber(13)), time: unixSeconds(now), changes: [change] }] };
    },
  },
};

/** Each change becomes a body of Meta's own shape with one entry and one change, so that nothing of it is lost. */
function splitEntries(body: unknown): unknown {
  const entries = valueAt(body, ['entry']);
  if (!Array.isArray(entries)) return undefined;
  return entries.flatMap((entry) => {
    for (const kind of ['changes', 'messaging', 'standby']) {
      const list = valueAt(entry, [kind]);
      if (Array.isArray(list) && list.length > 0)
        return list.map((one) => ({ ...(body as object), entry: [{ ...entry, [kind]: [one] }] }));
    }
    return [{ ...(body as object), entry: [entry] }];
  });
}

/** `feed` of a change; of a message what it is: `message`, `postback`, `delivery`, `read`. */
function fieldOf(reading: Reading): string | undefined {
  const field = readText(json('entry.0.changes.0.field'), reading);
  if (field !== undefined) return field;
  const messaging = valueAt(reading.item, ['entry', '0', 'messaging', '0']);
  if (typeof messaging !== 'object' || messaging === null) return undefined;
  return Object.keys(messaging).find((key) => !['sender', 'recipient', 'timestamp'].includes(key));
}

/** Pages send seconds, Messenger milliseconds, WhatsApp only the message's own time. */
function timeOf(reading: Reading): string | undefined {
  for (const path of [
    'entry.0.messaging.0.timestamp',
    'entry.0.changes.0.value.messages.0.timestamp',
    'entry.0.time',
  ]) {
    const time = Number(readText(json(path), reading));
    if (time > 0 && time < 8e15) return new Date(time > 1e11 ? time : time * 1000).toISOString();
  }
  return undefined;
}
