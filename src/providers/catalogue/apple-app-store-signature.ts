// The signature of App Store notifications: a JWS whose own head carries the certificates, up to Apple's root.
import { type KeyObject, X509Certificate } from 'node:crypto';
import { valueAt } from '../body/body.ts';
import type { Rejection, Scheme, Source, Verdict } from '../provider.ts';
import { hasExtension } from '../schemes/certificate-extension.ts';
import { isCurrent, isIssuedBy } from '../schemes/certificates.ts';
import { malformedToken } from '../schemes/jwt.ts';
import { perSecret } from '../schemes/per-secret.ts';
import { isOfKind, parsePublicKey, privateKeyOf } from '../schemes/public-key.ts';
import { type Claims, encodeJson, isSigned, parseToken, signToken } from '../schemes/token.ts';
import { missing } from '../template/reading.ts';

/** SHA-256 of "Apple Root CA - G3", as www.apple.com/certificateauthority publishes it; valid until 2039-04-30. */
const appleRoot =
  '63:34:3A:BF:B8:9A:6A:03:EB:B5:7E:9B:3F:5F:A7:BE:7C:4F:5C:75:6F:30:17:B3:A8:C4:88:C3:65:3E:91:79';
/** 1.2.840.113635.100.6.11.1 marks certificates that sign for the App Store: Apple's root also certifies developers. */
const signsForStore = '2a864886f76364060b01';
/** 1.2.840.113635.100.6.2.1 marks the certificates that issue them. */
const issuesSigners = '2a864886f76364060201';
const chainLength = 3;
const keyFormat = { format: 'spki' } as const;
const appPattern = /^([A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+)(?::(Production|Sandbox))?(?:;(.+))?$/s;

/** The meaning of a secret: the accepted app and environment, and for trials a pinned key. */
export interface App {
  bundleId: string;
  environment: 'Production' | 'Sandbox';
  pinned: string | undefined;
}

export function parseApp(secret: string): App | undefined {
  const match = appPattern.exec(secret);
  if (!match?.[1]) return undefined;
  return {
    bundleId: match[1],
    environment: match[2] === 'Sandbox' ? 'Sandbox' : 'Production',
    pinned: match[3],
  };
}

export const appStoreScheme: Scheme = perSecret({
  scheme: {
    summary: "JWS ES256 as signedPayload of the body, its certificates end at Apple's root",
    proofHeaders: [],
    proofParams: [],
    // Members beside the token are not signed, and are not read.
    signsBody: false,
    signsUrl: false,
    prepare(source) {
      const app = parseApp(source.secrets[0] ?? '');
      const pinned = app?.pinned === undefined ? undefined : pinnedKey(app.pinned);
      return (delivery): Verdict => {
        if (!app) return { ok: false, reason: 'key_unavailable', detail: 'the secret is no bundle ID' };
        const text = signedPayloadOf(delivery.body);
        if (text === undefined) return missing('signedPayload in the body');
        const token = parseToken(text);
        const algorithm = token?.head.alg;
        if (algorithm !== 'ES256' || !token?.claims)
          return malformedToken('the token is not signed with ES256');
        const key = pinned ?? keyOfChain(token.head.x5c, source, delivery.receivedAt);
        if ('ok' in key) return key;
        if (!isSigned('ES256', key, `${token.parts[0]}.${token.parts[1]}`, token.parts[2]))
          return { ok: false, reason: 'wrong_signature' };
        return findOtherApp(app, token.claims) ?? { ok: true, secretIndex: 0 };
      };
    },
    sign(request, _source, { privateKey }) {
      const key = privateKeyOf(privateKey);
      // A given body that holds a token already is signed again.
      const claims = parseToken(signedPayloadOf(request.body) ?? '')?.parts[1];
      const signed = `${encodeJson({ alg: 'ES256', x5c: [] })}.${claims ?? request.body.toString('base64url')}`;
      const signedPayload = `${signed}.${signToken('ES256', key, signed)}`;
      request.body = Buffer.from(JSON.stringify({ signedPayload }));
    },
  },
});

/** The token of the body `{"signedPayload":"…"}`. */
export function signedPayloadOf(body: Buffer): string | undefined {
  try {
    const token = valueAt(JSON.parse(body.toString('utf8')), ['signedPayload']);
    return typeof token === 'string' ? token : undefined;
  } catch {
    // The body is no JSON and holds no token; the caller reports that.
    return undefined;
  }
}

export function pinnedKey(text: string): KeyObject | undefined {
  return parsePublicKey(text, 'ecdsa-p256', keyFormat);
}

/** The key of the first certificate, if all three certificates form Apple's chain. */
function keyOfChain(x5c: unknown, source: Source, now: Date): KeyObject | Rejection {
  const chain = parseChain(x5c);
  if (!chain) return malformedToken('x5c holds no three certificates');
  const problem = findProblem(chain, source, now.getTime());
  if (problem !== undefined)
    return { ok: false, reason: 'wrong_signature', detail: `its certificates are rejected: ${problem}` };
  return chain[0].publicKey;
}

type Chain = readonly [X509Certificate, X509Certificate, X509Certificate];

function parseChain(x5c: unknown): Chain | undefined {
  if (!Array.isArray(x5c) || x5c.length !== chainLength) return undefined;
  try {
    const [leaf, issuer, root] = x5c.map((text) => new X509Certificate(Buffer.from(String(text), 'base64')));
    return leaf && issuer && root ? [leaf, issuer, root] : undefined;
  } catch {
    // The texts are no certificates; the caller reports that.
    return undefined;
  }
}

function findProblem([leaf, issuer, root]: Chain, source: Source, nowMs: number): string | undefined {
  if (!isTrustedRoot(root, source)) return "they do not end at Apple's root";
  if (!issuer.ca || !isIssuedBy(issuer, root) || !isIssuedBy(leaf, issuer)) return 'they form no chain';
  if (!hasExtension(issuer, issuesSigners) || !hasExtension(leaf, signsForStore))
    return 'they are not for the App Store';
  if (![leaf, issuer, root].every((certificate) => isCurrent(certificate, nowMs)))
    return 'a certificate is not valid at this time';
  return isOfKind(leaf.publicKey, 'ecdsa-p256') ? undefined : 'its key is of another kind';
}

function isTrustedRoot({ fingerprint256 }: X509Certificate, { trustedRoots }: Source): boolean {
  if (!trustedRoots) return fingerprint256 === appleRoot;
  return trustedRoots.some((pem) => new X509Certificate(pem).fingerprint256 === fingerprint256);
}

/** Apple signs for every app: a notification must name ours. */
function findOtherApp({ bundleId, environment }: App, claims: Claims): Rejection | undefined {
  const { externalPurchaseToken: purchase } = claims;
  const about = claims.data ?? claims.summary ?? purchase ?? claims.appData;
  if (valueAt(about, ['bundleId']) !== bundleId)
    return { ok: false, reason: 'wrong_signature', detail: 'it is for another bundle ID' };
  const purchaseId = valueAt(purchase, ['externalPurchaseId']);
  const isPurchase = about === purchase;
  const found = isPurchase
    ? String(purchaseId).startsWith('SANDBOX')
      ? 'Sandbox'
      : 'Production'
    : valueAt(about, ['environment']);
  if (found === environment) return undefined;
  return { ok: false, reason: 'wrong_signature', detail: `it is not from ${environment}` };
}
