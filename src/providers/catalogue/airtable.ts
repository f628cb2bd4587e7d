// Airtable: `hmac-sha256=` hex HMAC over a bare ping, under a base64 key. The team then reads the changes through Airtable's API.
import { emptyAnswer } from '../handshake.ts';
import type { Provider } from '../provider.ts';
import { hmac } from '../schemes/hmac.ts';
import { encodedSecret } from '../secrets.ts';
import { header, json, rawBody } from '../template/parts.ts';
import { randomId } from './sample.ts';

const key = { base64: '' } as const;

export const airtable: Provider = {
  name: 'airtable',
  title: 'Airtable',
  docsUrl: 'https://airtable.com/developers/web/api/webhooks-overview',
  facts:
    'Body, answer and that it tries again D: airtable.com/developers, webhooks overview and webhooks notification. Signature and decoded key T: community.airtable.com, from the code of the documentation; macSecretBase64 T: apis.io.',
  scheme: hmac({
    key,
    message: rawBody,
    signature: { at: header('x-airtable-content-mac'), encoding: 'hex', prefix: 'hmac-sha256=' },
  }),
  secret: encodedSecret({
    key,
    label: 'MAC secret',
    format: 'base64',
    where: 'From the API: macSecretBase64 in the answer to Create a webhook; it is shown only then',
  }),
  // Pings differ by their time, so the body's hash is the id.
  idIsSigned: true,
  events: { topic: 'ping', occurredAt: { at: json('timestamp'), unit: 'iso' } },
  // Airtable wants 200 or 204 and an empty body.
  acceptedAnswer: emptyAnswer(),
  retries:
    'Wants 200 or 204 without a body; tries again with growing gaps. Hooks expire 7 days after a refresh.',
  answers: { success: [200, 204], failure: { '5xx': 'retried' } },
  redelivery: 'the delivery says only that something changed: list the payloads since your last cursor',
  samples: {
    ping: ({ now }) => ({
      base: { id: randomId('app').slice(0, 17) },
      webhook: { id: randomId('ach').slice(0, 17) },
      timestamp: now.toISOString(),
    }),
  },
};
