// Taiga: bare hex HMAC-SHA1 over the body; no id is sent, so the body's hash is the id.

import type { Provider, SampleDraft } from '../provider.ts';
import { hmac } from '../schemes/hmac.ts';
import { textSecret } from '../secrets.ts';
import { header, json, rawBody } from '../template/parts.ts';
import { randomNumber } from './sample.ts';

export const taiga: Provider = {
  name: 'taiga',
  title: 'Taiga',
  docsUrl: 'https://docs.taiga.io/webhooks.html',
  facts:
    'Signature D: docs.taiga.io, webhooks. Signature, fields and that nothing is sent again by itself L: the source of the sender, taiga-back, webhooks/tasks.py.',
  scheme: hmac({
    hash: 'sha1',
    message: rawBody,
    signature: { at: header('x-taiga-webhook-signature'), encoding: 'hex' },
  }),
  secret: textSecret({
    label: 'Secret key',
    format: 'text, your own choice',
    where: 'Chosen by you: your project → Settings → Integrations → Webhooks → Service key',
  }),
  idIsSigned: true,
  events: {
    topic: [json('type'), '.', json('action')],
    occurredAt: { at: json('date'), unit: 'iso' },
  },
  retries: 'No automatic retries; a delivery can be sent again by hand, with the same body.',
  answers: { failure: { any: 'final' } },
  redelivery: 'by hand, with the same body',
  samples: {
    'issue.create': (draft) => change(draft, { subject: 'The bell is silent' }),
    'userstory.change': (draft) => change(draft, { subject: 'Ring twice' }),
    'task.delete': (draft) => change(draft, { subject: 'Ring' }),
    '*': (draft) => change(draft, {}),
  },
};

function change({ topic, now }: SampleDraft, data: object): object {
  const [type, action] = topic.split('.');
  return {
    action,
    type,
    by: { id: 9, permalink: 'https://taiga.example.com/profile/ada', username: 'ada', full_name: 'Ada' },
    date: now.toISOString(),
    data: { id: randomNumber(6), ref: randomNumber(3), ...data },
    ...(action === 'change'
      ? { change: { comment: '', diff: { status: { from: 'New', to: 'Done' } } } }
      : {}),
  };
}
