// For a provider with several kinds of secrets: the form of a secret selects its scheme.
import type { Scheme, Verdict, Verifier } from '../provider.ts';
import { needsOf } from './needs.ts';

export interface SecretChoice {
  /** True if the secret belongs to this scheme. The last choice has no `when`: it takes all other secrets. */
  when?: (secret: string) => boolean;
  scheme: Scheme;
}

/** Tries each secret with its own scheme, and accepts a delivery that is valid for any of them. */
export function perSecret(...choices: readonly [SecretChoice, ...SecretChoice[]]): Scheme {
  const schemes = choices.map((choice) => choice.scheme);
  const [first] = schemes as [Scheme];
  const schemeOf = (secret: string) => choices.find(({ when }) => !when || when(secret))?.scheme ?? first;
  return {
    summary: [...new Set(schemes.map((scheme) => scheme.summary))].join(', or '),
    proofHeaders: schemes.flatMap((scheme) => scheme.proofHeaders),
    proofParams: schemes.flatMap((scheme) => scheme.proofParams),
    signsBody: first.signsBody,
    signsUrl: schemes.some((scheme) => scheme.signsUrl),
    ...(first.repeatsProof ? { repeatsProof: true } : {}),
    ...(first.freshness ? { freshness: first.freshness } : {}),
    ...needsOf(schemes),
    prepare(source) {
      const verifiers = source.secrets.map((secret) =>
        schemeOf(secret).prepare({ ...source, secrets: [secret] }),
      );
      return (delivery) => {
        const verdicts = verifiers.map((verifier: Verifier) => verifier(delivery));
        return verdicts.some((verdict) => verdict instanceof Promise)
          ? Promise.all(verdicts).then(combined)
          : combined(verdicts as Verdict[]);
      };
    },
    sign: (request, source, options) => schemeOf(source.secrets[0] ?? '').sign(request, source, options),
  };
}

/** Accepts if any verdict accepts. Otherwise prefers `key_unavailable`, then any reason but `missing_header`. */
function combined(verdicts: readonly Verdict[]): Verdict {
  const secretIndex = verdicts.findIndex((verdict) => verdict.ok);
  if (secretIndex >= 0) return { ok: true, secretIndex };
  const rejections = verdicts.filter((verdict) => !verdict.ok);
  const telling =
    rejections.find((rejection) => rejection.reason === 'key_unavailable') ??
    rejections.find((rejection) => rejection.reason !== 'missing_header') ??
    rejections[0];
  return telling ?? { ok: false, reason: 'key_unavailable' };
}
