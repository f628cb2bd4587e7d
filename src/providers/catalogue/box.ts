// Box: base64 HMAC over `body timestamp`, once with each of two keys; one valid signature is enough.

import type { Provider, Rejection, SampleDraft } from '../provider.ts';
import { hmac } from '../schemes/hmac.ts';
import { textSecret } from '../secrets.ts';
import { computed, header, json, type Reading, rawBody, timestamp } from '../template/parts.ts';
import { readPart } from '../template/reading.ts';
import { randomNumber } from './sample.ts';

const versionHeader = 'box-signature-version';
const algorithmHeader = 'box-signature-algorithm';

export const box: Provider = {
  name: 'box',
  title: 'Box',
  docsUrl: 'https://developer.box.com/guides/webhooks/v2/signatures-v2/',
  facts:
    'Signature, the one version and algorithm, and the ten minutes L: npm box-node-sdk, WebhooksManager.validateMessage. Headers, body, retries, and that the id of the body stays over them while BOX-DELIVERY-ID changes D: developer.box.com, V2 webhooks.',
  scheme: hmac({
    message: [computed(knownKind), rawBody, timestamp],
    signature: { at: { headers: ['box-signature-primary', 'box-signature-secondary'] }, encoding: 'base64' },
    // Box's library rejects all times in the future. A clock one second slow would then reject valid deliveries.
    timestamp: { at: header('box-delivery-timestamp'), unit: 'iso', pastSeconds: 600 },
  }),
  secret: textSecret({
    label: 'Primary and secondary signature key',
    format: 'text; either key, or both with a comma between',
    where: 'Box Developer Console → your app → Webhooks → Manage signature keys',
  }),
  idIsSigned: true,
  events: { id: json('id'), topic: json('trigger'), occurredAt: { at: json('created_at'), unit: 'iso' } },
  headers: ['box-delivery-id', 'box-delivery-timestamp', versionHeader, algorithmHeader],
  retries: 'Wants a 2xx within 30 s; up to 12 more tries over 2 h, under the same id in the body.',
  sending: {
    newId: () => crypto.randomUUID(),
    headers: () => ({
      'box-delivery-id': crypto.randomUUID(),
      [versionHeader]: '1',
      [algorithmHeader]: 'HmacSHA256',
    }),
  },
  answers: { failure: { '5xx': 'retried' } },
  samples: {
    'FILE.UPLOADED': (draft) => event(draft, { type: 'file', name: 'bell.pdf', size: 4200 }),
    'FILE.DELETED': (draft) => event(draft, { type: 'file', name: 'bell.pdf' }),
    'FOLDER.CREATED': (draft) => event(draft, { type: 'folder', name: 'Bells' }),
    '*': (draft) => event(draft, { type: 'file' }),
  },
};

/** Adds nothing to the signed text; rejects a signature of another version or algorithm. */
function knownKind(reading: Reading): string | Rejection {
  for (const [name, known] of [
    [versionHeader, '1'],
    [algorithmHeader, 'HmacSHA256'],
  ] as const) {
    const named = readPart(header(name), reading);
    if (typeof named !== 'string') return named;
    if (named !== known)
      return { ok: false, reason: 'malformed_signature', detail: `${name} is not ${known}` };
  }
  return '';
}

function event({ topic, id, now }: SampleDraft, source: object): object {
  return {
    type: 'webhook_event',
    id,
    created_at: now.toISOString(),
    trigger: topic,
    webhook: { id: '4137218', type: 'webhook' },
    created_by: { type: 'user', id: '11446498', name: 'Ada', login: 'ada@example.com' },
    source: { id: String(randomNumber(12)), ...source },
    additional_info: [],
  };
}
