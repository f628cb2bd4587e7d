// LiveKit: a bare JWT in Authorization whose claim `sha256` is the hash of the body.
import { header, json } from '../parts.ts';
import type { Provider, SampleDraft } from '../provider.ts';
import { jwt } from '../schemes/jwt.ts';
import { pairSecret } from '../secrets.ts';
import { randomId, unixSeconds } from './sample.ts';

export const livekit: Provider = {
  name: 'livekit',
  title: 'LiveKit',
  docsUrl: 'https://docs.livekit.io/home/server/webhooks/',
  facts: 'Token, claim and body L: npm livekit-server-sdk, WebhookReceiver.receive.',
  scheme: jwt({
    at: header('authorization'),
    bodyHash: { claim: 'sha256', encoding: 'base64' },
    keyOf: (secret) => secret.slice(secret.indexOf(':') + 1),
    issuerOf: (secret) => secret.slice(0, secret.indexOf(':')),
    leewaySeconds: 10,
    lifetimeSeconds: 300,
    expires: true,
  }),
  secret: pairSecret({
    label: 'API key and secret',
    names: ['API key', 'API secret'],
    where: 'cloud.livekit.io → your project → Settings → Keys (self-hosted: `keys` and `webhook.api_key`)',
  }),
  idIsSigned: true,
  events: { id: json('id'), topic: json('event'), occurredAt: { at: json('createdAt'), unit: 's' } },
  retries: 'Wants a 2xx; tries again a few times with growing gaps.',
  sending: { newId: () => `EV_${randomId().slice(0, 12)}`, contentType: 'application/webhook+json' },
  answers: { failure: { '5xx': 'retried' } },
  samples: {
    room_started: (draft) => event(draft, {}),
    participant_joined: (draft) =>
      event(draft, { participant: { sid: `PA_${randomId()}`, identity: 'ada', state: 'ACTIVE' } }),
    '*': (draft) => event(draft, {}),
  },
};

function event({ topic, id, now }: SampleDraft, more: object): object {
  const createdAt = String(unixSeconds(now));
  return { event: topic, room: { sid: `RM_${randomId()}`, name: 'bell' }, ...more, id, createdAt };
}
