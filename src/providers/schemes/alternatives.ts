// One provider, several ways of signing: the headers that were sent say which one has to hold.
import type { Freshness, Scheme } from '../provider.ts';

export interface Alternative {
  /** This scheme counts as soon as one of these headers is there, complete or not. */
  headers: readonly string[];
  scheme: Scheme;
}

/**
 * The first alternative with one of its headers present decides, with no way back: a failed stronger scheme
 * must not be got round by sending a weaker one beside it. Without any of the headers, the last one decides.
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
