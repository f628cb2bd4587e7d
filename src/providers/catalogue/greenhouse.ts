// Greenhouse Recruiting: `sha256 ` and a hex HMAC over the body; the id is in an unsigned header.

import type { Provider, SampleDraft } from '../provider.ts';
import { hmac } from '../schemes/hmac.ts';
import { textSecret } from '../secrets.ts';
import { header, json, rawBody } from '../template/parts.ts';
import { randomNumber } from './sample.ts';

const idHeader = 'greenhouse-event-id';

export const greenhouse: Provider = {
  name: 'greenhouse',
  title: 'Greenhouse Recruiting',
  docsUrl: 'https://developers.greenhouse.io/webhooks.html',
  facts:
    'Signature with a blank after sha256, Greenhouse-Event-ID, the ping on saving, and 200 D: developers.greenhouse.io, webhooks, and L: its source grnhse/greenhouse-api-docs. Up to 7 retries over 15 h T: two quotations of the newer source; the older one has 24 over 20 days. That a retry keeps the id T: several public receivers.',
  scheme: hmac({
    message: rawBody,
    signature: { at: header('signature'), encoding: 'hex', prefix: 'sha256 ' },
  }),
  secret: textSecret({
    label: 'Secret key',
    where: 'Greenhouse → Configure → Dev Center → Webhooks → your webhook → Secret key',
  }),
  idIsSigned: false,
  events: { id: header(idHeader), topic: json('action') },
  headers: [idHeader],
  retries:
    'Wants 200; up to 7 more tries over 15 h. A ping that fails when the webhook is saved switches it off.',
  sending: { newId: () => String(randomNumber(12)), headers: ({ id }) => ({ [idHeader]: id }) },
  answers: { success: [200], failure: { any: 'retried' } },
  setup: { url: 'Greenhouse → Configure → Dev Center → Webhooks → Endpoint URL' },
  samples: {
    candidate_stage_change: event,
    hire_candidate: event,
    '*': event,
  },
};

function event({ topic, now }: SampleDraft): object {
  return {
    action: topic,
    payload: {
      application: {
        id: randomNumber(8),
        status: 'active',
        last_activity_at: now.toISOString(),
        candidate: { id: randomNumber(8), first_name: 'Ada', last_name: 'Bell' },
        jobs: [{ id: randomNumber(6), name: 'Bell-ringer' }],
      },
    },
  };
}
