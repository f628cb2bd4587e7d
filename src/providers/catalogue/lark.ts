// Lark and Feishu: a plain SHA-256 over timestamp, nonce, Encrypt Key and body; the body is AES under that key.
import { createCipheriv, createDecipheriv, hash, randomBytes } from 'node:crypto';
import { valueAt } from '../body/body.ts';
import { isChallenge, jsonAnswer, smallJsonBody } from '../handshake.ts';
import type { Delivery, HandshakeAnswer, Provider, SampleDraft, Source } from '../provider.ts';
import { plainHash } from '../schemes/plain-hash.ts';
import { textSecret } from '../secrets.ts';
import { firstOf, header, json, rawBody, secret, timestamp } from '../template/parts.ts';
import { randomId } from './sample.ts';

const signed = plainHash({
  hashes: ['sha256'],
  message: [timestamp, header('x-lark-request-nonce'), secret, rawBody],
  signature: { at: header('x-lark-signature'), encoding: 'hex' },
  // Retries end after 7.1 hours and may carry the first attempt's time; the signed event id makes them duplicates.
  timestamp: { at: header('x-lark-request-timestamp'), unit: 's', pastSeconds: 8 * 3600 },
});

export const lark: Provider = {
  name: 'lark',
  title: 'Lark / Feishu',
  docsUrl:
    'https://open.larkoffice.com/document/ukTMukTMukTM/uYDNxYjL2QTM24iN0EjN/event-subscription-configure-/encrypt-key-encryption-configuration-case',
  facts:
    'Signature, AES and handshake L: npm @larksuiteoapi/node-sdk, EventDispatcher and generateChallenge. That the set-up request is not signed D: open.larkoffice.com, receive events. Event id (uuid in version 1.0) as key, deadline and retries T: quotation of the documentation at e-com-net.com.',
  scheme: {
    ...signed,
    sign(request, source, options) {
      request.body = encrypted(request.body, source.secrets[0] ?? '');
      signed.sign(request, source, options);
    },
  },
  secret: textSecret({
    label: 'Encrypt Key',
    where: 'Developer Console → your app → Events & Callbacks → Encryption Strategy → Encrypt Key',
  }),
  idIsSigned: true,
  // The verification token, which receivers without an Encrypt Key check.
  body: { extractJson, credentials: ['header.token', 'token'] },
  events: {
    id: firstOf(json('header.event_id'), json('uuid')),
    topic: firstOf(json('header.event_type'), json('event.type'), json('type')),
    occurredAt: { at: json('header.create_time'), unit: 'ms' },
  },
  headers: ['x-lark-request-timestamp', 'x-lark-request-nonce'],
  handshakes: [{ method: 'POST', phase: 'unsigned', answer: answerVerification }],
  retries: 'Wants 200 within 3 s; 4 retries after 15 s, 5 min, 1 h and 6 h.',
  sending: { newId: () => randomId(), headers: () => ({ 'x-lark-request-nonce': randomId() }) },
  answers: { success: [200], failure: { '5xx': 'retried' } },
  samples: {
    'im.message.receive_v1': (draft) =>
      event(draft, {
        sender: { sender_id: { open_id: randomId('ou_') }, sender_type: 'user' },
        message: {
          message_id: randomId('om_'),
          chat_type: 'p2p',
          message_type: 'text',
          content: '{"text":"Ring the bell"}',
        },
      }),
    'contact.user.created_v3': (draft) =>
      event(draft, { object: { open_id: randomId('ou_'), name: 'Ada', email: 'ada@example.com' } }),
    '*': (draft) => event(draft, {}),
  },
};

/** The request is not signed, but only a holder of the key can encrypt it, so strangers get no answer. */
function answerVerification(delivery: Delivery, source: Source): HandshakeAnswer | undefined {
  const cipherText = valueAt(smallJsonBody(delivery, '"encrypt"'), ['encrypt']);
  if (typeof cipherText !== 'string') return undefined;
  const body = parsed(decrypted(cipherText, source.secrets));
  const challenge = valueAt(body, ['challenge']);
  if (valueAt(body, ['type']) !== 'url_verification' || !isChallenge(challenge)) return undefined;
  return jsonAnswer({ challenge });
}

/** A body that is not encrypted stays unchanged: the signature covers it, too. */
function extractJson(delivery: Delivery, source: Source): string | undefined {
  const text = delivery.body.toString('utf8');
  const cipherText = valueAt(parsed(text), ['encrypt']);
  return typeof cipherText === 'string' ? decrypted(cipherText, source.secrets) : text;
}

function encrypted(body: Buffer, key: string): Buffer {
  if (valueAt(parsed(body.toString('utf8')), ['encrypt']) !== undefined) return body;
  const iv = randomBytes(16);
  const cipher = createCipheriv('aes-256-cbc', hash('sha256', key, 'buffer'), iv);
  const encrypt = Buffer.concat([iv, cipher.update(body), cipher.final()]).toString('base64');
  return Buffer.from(JSON.stringify({ encrypt }));
}

/** The JSON text under the first of the keys that yields one. */
function decrypted(cipherText: string, keys: readonly string[]): string | undefined {
  const bytes = Buffer.from(cipherText, 'base64');
  for (const key of keys) {
    try {
      const decipher = createDecipheriv('aes-256-cbc', hash('sha256', key, 'buffer'), bytes.subarray(0, 16));
      const text = Buffer.concat([decipher.update(bytes.subarray(16)), decipher.final()]).toString('utf8');
      if (parsed(text) !== undefined) return text;
    } catch {
      // Wrong key or damaged text: the next key may fit. If none fits, the event is stored as unreadable.
    }
  }
  return undefined;
}

function parsed(text: string | undefined): unknown {
  try {
    return text === undefined ? undefined : JSON.parse(text);
  } catch {
    // The text is no JSON; the callers expect undefined.
    return undefined;
  }
}

function event({ topic, id, now }: SampleDraft, content: object): object {
  return {
    schema: '2.0',
    header: {
      event_id: id,
      event_type: topic,
      create_time: String(now.getTime()),
      token: 'verification-token',
      app_id: 'cli_9dbb2dd6f5e0d104',
      tenant_key: '2d3aa0bc8d8f575d',
    },
    event: content,
  };
}
