// Asana: hex HMAC over the body, with a secret that Asana hands over when a webhook is created; a batch of events.
import { valueAt } from '../body/body.ts';
import { emptyAnswer, smallJsonBody } from '../handshake.ts';
import type { Delivery, HandshakeAnswer, Provider, SampleDraft } from '../provider.ts';
import { hmac } from '../schemes/hmac.ts';
import { credentialSecret } from '../secrets.ts';
import { header, json, rawBody } from '../template/parts.ts';
import { randomNumber } from './sample.ts';

const signatureHeader = 'x-hook-signature';
const secretHeader = 'x-hook-secret';

export const asana: Provider = {
  name: 'asana',
  title: 'Asana',
  docsUrl: 'https://developers.asana.com/docs/webhooks-guide',
  facts:
    'Exchange of X-Hook-Secret, 10 s and 24 h of retries D: developers.asana.com, createwebhook and webhooks guide. Signature T: n8n. Fields of an event D. Empty deliveries as a sign of life M. No id is sent.',
  scheme: hmac({ message: rawBody, signature: { at: header(signatureHeader), encoding: 'hex' } }),
  secret: credentialSecret({
    label: 'X-Hook-Secret',
    where:
      'Asana hands over a secret when a webhook is created: run postbell setup asana first; list the secrets of all webhooks',
  }),
  idIsSigned: true,
  events: {
    // Asana sends no id. The id is the hash of an event, which contains its time in milliseconds.
    topic: [json('resource.resource_type'), '.', json('action')],
    occurredAt: { at: json('created_at'), unit: 'iso' },
    items: (body) => valueAt(body, ['events']),
  },
  handshakes: [{ method: 'POST', phase: 'verified', answer: answerSignOfLife }],
  handover: {
    read: readSecret,
    answer: (secret) => ({ ...emptyAnswer(), headers: { [secretHeader]: secret } }),
    todo: 'POST /api/1.0/webhooks with the resource and target={url}',
  },
  retries: 'Wants a 2xx within 10 s; tries again for up to 24 h, then ends the webhook.',
  answers: { failure: { '5xx': 'retried' } },
  samples: {
    'task.changed': (draft) => batch(draft, { change: { field: 'due_at', action: 'changed' } }, {}),
    'task.added': (draft) => batch(draft, { parent: { gid: '1200', resource_type: 'project' } }),
    'story.added': (draft) => batch(draft, { parent: { gid: '1337', resource_type: 'task' } }),
    '*': (draft) => batch(draft, {}),
  },
};

/** A request with a signature is a delivery, not a handover. */
function readSecret({ headers }: Delivery): string | undefined {
  const values = headers[secretHeader];
  return values?.length === 1 && !headers[signatureHeader] ? values[0] : undefined;
}

function answerSignOfLife(delivery: Delivery): HandshakeAnswer | undefined {
  const events = valueAt(smallJsonBody(delivery, '"events"'), ['events']);
  return Array.isArray(events) && events.length === 0 ? emptyAnswer() : undefined;
}

function batch({ topic, now }: SampleDraft, ...more: readonly object[]): object {
  const [kind, action] = topic.split('.');
  return {
    events: more.map((fields) => ({
      user: { gid: '1123', resource_type: 'user' },
      created_at: now.toISOString(),
      action,
      resource: { gid: String(randomNumber(13)), resource_type: kind },
      parent: null,
      ...fields,
    })),
  };
}
