// A JSON Web Token signed with the provider's private key; the token's `kid` names the public key.

import type { Scheme, Source, Verdict } from '../provider.ts';
import type { Part } from '../template/parts.ts';
import { startReading } from '../template/reading.ts';
import { malformedToken, readToken } from './jwt.ts';
import { type KeySource, noKey, withKey } from './key-source.ts';
import { perSecret } from './per-secret.ts';
import { privateKeyOf } from './public-key.ts';
import { maxSignatureChars, placeValue, proofHeadersOf } from './signature.ts';
import { encodeJson, isSigned, signToken, type TokenAlgorithm } from './token.ts';
import { type ClaimRules, checkClaims, freshnessOfClaims, makeClaims } from './token-claims.ts';

export interface PublicJwtSpec {
  /** `rawBody`: the body is the token, and its claims are the event. */
  at: Part;
  /** The text before the token, e.g. `Bearer `. */
  prefix?: string;
  algorithm: Exclude<TokenAlgorithm, 'HS256'>;
  /** The rules that bind the token to the delivery; without them the body must be the token. */
  rules?: ClaimRules;
  /** The required claims for a secret, e.g. the sender. */
  claimsOf?(secret: string): Readonly<Record<string, string | boolean>>;
  /** The keys that belong to a secret; undefined where the secret does not have that form. */
  keysOf(secret: string, source: Source): KeySource | undefined;
}

/** Above every configurable body limit: the server's own limit applies. */
const maxBodyTokenChars = 32 * 1024 * 1024;

export function publicJwt(spec: PublicJwtSpec): Scheme {
  return perSecret({ scheme: forOneSecret(spec) });
}

function forOneSecret({ at, prefix = '', algorithm, rules, claimsOf, keysOf }: PublicJwtSpec): Scheme {
  const isBody = typeof at === 'object' && at.kind === 'rawBody';
  const bound = rules?.bodyHash ? 'a hash of the body' : 'the claims of the sender';
  const place = isBody ? 'as the body' : `with ${bound} in ${proofHeadersOf(at).join()}`;
  return {
    summary: `JWT ${algorithm} ${place}`,
    proofHeaders: proofHeadersOf(at),
    proofParams: [],
    ...(isBody || rules?.bodyHash ? {} : { acceptsBearer: true }),
    signsBody: isBody || rules?.bodyHash !== undefined,
    signsUrl: rules?.url !== undefined,
    ...(rules ? { freshness: freshnessOfClaims(rules) } : {}),
    prepare(source) {
      const secret = source.secrets[0] ?? '';
      const keys = keysOf(secret, source) ?? noKey;
      const expected = Object.entries(claimsOf?.(secret) ?? {});
      return (delivery): Verdict | Promise<Verdict> => {
        const maxChars = isBody ? maxBodyTokenChars : maxSignatureChars;
        const token = readToken({ at, prefix }, startReading(delivery, source), maxChars);
        if ('ok' in token) return token;
        const { head, claims: read, parts } = token;
        if (head.alg !== algorithm || !read)
          return malformedToken(`the token is not signed with ${algorithm}`);
        if (typeof head.kid !== 'string') return malformedToken('the token names no key');
        // Parsed claims may need many times the bytes of a token that is the body: they are not kept while it waits for a key.
        const bound = rules && { rules, claims: read };
        const other = expected.find(([name, value]) => read[name] !== value);
        return withKey(keys.find(head.kid, delivery.receivedAt, delivery.body.length), (key): Verdict => {
          if (!isSigned(algorithm, key, `${parts[0]}.${parts[1]}`, parts[2]))
            return { ok: false, reason: 'wrong_signature' };
          if (other)
            return {
              ok: false,
              reason: 'wrong_signature',
              detail: `the claim ${other[0]} has another value`,
            };
          const rejection = bound && checkClaims(bound.rules, bound.claims, delivery, source);
          return rejection ?? { ok: true, secretIndex: 0 };
        });
      };
    },
    sign(request, source, { now, privateKey }) {
      const key = privateKeyOf(privateKey);
      const head = encodeJson({ alg: algorithm, kid: 'postbell-send', typ: 'JWT' });
      const claims = rules
        ? encodeJson({ ...claimsOf?.(source.secrets[0] ?? ''), ...makeClaims(rules, request, source, now) })
        : (claimsOfBody(request.body.toString('latin1')) ?? request.body.toString('base64url'));
      const signed = `${head}.${claims}`;
      const token = `${signed}.${signToken(algorithm, key, signed)}`;
      if (isBody) request.body = Buffer.from(token);
      else placeValue(request, at, prefix + token);
    },
  };
}

/** The claims of a body that is a token already; `sign` signs them again. */
function claimsOfBody(body: string): string | undefined {
  return /^[\w-]+\.[\w-]+\.[\w-]+$/.test(body) ? body.split('.')[1] : undefined;
}
