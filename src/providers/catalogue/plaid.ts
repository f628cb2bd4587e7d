// Plaid: a JWT (ES256) with a hash of the body; Plaid's API returns the key for the id that the token names.
import { createPublicKey, hash, type JsonWebKeyInput } from 'node:crypto';
import { valueAt } from '../body/body.ts';
import type { Provider, SampleDraft, SecretSpec, Source } from '../provider.ts';
import { publicKeySecret } from '../public-key-secrets.ts';
import { fetchText, HttpStatusError } from '../schemes/fetch-text.ts';
import { type FetchedKey, fetchedKeys, type Untrusted } from '../schemes/fetched-keys.ts';
import { type KeySource, pinnedKey } from '../schemes/key-source.ts';
import { publicJwt } from '../schemes/public-jwt.ts';
import { parsePublicKey } from '../schemes/public-key.ts';
import { parseToken } from '../schemes/token.ts';
import { computed, header, json, type Reading } from '../template/parts.ts';
import { readText } from '../template/reading.ts';
import { randomId } from './sample.ts';

const key = { kind: 'ecdsa-p256', key: { format: 'spki' } } as const;
const credentialsPattern = /^(production|sandbox):([A-Za-z0-9]{10,64}):([A-Za-z0-9]{10,64})$/;
const noSuchKey = 'INVALID_WEBHOOK_VERIFICATION_KEY_ID';
const token = header('plaid-verification');

const pinned = publicKeySecret({
  ...key,
  label: 'API credentials',
  where: 'dashboard.plaid.com → Developers → Keys',
});

const secret: SecretSpec = {
  ...pinned,
  format: 'production:<client_id>:<secret> or sandbox:… to fetch keys, or one public key to pin',
  check(text) {
    if (credentialsPattern.test(text)) return undefined;
    return text.includes(':')
      ? 'must be production or sandbox, a colon, the client_id, a colon and the secret'
      : pinned.check(text);
  },
};

export const plaid: Provider = {
  name: 'plaid',
  title: 'Plaid',
  docsUrl: 'https://plaid.com/docs/api/webhooks/webhook-verification/',
  facts:
    'Header, ES256, claim, 5 minutes, key by kid and expired_at D: the page above; the error of an unknown key T: several public implementations. Retries D: plaid.com/docs, webhooks, and its support pages. Plaid sends no event id, and says the same again when something changes again.',
  scheme: publicJwt({
    at: token,
    algorithm: 'ES256',
    rules: {
      bodyHash: { claim: 'request_body_sha256', encoding: 'hex' },
      leewaySeconds: 30,
      lifetimeSeconds: 300,
      expires: false,
    },
    keysOf,
  }),
  secret,
  idIsSigned: true,
  events: {
    // SYNC_UPDATES_AVAILABLE of one item has the same body every time; two events differ in the time of signing.
    id: computed(bodyAtTime),
    idPerDelivery: true,
    topic: [json('webhook_type'), '.', json('webhook_code')],
  },
  retries:
    'Wants a 200 within 10 s; tries again after 30 s, then each gap is four times as long, for up to 24 h; no retries while over 90% were rejected.',
  answers: { success: [200], failure: { '5xx': 'retried' } },
  samples: {
    'TRANSACTIONS.SYNC_UPDATES_AVAILABLE': (draft) =>
      event(draft, { initial_update_complete: true, historical_update_complete: true }),
    'ITEM.ERROR': (draft) => event(draft, { error: { error_code: 'ITEM_LOGIN_REQUIRED' } }),
    '*': (draft) => event(draft, {}),
  },
};

function keysOf(text: string, source: Source): KeySource | undefined {
  const [, environment, clientId, apiSecret] = credentialsPattern.exec(text) ?? [];
  if (environment === undefined) {
    const own = parsePublicKey(text, key.kind, key.key);
    return own && pinnedKey(own);
  }
  const ask = source.fetchText ?? fetchText;
  const url = `https://${environment}.plaid.com/webhook_verification_key/get`;
  return fetchedKeys(async (keyId) => {
    try {
      return readKey(
        await ask(url, JSON.stringify({ client_id: clientId, secret: apiSecret, key_id: keyId })),
      );
    } catch (error) {
      const code = error instanceof HttpStatusError ? errorCode(error.body) : undefined;
      if (code === noSuchKey) return { untrusted: 'signed with a key that Plaid does not know' };
      // Wrong credentials, a limit or a failure: the existence of the key stays unknown.
      throw code === undefined ? error : new Error(`Plaid answered ${code}`);
    }
  });
}

function readKey(text: string): FetchedKey | Untrusted {
  const jwk = valueAt(JSON.parse(text), ['key']);
  if (typeof jwk !== 'object' || jwk === null) throw new Error('Plaid answered without a key');
  const expiredAt = valueAt(jwk, ['expired_at']);
  const publicKey = createPublicKey({ key: jwk, format: 'jwk' } as JsonWebKeyInput);
  return { key: publicKey, ...(typeof expiredAt === 'number' ? { validToMs: expiredAt * 1000 } : {}) };
}

function errorCode(body: string): string | undefined {
  return /"error_code"\s*:\s*"([A-Z_]{1,60})"/.exec(body)?.[1];
}

function bodyAtTime(reading: Reading): string | undefined {
  const issuedAt = parseToken(readText(token, reading) ?? '')?.claims?.iat;
  if (typeof issuedAt !== 'number') return undefined;
  return `sha256:${hash('sha256', reading.delivery.body, 'hex')}:${issuedAt}`;
}

function event({ topic }: SampleDraft, more: object): object {
  const [type, code] = topic.split('.');
  return { webhook_type: type, webhook_code: code, item_id: randomId(), ...more, environment: 'sandbox' };
}
