// Netlify: a JWS by a shared secret that holds a hash of the body, and no time.

import type { Provider, SampleDraft } from '../provider.ts';
import { jwt } from '../schemes/jwt.ts';
import { textSecret } from '../secrets.ts';
import { firstOf, header, json } from '../template/parts.ts';
import { randomId } from './sample.ts';

const eventHeader = 'x-netlify-event';

export const netlify: Provider = {
  name: 'netlify',
  title: 'Netlify',
  docsUrl: 'https://docs.netlify.com/site-deploys/notifications/#payload-signature',
  facts:
    'That a JWS with a hash of the body is sent D: the page above, events D: the same. HS256, iss netlify, sha256 in hex, no further claims T: ten public receivers and signers that agree. Body of a deploy T: a real one in an issue. Name of the event in x-netlify-event T: one receiver. No id is sent: the hash of the body, which holds the time of the change, is the id. Retries: not found.',
  scheme: jwt({
    at: header('x-webhook-signature'),
    bodyHash: { claim: 'sha256', encoding: 'hex' },
    issuerOf: () => 'netlify',
    expires: 'timeless',
    lifetimeSeconds: 0,
    leewaySeconds: 0,
  }),
  secret: textSecret({
    label: 'JWS secret token',
    where:
      'Project configuration → Notifications → Deploy notifications → HTTP POST request → JWS secret token',
  }),
  // The id is the hash of the signed body; the header that names the topic is outside the signature.
  idIsSigned: false,
  events: {
    topic: firstOf(header(eventHeader), json('state')),
    occurredAt: { at: json('updated_at'), unit: 'iso' },
  },
  headers: [eventHeader],
  retries: 'Wants a 2xx; retries unknown.',
  sending: { headers: ({ topic }) => ({ [eventHeader]: topic }) },
  answers: 'unknown',
  samples: {
    deploy_created: (draft) => deploy(draft, 'ready'),
    deploy_failed: (draft) => deploy(draft, 'error'),
    '*': (draft) => deploy(draft, 'ready'),
  },
};

function deploy({ now }: SampleDraft, state: string): object {
  return {
    id: randomId(),
    site_id: crypto.randomUUID(),
    build_id: randomId(),
    state,
    name: 'bell',
    url: 'https://bell.example.com',
    created_at: now.toISOString(),
    updated_at: now.toISOString(),
    error_message: null,
    branch: 'main',
    context: 'production',
  };
}
