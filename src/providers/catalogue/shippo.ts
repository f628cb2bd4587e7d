// Shippo: `t=…,v1=…` over `t.body` where Shippo has set it up on request, otherwise a token of your choice in the URL.

import type { Provider, SampleDraft } from '../provider.ts';
import { alternatives } from '../schemes/alternatives.ts';
import { credential } from '../schemes/credential.ts';
import { hmac } from '../schemes/hmac.ts';
import { credentialSecret } from '../secrets.ts';
import { firstOf, header, item, json, query, rawBody, timestamp } from '../template/parts.ts';
import { randomId, randomNumber } from './sample.ts';

const signed = hmac({
  message: [timestamp, '.', rawBody],
  signature: { at: header('shippo-auth-signature'), encoding: 'hex', separator: ',', prefix: 'v1=' },
  // Retries, their duration and their signatures are not documented. The id is the body's hash, so an old delivery is a
  // duplicate.
  timestamp: { at: item('t'), unit: 's', pastSeconds: 25 * 3600 },
});

export const shippo: Provider = {
  name: 'shippo',
  title: 'Shippo',
  docsUrl: 'https://docs.goshippo.com/docs/tracking/webhooksecurity/',
  facts:
    'Both ways D: docs.goshippo.com, webhook security. Format of the signature T: three implementations that agree. Deadline T. Nothing is documented of retries: 25 h are accepted, as of others that try for a day.',
  scheme: alternatives(
    { headers: ['shippo-auth-signature'], scheme: signed },
    { headers: [], scheme: credential({ at: query('token'), name: 'token of yours' }) },
  ),
  secret: credentialSecret({
    label: 'HMAC secret or token',
    format: 'the HMAC secret agreed with Shippo, or the token that you put into the webhook URL (?token=…)',
    where: 'HMAC: by e-mail from Shippo, on request. Token: chosen by you, Settings → API → Webhooks → URL',
  }),
  idIsSigned: true,
  events: {
    topic: json('event'),
    occurredAt: {
      at: firstOf(json('data.tracking_status.status_date'), json('data.object_updated')),
      unit: 'iso',
    },
  },
  retries: 'Wants a 2xx within 3 s.',
  answers: 'unknown',
  samples: {
    track_updated: ({ topic, now }) => ({
      event: topic,
      test: true,
      carrier: 'usps',
      data: {
        carrier: 'usps',
        tracking_number: String(randomNumber(12)),
        tracking_status: { object_id: randomId(), status: 'TRANSIT', status_date: now.toISOString() },
      },
    }),
    transaction_created: (draft) =>
      event(draft, { status: 'SUCCESS', tracking_number: String(randomNumber(12)) }),
    '*': (draft) => event(draft, {}),
  },
};

function event({ topic, now }: SampleDraft, more: object): object {
  return {
    event: topic,
    test: true,
    data: { object_id: randomId(), object_updated: now.toISOString(), ...more },
  };
}
