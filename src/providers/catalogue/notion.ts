// Notion: `sha256=` hex HMAC over the body, with a token that Notion hands over in a first, unsigned request.
import { valueAt } from '../body/body.ts';
import { emptyAnswer, smallJsonBody } from '../handshake.ts';
import type { Delivery, Provider, SampleDraft } from '../provider.ts';
import { hmac } from '../schemes/hmac.ts';
import { credentialSecret } from '../secrets.ts';
import { header, json, rawBody } from '../template/parts.ts';
import { randomId } from './sample.ts';

const signatureHeader = 'x-notion-signature';

export const notion: Provider = {
  name: 'notion',
  title: 'Notion',
  docsUrl: 'https://developers.notion.com/reference/webhooks',
  facts:
    'Signature L: npm @notionhq/client, verifyWebhookSignature. Token handed over once, unsigned, and pasted at Notion D: developers.notion.com/reference/webhooks; T: Hookdeck. id, type and timestamp L+D. Retries M.',
  scheme: hmac({
    message: rawBody,
    signature: { at: header(signatureHeader), encoding: 'hex', prefix: 'sha256=' },
  }),
  secret: credentialSecret({
    label: 'Verification token',
    where: 'Notion hands over the token when a subscription is created: run postbell setup notion first',
  }),
  idIsSigned: true,
  events: {
    // attempt_number grows with each retry of an event, so a hash of the body would differ.
    id: json('id'),
    topic: json('type'),
    occurredAt: { at: json('timestamp'), unit: 'iso' },
  },
  handover: {
    read: readToken,
    answer: () => emptyAnswer(),
    todo: 'your integration → Webhooks → Create a subscription with {url}; then Verify, and paste the token that is printed here',
  },
  retries: 'Up to 8 tries within 24 h.',
  sending: { newId: () => crypto.randomUUID() },
  answers: { failure: { '5xx': 'retried' } },
  samples: {
    'page.content_updated': (draft) => event(draft, 'page', { updated_blocks: [] }),
    'page.created': (draft) => event(draft, 'page', {}),
    'comment.created': (draft) => event(draft, 'comment', { page_id: crypto.randomUUID() }),
    '*': (draft) => event(draft, draft.topic.split('.')[0] ?? 'page', {}),
  },
};

/** `{"verification_token":"secret_…"}` and nothing else. */
function readToken(delivery: Delivery): string | undefined {
  if (delivery.headers[signatureHeader]) return undefined;
  const body = smallJsonBody(delivery, '"verification_token"');
  const token = valueAt(body, ['verification_token']);
  return typeof token === 'string' && Object.keys(body as object).length === 1 ? token : undefined;
}

function event({ id, topic, now }: SampleDraft, kind: string, data: object): object {
  return {
    id,
    timestamp: now.toISOString(),
    workspace_id: '13950b26-c203-4f3b-b97d-93ec06319565',
    workspace_name: 'Bells',
    subscription_id: '29d75c0d-5546-4414-8459-7b7a92f1fc4b',
    integration_id: '0ef2e755-4912-8096-91c1-00376a88a5ca',
    type: topic,
    authors: [{ id: 'c7c11cca-1d73-471d-9b6e-bdef51470190', type: 'person' }],
    accessible_by: [],
    attempt_number: 1,
    entity: { id: `153104cd-${randomId()}`, type: kind },
    data,
  };
}
