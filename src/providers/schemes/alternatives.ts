// For a provider with several ways of signing: the received headers decide which signature must be valid.
import type { Freshness, Scheme } from '../provider.ts';
import { needsOf } from './needs.ts';

export interface Alternative {
  /** Any of these headers is enough to select this scheme, even where its other headers are missing. */
  headers: readonly string[];
  scheme: Scheme;
}

/**
 * The first alternative with one of its headers present decides. If its check fails, no other alternative is tried:
 * otherwise a sender could add a weaker proof. Without any of the headers, the last alternative decides.
 */
export function alternatives(...choices: readonly [Alternative, ...Alternative[]]): Scheme {
  const schemes = choices.map((choice) => choice.scheme);
  const [first] = choices;
  const freshness: Freshness | undefined = first.scheme.freshness;
  return {
    summary: [...new Set(schemes.map((scheme) => scheme.summary))].join(', or '),
    proofHeaders: schemes.flatMap((scheme) => scheme.proofHeaders),
    proofParams: schemes.flatMap((scheme) => scheme.proofParams),
    signsBody: schemes.every((scheme) => scheme.signsBody),
    signsUrl: schemes.some((scheme) => scheme.signsUrl),
    ...(freshness ? { freshness } : {}),
    ...(first.scheme.isCredential ? { isCredential: true } : {}),
    ...needsOf(schemes),
    prepare(source) {
      const verifiers = schemes.map((scheme) => scheme.prepare(source));
      return (delivery) => {
        const found = choices.findIndex(({ headers }) => headers.some((name) => delivery.headers[name]));
        const verifier = verifiers.at(found);
        return verifier ? verifier(delivery) : { ok: false, reason: 'missing_header' };
      };
    },
    sign: (request, source, options) => first.scheme.sign(request, source, options),
  };
}
