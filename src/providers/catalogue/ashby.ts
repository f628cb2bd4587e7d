// Ashby: `sha256=` hex HMAC over the body; two events differ only in the body.
import { valueAt } from '../body/body.ts';
import { emptyAnswer, smallJsonBody } from '../handshake.ts';
import type { Delivery, HandshakeAnswer, Provider, SampleDraft } from '../provider.ts';
import { hmac } from '../schemes/hmac.ts';
import { textSecret } from '../secrets.ts';
import { header, json, rawBody } from '../template/parts.ts';

export const ashby: Provider = {
  name: 'ashby',
  title: 'Ashby',
  docsUrl: 'https://developers.ashbyhq.com/docs/authenticating-webhooks',
  facts:
    'Signature, ping and bodies D: developers.ashbyhq.com, authenticating webhooks, setting up webhooks and ping. Public receivers do not agree whether webhookActionId is sent: the hash of the body holds it or does without. Retries: not found.',
  scheme: hmac({
    message: rawBody,
    signature: { at: header('ashby-signature'), encoding: 'hex', prefix: 'sha256=' },
  }),
  secret: textSecret({
    label: 'Secret token',
    format: 'text, your own choice; without one Ashby does not sign',
    where: 'Chosen by you: Ashby → Admin → Integrations → Webhooks → your webhook → Secret token',
  }),
  idIsSigned: true,
  events: { topic: json('action') },
  handshakes: [{ method: 'POST', phase: 'verified', answer: answerPing }],
  retries: 'Unknown.',
  answers: 'unknown',
  setup: {
    url: 'Ashby → Admin → Integrations → Webhooks → New → Request URL',
    events: 'each needs a webhook of its own',
  },
  samples: {
    applicationSubmit: (draft) => event(draft, 'Active'),
    candidateHire: (draft) => event(draft, 'Hired'),
    '*': (draft) => event(draft, 'Active'),
  },
};

/** Tests whether the URL answers. */
function answerPing(delivery: Delivery): HandshakeAnswer | undefined {
  return valueAt(smallJsonBody(delivery, '"ping"'), ['action']) === 'ping' ? emptyAnswer() : undefined;
}

function event({ topic, now }: SampleDraft, status: string): object {
  return {
    action: topic,
    data: {
      application: {
        id: crypto.randomUUID(),
        createdAt: now.toISOString(),
        updatedAt: now.toISOString(),
        status,
        candidate: { id: crypto.randomUUID(), name: 'Ada' },
        job: { id: crypto.randomUUID(), title: 'Bell-ringer' },
      },
    },
  };
}
