// Hygraph: `sign=…, env=…, t=…`, base64 HMAC over a JSON text that holds the body as a string, the stage and the time.
import { isUtf8 } from 'node:buffer';
import { hash } from 'node:crypto';
import type { Provider, SampleDraft, Scheme } from '../provider.ts';
import { hmac } from '../schemes/hmac.ts';
import { textSecret } from '../secrets.ts';
import { type Computed, computed, firstOf, header, item, json, type Reading } from '../template/parts.ts';
import { readPart, readText } from '../template/reading.ts';
import { randomId } from './sample.ts';

const signatureHeader = 'gcms-signature';

const scheme = hmac({
  message: computed(wrappedBody),
  signature: {
    at: header(signatureHeader),
    encoding: 'base64',
    separator: ',',
    prefix: 'sign=',
    extraItems: ['env=master'],
  },
  // Hygraph's library does not check the age, and whether retries are signed again is unknown.
  timestamp: { at: item('t'), unit: 'ms', pastSeconds: 24 * 3600 },
  signs: { body: true },
});

export const hygraph: Provider = {
  name: 'hygraph',
  title: 'Hygraph',
  docsUrl: 'https://hygraph.com/docs/api-reference/basics/webhooks',
  facts:
    'Signature L: npm @hygraph/utils, verifyWebhookSignature and generateWebhookSignature. Body L, its test data. Retries unknown.',
  scheme: { ...scheme, sign: signInTheirOrder },
  secret: textSecret({
    label: 'Secret key',
    where: 'Project settings → Webhooks → your webhook → Secret key',
  }),
  idIsSigned: true,
  events: {
    // Hygraph sends no id, and publishing twice may send equal bodies: their signed times differ.
    id: computed(timeAndBody),
    idPerDelivery: true,
    topic: firstOf([json('data.__typename'), '.', json('operation')], json('operation')),
  },
  headers: ['gcms-webhook-id'],
  retries: 'Wants a 2xx; retries unknown.',
  answers: 'unknown',
  samples: {
    'Post.publish': (draft) => change(draft, { stage: 'PUBLISHED', title: 'Ring' }),
    'Post.update': (draft) => change(draft, { stage: 'DRAFT', title: 'Ring twice' }),
    '*': (draft) => change(draft, { stage: 'DRAFT' }),
  },
};

function wrappedBody(reading: Reading): Computed {
  const { body } = reading.delivery;
  const environment = readPart(item('env'), reading);
  if (typeof environment !== 'string') return environment;
  // Decoding replaces every invalid byte by the same character, so different bodies would have the same signature.
  if (!isUtf8(body)) return { ok: false, reason: 'wrong_signature', detail: 'the body is not UTF-8' };
  const [bodyText, name] = [body.toString('utf8'), environment].map((text) => JSON.stringify(text));
  return `{"Body":${bodyText},"EnvironmentName":${name},"TimeStamp":${reading.timestamp}}`;
}

/** Hygraph's library expects the three items in this order, with a blank after each comma. */
function signInTheirOrder(...args: Parameters<Scheme['sign']>): void {
  const [{ headers }] = args;
  scheme.sign(...args);
  headers[signatureHeader] = (headers[signatureHeader] ?? '').split(',').reverse().join(', ');
}

function timeAndBody(reading: Reading): string | undefined {
  const time = /(?:^|,)[ \t]*t=(\d+)/.exec(readText(header(signatureHeader), reading) ?? '')?.[1];
  return time && `${time}:${hash('sha256', reading.delivery.body)}`;
}

function change({ topic, now }: SampleDraft, more: object): object {
  const [__typename, operation] = topic.split('.');
  return { operation, data: { __typename, id: randomId(), updatedAt: now.toISOString(), ...more } };
}
