// eBay: ECDSA with SHA-1 over the body; eBay's API returns the key for the id that the signature names.
import { createHash, sign, verify } from 'node:crypto';
import { valueAt } from '../body/body.ts';
import { emptyAnswer, isChallenge, jsonAnswer, queryParam } from '../handshake.ts';
import type {
  Delivery,
  HandshakeAnswer,
  Provider,
  Rejection,
  SampleDraft,
  Scheme,
  SecretSpec,
  Source,
  Verdict,
} from '../provider.ts';
import { publicKeySecret } from '../public-key-secrets.ts';
import { fetchText, HttpStatusError } from '../schemes/fetch-text.ts';
import { type FetchedKey, fetchedKeys, type Untrusted } from '../schemes/fetched-keys.ts';
import { type KeySource, noKey, pinnedKey, withKey } from '../schemes/key-source.ts';
import { perSecret } from '../schemes/per-secret.ts';
import { parsePublicKey, privateKeyOf } from '../schemes/public-key.ts';
import { decodeBytes, maxSignatureChars } from '../schemes/signature.ts';
import { header, json } from '../template/parts.ts';
import { readPart, startReading } from '../template/reading.ts';
import { randomId } from './sample.ts';

const signatureHeader = 'x-ebay-signature';
const ecdsa = { kind: 'ecdsa-p256', key: { format: 'spki' } } as const;
const credentialsPattern = /^(production|sandbox):([\w-]{10,128}):([\w-]{10,128})$/;
const tokenScope = 'https://api.ebay.com/oauth/api_scope';

const pinned = publicKeySecret({
  ...ecdsa,
  label: 'App ID and Cert ID',
  where: 'developer.ebay.com → Hi … → Application Keys → App ID (client id) and Cert ID (client secret)',
});

const secret: SecretSpec = {
  ...pinned,
  format: 'production:<App ID>:<Cert ID> or sandbox:… to fetch keys, or one public key to pin',
  check(text) {
    if (credentialsPattern.test(text)) return undefined;
    return text.includes(':')
      ? 'must be production or sandbox, a colon, the App ID, a colon and the Cert ID'
      : pinned.check(text);
  },
};

interface Proof {
  kid: string;
  signature: Buffer;
}

const signedByEbay: Scheme = {
  summary: `ECDSA P-256 with SHA-1 in ${signatureHeader}, key from api.ebay.com`,
  proofHeaders: [signatureHeader],
  proofParams: [],
  signsBody: true,
  signsUrl: false,
  prepare(source) {
    const keys = keysOf(source.secrets[0] ?? '', source) ?? noKey;
    return (delivery) => {
      const proof = readProof(delivery, source);
      if ('ok' in proof) return proof;
      return withKey(
        keys.find(proof.kid, delivery.receivedAt, delivery.body.length),
        (key): Verdict =>
          verify('sha1', delivery.body, key, proof.signature)
            ? { ok: true, secretIndex: 0 }
            : { ok: false, reason: 'wrong_signature' },
      );
    };
  },
  sign(request, _source, { privateKey }) {
    const signature = sign('sha1', request.body, privateKeyOf(privateKey)).toString('base64');
    const proof = { alg: 'ecdsa', kid: 'postbell-send', signature, digest: 'SHA1' };
    request.headers[signatureHeader] = Buffer.from(JSON.stringify(proof)).toString('base64');
  },
};

export const ebay: Provider = {
  name: 'ebay',
  title: 'eBay (Notification API)',
  docsUrl: 'https://developer.ebay.com/marketplace-account-deletion',
  facts:
    'Signature, keys by app token, challenge and a signed example L: eBay/event-notification-nodejs-sdk, which signs the compact JSON that eBay sends. Application token L: npm ebay-oauth-nodejs-client. Body D: its AsyncAPI contract; publishDate and publishAttemptCount change with each try, notificationId does not L: the same examples. Verification token and URL D: the page above.',
  scheme: perSecret({ scheme: signedByEbay }),
  secret,
  idIsSigned: true,
  events: {
    id: json('notification.notificationId'),
    topic: json('metadata.topic'),
    occurredAt: { at: json('notification.eventDate'), unit: 'iso' },
  },
  handshakes: [{ method: 'GET', phase: 'unsigned', answer: answerChallenge }],
  retries: 'Wants a 2xx; tries again and counts the tries in the body, schedule unknown.',
  sending: { newId: () => `${crypto.randomUUID()}_${crypto.randomUUID()}` },
  answers: { failure: { '5xx': 'retried' } },
  setup: {
    url: 'developer.ebay.com → Application Keys → Notifications → endpoint, and a verification token of your choice: set EBAY_VERIFY_TOKEN to the same token, and PUBLIC_URL or EBAY_WEBHOOK_URL to the URL',
  },
  samples: {
    MARKETPLACE_ACCOUNT_DELETION: (draft) =>
      notification(draft, {
        username: 'ada',
        userId: randomId(),
        eiasToken: 'nY+sHZ2PrBmdj6wVnY+sEZ2PrA2dj6wJ',
      }),
    '*': (draft) => notification(draft, {}),
  },
};

function readProof(delivery: Delivery, source: Source): Proof | Rejection {
  const text = readPart(header(signatureHeader), startReading(delivery, source));
  if (typeof text !== 'string') return text;
  const bytes = text.length > maxSignatureChars ? undefined : decodeBytes(text, 'base64');
  const proof = bytes && parseProof(bytes.toString('latin1'));
  return proof ?? { ok: false, reason: 'malformed_signature', detail: 'no key id and signature in base64' };
}

function parseProof(text: string): Proof | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    // The header holds no JSON and so no proof; the caller reports that.
    return undefined;
  }
  const kid = valueAt(value, ['kid']);
  const encoded = valueAt(value, ['signature']);
  if (typeof kid !== 'string' || !/^[\w-]{1,100}$/.test(kid) || typeof encoded !== 'string') return undefined;
  const signature = decodeBytes(encoded, 'base64');
  return signature && { kid, signature };
}

function keysOf(text: string, source: Source): KeySource | undefined {
  const [, environment, clientId, clientSecret] = credentialsPattern.exec(text) ?? [];
  if (environment === undefined) {
    const own = parsePublicKey(text, ecdsa.kind, ecdsa.key);
    return own && pinnedKey(own);
  }
  const ask = source.fetchText ?? fetchText;
  const api = `https://api.${environment === 'sandbox' ? 'sandbox.' : ''}ebay.com`;
  return fetchedKeys(async (keyId) => {
    const basic = Buffer.from(`${clientId}:${clientSecret}`).toString('base64');
    const granted = await ask(
      `${api}/identity/v1/oauth2/token`,
      `grant_type=client_credentials&scope=${encodeURIComponent(tokenScope)}`,
      { authorization: `Basic ${basic}`, 'content-type': 'application/x-www-form-urlencoded' },
    );
    const token = valueAt(JSON.parse(granted), ['access_token']);
    if (typeof token !== 'string') throw new Error('eBay answered without an access token');
    try {
      const url = `${api}/commerce/notification/v1/public_key/${keyId}`;
      return readKey(await ask(url, undefined, { authorization: `Bearer ${token}` }));
    } catch (error) {
      if (error instanceof HttpStatusError && error.status === 404)
        return { untrusted: 'signed with a key that eBay does not know' };
      throw error;
    }
  });
}

/** A PEM without line breaks. */
function readKey(text: string): FetchedKey | Untrusted {
  const pem = valueAt(JSON.parse(text), ['key']);
  if (typeof pem !== 'string') throw new Error('eBay answered without a key');
  const key = parsePublicKey(pem.replace(/-----(BEGIN|END) PUBLIC KEY-----/g, ''), ecdsa.kind, ecdsa.key);
  return key ? { key } : { untrusted: 'signed with a key of another kind' };
}

/** A hash of the challenge, the token and the URL as entered at eBay. */
function answerChallenge(delivery: Delivery, source: Source): HandshakeAnswer | undefined {
  const challenge = queryParam(delivery, 'challenge_code');
  if (challenge === undefined) return undefined;
  const { verifyToken, webhookUrl } = source;
  if (!verifyToken || !webhookUrl) return emptyAnswer(403);
  if (!isChallenge(challenge)) return emptyAnswer(400);
  const challengeResponse = createHash('sha256')
    .update(challenge + verifyToken + webhookUrl)
    .digest('hex');
  return jsonAnswer({ challengeResponse });
}

function notification({ topic, id, now }: SampleDraft, data: object): object {
  return {
    metadata: { topic, schemaVersion: '1.0', deprecated: false },
    notification: {
      notificationId: id,
      eventDate: now.toISOString(),
      publishDate: now.toISOString(),
      publishAttemptCount: 1,
      data,
    },
  };
}
