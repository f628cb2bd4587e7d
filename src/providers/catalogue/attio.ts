// Attio: hex HMAC over the body; the id is in a header that the signature does not cover.
import { hash } from 'node:crypto';
import { splitBody } from '../body/batch.ts';
import type { Provider, SampleDraft } from '../provider.ts';
import { hmac } from '../schemes/hmac.ts';
import { textSecret } from '../secrets.ts';
import { computed, header, json, optional, type Reading, rawBody } from '../template/parts.ts';

const idHeader = 'idempotency-key';

export const attio: Provider = {
  name: 'attio',
  title: 'Attio',
  docsUrl: 'https://docs.attio.com/rest-api/guides/webhooks',
  facts:
    'Signature, Idempotency-Key kept over retries and redeliveries, and retries D: docs.attio.com, webhooks. The list of events T: several public receivers that agree. Events bear no time: two changes of one attribute have equal bodies, and only the unsigned key tells them apart.',
  // X-Attio-Signature repeats the same signature.
  scheme: hmac({ message: rawBody, signature: { at: header('attio-signature'), encoding: 'hex' } }),
  secret: textSecret({
    label: 'Webhook secret',
    where:
      'Attio → Workspace settings → Developers → your integration → Webhooks; or the answer to Create a webhook',
  }),
  idIsSigned: false,
  events: {
    id: [header(idHeader), optional(':', computed(hashOfItem))],
    topic: json('events.0.event_type'),
    items: (body) => splitBody(body, 'events'),
  },
  headers: [idHeader],
  retries:
    'Wants 200 or 202 within 5 s T; up to 10 tries over about 3 days, then the webhook is marked as degraded.',
  sending: {
    newId: () => crypto.randomUUID(),
    headers: ({ id }) => ({ [idHeader]: id }),
  },
  answers: { success: [200, 202], failure: { any: 'retried' } },
  setup: { url: 'Attio → Workspace settings → Developers → your integration → Webhooks → Add webhook' },
  samples: {
    'record.created': (draft) =>
      delivery(draft, { object_id: crypto.randomUUID(), record_id: crypto.randomUUID() }),
    'note.created': (draft) => delivery(draft, { note_id: crypto.randomUUID() }),
    '*': (draft) => delivery(draft, {}),
  },
};

function hashOfItem({ item }: Reading): string | undefined {
  return item === undefined ? undefined : hash('sha256', JSON.stringify(item), 'hex');
}

function delivery({ topic }: SampleDraft, id: object): object {
  return {
    webhook_id: crypto.randomUUID(),
    events: [
      {
        event_type: topic,
        id: { workspace_id: crypto.randomUUID(), ...id },
        actor: { type: 'workspace-member', id: crypto.randomUUID() },
      },
    ],
  };
}
