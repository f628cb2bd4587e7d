// A static credential: every request that repeats it is accepted. Nothing is signed.
import { sameText } from '../equal.ts';
import type { Scheme, Verdict } from '../provider.ts';
import type { Part } from '../template/parts.ts';
import { readPart, startReading } from '../template/reading.ts';
import { maxSignatureChars, placeName, placeValue, proofHeadersOf } from './signature.ts';

export interface CredentialSpec {
  /** A header, a query parameter or a field of the body. */
  at: Part;
  /** The expected value for a secret; by default the secret itself. */
  expected?: (secret: string) => string;
  /** For people, e.g. `basic auth`. */
  name?: string;
}

export function credential(spec: CredentialSpec): Scheme {
  const expected = spec.expected ?? ((secret: string) => secret);
  return {
    summary: `${spec.name ?? 'static secret'} in ${placeName(spec.at)}`,
    proofHeaders: proofHeadersOf(spec.at),
    proofParams: typeof spec.at === 'object' && spec.at.kind === 'query' ? [spec.at.name] : [],
    signsBody: false,
    isCredential: true,
    acceptsBearer: true,
    signsUrl: false,
    prepare(source) {
      const wanted = source.secrets.map(expected);
      return (delivery): Verdict => {
        const text = readPart(spec.at, startReading(delivery, source));
        if (typeof text !== 'string') return text;
        if (text.length > maxSignatureChars) return { ok: false, reason: 'malformed_signature' };
        const secretIndex = wanted.findIndex((secret) => secret !== '' && sameText(secret, text));
        return secretIndex < 0 ? { ok: false, reason: 'wrong_signature' } : { ok: true, secretIndex };
      };
    },
    sign: (request, source) => placeValue(request, spec.at, expected(source.secrets[0] ?? '')),
  };
}
