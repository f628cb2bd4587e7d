// Kinde: the body is a JWT (RS256) by a key of your own Kinde domain; its claims are the event.

import type { Delivery, Provider, SampleDraft, SecretSpec, Source } from '../provider.ts';
import { publicKeySecret } from '../public-key-secrets.ts';
import { type KeySource, pinnedKey } from '../schemes/key-source.ts';
import { publicJwt } from '../schemes/public-jwt.ts';
import { parsePublicKey } from '../schemes/public-key.ts';
import { remoteKeys } from '../schemes/remote-keys.ts';
import { parseToken } from '../schemes/token.ts';
import { json, rawBody } from '../template/parts.ts';
import { randomId } from './sample.ts';

const key = { kind: 'rsa-sha256', key: { format: 'spki' } } as const;
/** A host only: this secret decides whose keys are trusted. */
const domainPattern = /^https:\/\/[a-z0-9-]+(?:\.[a-z0-9-]+)+$/;

const pinned = publicKeySecret({
  ...key,
  label: 'Kinde domain',
  where: 'Kinde → Settings → Environment → Details → Domain (or your custom domain)',
});

const secret: SecretSpec = {
  ...pinned,
  format:
    'https://<your_subdomain>.kinde.com (no secret: Postbell fetches and trusts the keys of this domain), or one public key to pin',
  check(text) {
    if (domainPattern.test(text)) return undefined;
    return text.startsWith('http')
      ? 'must be the domain alone, like https://yourbusiness.kinde.com'
      : pinned.check(text);
  },
};

export const kinde: Provider = {
  name: 'kinde',
  title: 'Kinde',
  docsUrl: 'https://docs.kinde.com/integrate/webhooks/about-webhooks/',
  facts:
    'Token as the body, key by kid from the domain, and fields L: npm @kinde/webhooks. Signing and retries D: docs.kinde.com. That event_id stays over retries M. The tokens bear no time limit that anyone documents: the signed event_id is what makes an old one a duplicate.',
  scheme: publicJwt({ at: rawBody, algorithm: 'RS256', keysOf }),
  secret,
  idIsSigned: true,
  body: { extractJson },
  events: {
    id: json('event_id'),
    topic: json('type'),
    occurredAt: { at: json('timestamp'), unit: 'iso' },
  },
  headers: ['webhook-id'],
  retries: 'Wants a 200; tries again with growing gaps.',
  sending: { newId: () => randomId('event_'), contentType: 'application/jwt' },
  answers: { success: [200], failure: { '5xx': 'retried' } },
  samples: {
    'user.created': (draft) =>
      event(draft, { user: { id: randomId('kp_'), email: 'ada@example.com', first_name: 'Ada' } }),
    'organization.updated': (draft) =>
      event(draft, { organization: { code: randomId('org_'), name: 'Bell' } }),
    '*': (draft) => event(draft, {}),
  },
};

function keysOf(text: string, source: Source): KeySource | undefined {
  if (domainPattern.test(text)) return remoteKeys(`${text}/.well-known/jwks.json`, source);
  const own = parsePublicKey(text, key.kind, key.key);
  return own && pinnedKey(own);
}

function extractJson({ body }: Delivery): string | undefined {
  const payload = parseToken(body.toString('latin1'))?.parts[1];
  return payload === undefined ? undefined : Buffer.from(payload, 'base64url').toString('utf8');
}

function event({ topic, id, now }: SampleDraft, data: object): object {
  return { type: topic, event_id: id, source: 'admin', timestamp: now.toISOString(), data };
}
