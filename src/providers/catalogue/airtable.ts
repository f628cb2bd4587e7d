// Airtable: `hmac-sha256=` hex HMAC over a bare ping, under a base64 key. The changes are read through Airtable's API.
import { emptyAnswer } from '../handshake.ts';
import type { Provider } from '../provider.ts';
import { bearer, listAt, type RecoverSpec, textAt } from '../recover.ts';
import { hmac } from '../schemes/hmac.ts';
import { encodedSecret } from '../secrets.ts';
import { computed, header, json, rawBody } from '../template/parts.ts';
import { readText } from '../template/reading.ts';
import { randomId } from './sample.ts';

const key = { base64: '' } as const;

// One transaction of a base may be split into several payloads, which have the same baseTransactionNumber. Only the number
// that Airtable's cursor counts is each payload's own.
const recover: RecoverSpec = {
  key: "personal access token of a reader of the base, with webhook:manage and what the webhook's dataTypes need: data.records:read, schema.bases:read",
  url: 'https://api.airtable.com',
  wants: {
    setting: 'PATH',
    example: 'bases/app…/webhooks/ach…',
    pattern: /^bases\/app\w+\/webhooks\/ach\w+$/,
  },
  keptHours: 7 * 24,
  pageGapMs: 250,
  ringTopic: 'ping',
  authorize: bearer,
  pull: {
    endpoint: 'GET /v0/bases/{base}/webhooks/{webhook}/payloads',
    isFeed: true,
    page: ({ cursor, wanted }) => ({
      path: `/v0/${wanted}/payloads`,
      query: { limit: '50', ...(cursor === undefined ? {} : { cursor }) },
    }),
    read: ({ json: answer }) => {
      const payloads = listAt(answer, 'payloads');
      // The number of the payload that will follow the last one of this page.
      const end = textAt(answer, 'cursor');
      if (!Array.isArray(payloads) || !/^\d{1,15}$/.test(end ?? ''))
        return { items: undefined, next: undefined };
      const first = Number(end) - payloads.length;
      const items = payloads.map((payload, index) =>
        typeof payload === 'object' && payload !== null
          ? { ...payload, payloadNumber: first + index }
          : payload,
      );
      const hasMore = listAt(answer, 'mightHaveMore') === true && items.length > 0;
      return { items, next: hasMore ? end : undefined, end };
    },
    body: (payload, wanted) => {
      const [, base, , webhook] = wanted.split('/');
      return { base: { id: base }, webhook: { id: webhook }, ...(payload as object) };
    },
  },
  lost: 'payloads that are older than 7 days. Each run of a webhook that expires keeps it alive for 7 days more',
};

export const airtable: Provider = {
  name: 'airtable',
  title: 'Airtable',
  docsUrl: 'https://airtable.com/developers/web/api/webhooks-overview',
  facts:
    'Payloads, their number, cursor, 7 days, limit and scopes D: airtable.com/developers, list webhook payloads and webhooks overview. Body, answer and that it tries again D: airtable.com/developers, webhooks overview and webhooks notification. Signature and decoded key T: community.airtable.com, from the code of the documentation; macSecretBase64 T: apis.io.',
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
  idIsSigned: true,
  events: {
    // Pings differ by their time, so the body's hash is their id.
    id: [json('webhook.id'), ':', json('payloadNumber')],
    topic: computed((reading) =>
      readText(json('payloadNumber'), reading) === undefined ? 'ping' : 'payload',
    ),
    occurredAt: { at: json('timestamp'), unit: 'iso' },
  },
  // Airtable wants 200 or 204 and an empty body.
  acceptedAnswer: emptyAnswer(),
  retries:
    'Wants 200 or 204 without a body; tries again with growing gaps. Hooks expire 7 days after a refresh.',
  answers: { success: [200, 204], failure: { '5xx': 'retried' } },
  redelivery:
    'the delivery says only that something changed: postbell recover lists the payloads since its last cursor',
  recover,
  samples: {
    ping: ({ now }) => ({
      base: { id: randomId('app').slice(0, 17) },
      webhook: { id: randomId('ach').slice(0, 17) },
      timestamp: now.toISOString(),
    }),
    // As it is pulled; Airtable itself sends no payload.
    payload: ({ now }) => ({
      base: { id: randomId('app').slice(0, 17) },
      webhook: { id: randomId('ach').slice(0, 17) },
      payloadNumber: 1,
      timestamp: now.toISOString(),
      baseTransactionNumber: 4,
      actionMetadata: { source: 'client', sourceMetadata: { user: { id: randomId('usr').slice(0, 17) } } },
      payloadFormat: 'v0',
      changedTablesById: {
        [randomId('tbl').slice(0, 17)]: { destroyedRecordIds: [randomId('rec').slice(0, 17)] },
      },
    }),
  },
};
