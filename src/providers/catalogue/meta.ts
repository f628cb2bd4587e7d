// Meta (Facebook, Instagram, WhatsApp): `sha256=` hex HMAC over the body as sent; entries of changes or messages.

import { valueAt } from '../body/body.ts';
import { verifyTokenChallenge } from '../handshake.ts';
import type { Provider } from '../provider.ts';
import { hmac } from '../schemes/hmac.ts';
import { textSecret } from '../secrets.ts';
import { computed, firstOf, header, json, optional, type Reading, rawBody } from '../template/parts.ts';
import { readText } from '../template/reading.ts';
import { randomId, randomNumber, unixSeconds } from './sample.ts';

const changePath = 'entry.0.changes.0';
const messagePath = `${changePath}.value.messages.0`;
const statusPath = `${changePath}.value.statuses.0`;
const messagingPath = 'entry.0.messaging.0';

export const meta: Provider = {
  name: 'meta',
  title: 'Meta (Facebook, Instagram, WhatsApp)',
  docsUrl: 'https://developers.facebook.com/docs/graph-api/webhooks/getting-started',
  facts:
    'Signature and handshake T: Trigger.dev, n8n, quotations of the Meta documentation. entry.time is when a notification was sent, and a retry may divide the batch differently T: quotations of its Graph API page; so messages, statuses and postbacks go by their own ids, one event each, and all else by the hash of one change with its entry. Ids and times of WhatsApp messages and statuses D: developers.facebook.com, WhatsApp webhooks, messages and status. Retries T.',
  // Meta signs the text with \uXXXX escapes: the raw bytes match, a decoded and re-encoded body would not.
  scheme: hmac({
    message: rawBody,
    signature: { at: header('x-hub-signature-256'), encoding: 'hex', prefix: 'sha256=' },
  }),
  secret: textSecret({
    label: 'App secret',
    where: 'developers.facebook.com → your app → App settings → Basic',
  }),
  idIsSigned: true,
  events: {
    id: firstOf(
      [json('entry.0.id'), ':', json(`${changePath}.field`), ':', json(`${messagePath}.id`)],
      // One message passes through several statuses, in a group for each member.
      [
        json('entry.0.id'),
        ':',
        json(`${statusPath}.id`),
        ':',
        json(`${statusPath}.status`),
        ':',
        json(`${statusPath}.timestamp`),
        optional(':', json(`${statusPath}.recipient_participant_id`)),
      ],
      [json('entry.0.id'), ':message:', json(`${messagingPath}.message.mid`), computed(deletedMark)],
      [
        json('entry.0.id'),
        ':postback:',
        json(`${messagingPath}.postback.mid`),
        ':',
        json(`${messagingPath}.timestamp`),
      ],
    ),
    topic: [json('object'), '.', computed(fieldOf)],
    occurredAt: { at: computed(timeOf), unit: 'iso' },
    items: splitEntries,
  },
  handshakes: [verifyTokenChallenge('hub.mode', 'subscribe', 'hub.verify_token', 'hub.challenge')],
  retries:
    'Wants 200; tries again for up to 36 h, WhatsApp for up to 7 days, and may then send several changes together.',
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

/**
 * Each change becomes a body of Meta's own shape with one entry and one change, and in that one message or status. So no
 * member is lost, and a batch that a retry divides differently gives the same events.
 */
function splitEntries(body: unknown): unknown {
  const entries = valueAt(body, ['entry']);
  if (!Array.isArray(entries)) return undefined;
  return entries.flatMap((entry) => {
    for (const kind of ['changes', 'messaging', 'standby']) {
      const list = valueAt(entry, [kind]);
      if (Array.isArray(list) && list.length > 0)
        return list.flatMap(splitChange).map((one) => ({
          ...(body as object),
          entry: [{ ...entry, [kind]: [one] }],
        }));
    }
    return [{ ...(body as object), entry: [entry] }];
  });
}

/** WhatsApp's changes hold lists of messages and of statuses. */
function splitChange(change: unknown): unknown[] {
  const value = valueAt(change, ['value']);
  const lists = ['messages', 'statuses'].flatMap((name) => {
    const list = valueAt(value, [name]);
    return Array.isArray(list) && list.length > 0 ? [{ name, list }] : [];
  });
  if (lists.length === 0) return [change];
  const { messages, statuses, ...rest } = value as Record<string, unknown>;
  return lists.flatMap(({ name, list }) =>
    list.map((one) => ({ ...(change as object), value: { ...rest, [name]: [one] } })),
  );
}

/** A deleted message is reported under the message's own id. */
function deletedMark(reading: Reading): string {
  return valueAt(reading.item, [...messagingPath.split('.'), 'message', 'is_deleted']) === true
    ? ':deleted'
    : '';
}

/** For a change its field, e.g. `feed`; for a message its kind: `message`, `postback`, `delivery`, `read`. */
function fieldOf(reading: Reading): string | undefined {
  const field = readText(json('entry.0.changes.0.field'), reading);
  if (field !== undefined) return field;
  const messaging = valueAt(reading.item, ['entry', '0', 'messaging', '0']);
  if (typeof messaging !== 'object' || messaging === null) return undefined;
  return Object.keys(messaging).find((key) => !['sender', 'recipient', 'timestamp'].includes(key));
}

/** Pages send seconds, Messenger milliseconds, WhatsApp only the message's or status's own time. */
function timeOf(reading: Reading): string | undefined {
  for (const path of [
    `${messagingPath}.timestamp`,
    `${messagePath}.timestamp`,
    `${statusPath}.timestamp`,
    'entry.0.time',
  ]) {
    const time = Number(readText(json(path), reading));
    if (time > 0 && time < 8e15) return new Date(time > 1e11 ? time : time * 1000).toISOString();
  }
  return undefined;
}
