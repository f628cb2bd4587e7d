// fal.ai: Ed25519 over request id, user id, time and the hash of the body, each on its own line; no request names its key.
import { hash } from 'node:crypto';
import type { Provider, SampleDraft } from '../provider.ts';
import { publishedKeySecret } from '../public-key-secrets.ts';
import { publishedKey } from '../schemes/published-key.ts';
import { computed, header, json, timestamp } from '../template/parts.ts';

const idHeader = 'x-fal-webhook-request-id';
const userHeader = 'x-fal-webhook-user-id';
const timeHeader = 'x-fal-webhook-timestamp';
const keysUrl = 'https://rest.fal.ai/.well-known/jwks.json';
const ed25519 = { kind: 'ed25519', key: { format: 'raw-base64' } } as const;

export const fal: Provider = {
  name: 'fal',
  title: 'fal.ai',
  docsUrl: 'https://fal.ai/docs/documentation/model-apis/inference/webhooks',
  facts:
    'Body, 15 s, and 10 retries in 2 h D: fal.ai/docs, webhooks. Headers, signed text, hex, 5 minutes and keys without a name T: eight public receivers that agree and cite that page; of the two addresses of the keys the newer. Whether a retry is signed again is not documented: 3 h are accepted, and the id is signed, so an old one is a duplicate.',
  scheme: publishedKey({
    ...ed25519,
    jwksUrl: keysUrl,
    message: [
      header(idHeader),
      '\n',
      header(userHeader),
      '\n',
      timestamp,
      '\n',
      computed(({ delivery }) => hash('sha256', delivery.body, 'hex')),
    ],
    signs: { body: true },
    signature: { at: header('x-fal-webhook-signature'), encoding: 'hex' },
    timestamp: { at: header(timeHeader), unit: 's', pastSeconds: 3 * 3600 },
  }),
  secret: publishedKeySecret({ ...ed25519, label: 'Public key', where: keysUrl }),
  idIsSigned: true,
  events: { id: header(idHeader), topic: json('status') },
  headers: [idHeader, userHeader, timeHeader],
  retries: 'Wants a 2xx within 15 s; 10 more tries within 2 h.',
  sending: {
    newId: () => crypto.randomUUID(),
    headers: ({ id }) => ({ [idHeader]: id, [userHeader]: 'github|1234567' }),
  },
  answers: { failure: { '5xx': 'retried' } },
  setup: { url: 'webhook_url of each request to the queue' },
  samples: {
    OK: (draft) => result(draft, { payload: { images: [{ url: 'https://v3.fal.media/files/bell.png' }] } }),
    ERROR: (draft) => result(draft, { error: 'Invalid status code: 422', payload: { detail: [] } }),
    '*': (draft) => result(draft, { payload: null }),
  },
};

function result({ topic, id }: SampleDraft, more: object): object {
  return { request_id: id, gateway_request_id: id, status: topic, error: null, ...more };
}
