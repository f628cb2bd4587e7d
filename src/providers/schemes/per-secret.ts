// One provider, several kinds of secrets: the shape of a secret says which scheme it belongs to.
import type { Scheme, Verdict, Verifier } from '../provider.ts';

export interface SecretChoice {
  /** The last choice needs none: it takes what is left. */
  when?: (secret: string) => boolean;
  scheme: Scheme;
}

/** Each secret is tried under its own scheme; a delivery that holds under any of them is accepted. */
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

/** Acceptance by any; else that one of them could not be asked; else what says more than that a header is missing. */
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
