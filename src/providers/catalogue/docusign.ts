// DocuSign Connect: base64 HMAC over the body, in one numbered header per key of the account.

import type { Provider, SampleDraft } from '../provider.ts';
import { hmac } from '../schemes/hmac.ts';
import { textSecret } from '../secrets.ts';
import { json, optional, rawBody } from '../template/parts.ts';

/** An account may have up to 100 keys, and DocuSign sends one signature for each: any of them may match. */
const signatureHeaders = Array.from({ length: 100 }, (_, index) => `x-docusign-signature-${index + 1}`);

export const docusign: Provider = {
  name: 'docusign',
  title: 'DocuSign Connect',
  docsUrl: 'https://developers.docusign.com/platform/webhooks/connect/hmac/',
  facts:
    'Header, base64 and SHA-256 D: docusign.com/blog, manually authenticating HMAC signatures. One numbered header per key, and the key as text though it looks like base64 T: technicqa.com, pinter.org. JSON body T: five public listeners that agree. XML bodies are kept as they are. Whether generatedDateTime stays over retries is not documented. Retries T: two pages that differ (10 tries; 45 tries or 7 days).',
  scheme: hmac({ message: rawBody, signature: { at: { headers: signatureHeaders }, encoding: 'base64' } }),
  secret: textSecret({
    label: 'HMAC key',
    format: 'text (looks like base64, but is used unchanged, including the =)',
    where: 'Settings → Connect → Connect keys (any of them)',
  }),
  idIsSigned: true,
  events: {
    // retryCount in the body grows with each retry, so a hash of the body would differ for each retry.
    id: [
      json('event'),
      ':',
      json('data.envelopeId'),
      ':',
      optional(json('data.recipientId'), ':'),
      json('generatedDateTime'),
    ],
    topic: json('event'),
    occurredAt: { at: json('generatedDateTime'), unit: 'iso' },
  },
  headers: ['x-authorization-digest'],
  retries: 'Wants a 2xx; tries again for days with growing gaps, counted in retryCount.',
  answers: { failure: { '5xx': 'retried' } },
  samples: {
    'envelope-completed': (draft) => event(draft, { envelopeSummary: { status: 'completed' } }),
    'envelope-sent': (draft) => event(draft, { envelopeSummary: { status: 'sent' } }),
    'recipient-completed': (draft) => event(draft, { recipientId: '1' }),
    '*': (draft) => event(draft, {}),
  },
};

function event({ topic, now }: SampleDraft, more: object): object {
  const accountId = '24dfce13-9dce-4aa0-ba12-da5389bb9d8a';
  const envelopeId = crypto.randomUUID();
  return {
    event: topic,
    apiVersion: 'v2.1',
    uri: `/restapi/v2.1/accounts/${accountId}/envelopes/${envelopeId}`,
    retryCount: 0,
    configurationId: 21752918,
    generatedDateTime: now.toISOString(),
    data: { accountId, userId: '8c531060-928e-471d-9cac-b829f616b0bf', envelopeId, ...more },
  };
}
