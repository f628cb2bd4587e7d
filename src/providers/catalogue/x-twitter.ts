// X (Twitter): `sha256=` and a base64 HMAC over the body; a regular GET expects an HMAC of its token with the same key.
import { createHmac } from 'node:crypto';
import { splitBody } from '../body/batch.ts';
import { valueAt } from '../body/body.ts';
import { isChallenge, jsonAnswer, queryParam } from '../handshake.ts';
import type { Delivery, HandshakeAnswer, Provider, SampleDraft, Source } from '../provider.ts';
import { hmac } from '../schemes/hmac.ts';
import { textSecret } from '../secrets.ts';
import { type Computed, computed, json, type Reading } from '../template/parts.ts';
import { readText } from '../template/reading.ts';
import { randomNumber } from './sample.ts';

const openingBrace = 123;

export const xTwitter: Provider = {
  name: 'x-twitter',
  title: 'X (Twitter)',
  docsUrl: 'https://docs.x.com/x-api/webhooks/quickstart',
  facts:
    'Signature, challenge and its answer D: docs.x.com, webhooks quickstart. The header …-OAuth2 under the client secret, and the shape of X Activity, T: several receivers of 2026 that agree. Shape of Account Activity T: several receivers. Retries D: developer.x.com, Account Activity API, activity retries (enterprise).',
  scheme: hmac({
    message: computed(objectBody),
    // X signs the newer header with the OAuth 2.0 client secret, the older header with the consumer secret. A valid signature
    // in either header is enough.
    signature: {
      at: { headers: ['x-twitter-webhooks-signature-oauth2', 'x-twitter-webhooks-signature'] },
      encoding: 'base64',
      prefix: 'sha256=',
    },
    signs: { body: true },
  }),
  secret: textSecret({
    label: 'Client secret',
    format: 'OAuth 2.0 client secret; for an app without one, the consumer secret (API key secret)',
    where: 'console.x.com → your app → Keys and tokens',
  }),
  idIsSigned: true,
  events: {
    id: computed(objectId),
    topic: computed(topicOf),
    items: splitLists,
  },
  handshakes: [{ method: 'GET', phase: 'unsigned', answer: answerCrc }],
  retries:
    'Wants 200 within 10 s (the enterprise tier 3 s, with three tries within five minutes). Asks for the challenge when the webhook is made, and again every hour or so.',
  sending: { newId: () => String(randomNumber(14)) },
  answers: { success: [200], failure: { any: 'retried' } },
  samples: {
    tweet_create_events: (draft) =>
      activity(draft, [
        { id_str: draft.id, text: 'Ring', user: { id_str: '99', screen_name: 'ada' } },
        { id_str: String(randomNumber(14)), text: 'Again', user: { id_str: '99', screen_name: 'ada' } },
      ]),
    direct_message_events: (draft) =>
      activity(draft, [
        { type: 'message_create', id: draft.id, message_create: { message_data: { text: 'Ring' } } },
      ]),
    'post.mention.create': (draft) => mention(draft),
    '*': (draft) => mention(draft),
  },
};

/**
 * The challenge signs any text for anybody. So a body counts only if it is a JSON object, and a text that begins like
 * an object is no challenge: neither can be used as the other.
 */
function objectBody({ delivery }: Reading): Computed {
  if (delivery.body[0] === openingBrace) return delivery.body;
  return { ok: false, reason: 'wrong_signature', detail: 'the body is no JSON object' };
}

function answerCrc(delivery: Delivery, source: Source): HandshakeAnswer | undefined {
  const token = queryParam(delivery, 'crc_token');
  if (!isChallenge(token) || token.startsWith('{')) return undefined;
  const mac = createHmac('sha256', source.secrets[0] ?? '').update(token);
  return jsonAnswer({ response_token: `sha256=${mac.digest('base64')}` });
}

/** Account Activity: `tweet_create_events` and its like. X Activity has one event, in `data`. */
function listName(body: unknown): string | undefined {
  return Object.keys(body ?? {}).find(
    (key) => key.endsWith('_events') && Array.isArray(valueAt(body, [key])),
  );
}

function splitLists(body: unknown): unknown {
  const name = listName(body);
  return name === undefined ? undefined : splitBody(body, name);
}

/** A post may concern several of your accounts, and X notifies each of them. Events without an id use their hash. */
function objectId(reading: Reading): string | undefined {
  const name = listName(reading.item);
  const account = readText(json('for_user_id'), reading);
  if (name === undefined || account === undefined) return undefined;
  const id = readText(json(`${name}.0.id_str`), reading) ?? readText(json(`${name}.0.id`), reading);
  return id && `${name}:${account}:${id}`;
}

function topicOf(reading: Reading): string | undefined {
  const type = readText(json('data.event_type'), reading);
  if (type !== undefined) return type;
  const body = reading.item ?? reading.decoded?.value;
  return listName(body) ?? Object.keys(body ?? {}).find((key) => key.endsWith('_event'));
}

function activity({ topic }: SampleDraft, objects: readonly object[]): object {
  return { for_user_id: '42', [topic]: objects };
}

function mention({ topic, id }: SampleDraft): object {
  return {
    data: { event_type: topic, filter: { user_id: '42' }, tag: 'bell', payload: { id, text: '@bell ring' } },
  };
}
