// Our answers to a provider, and their effect at the provider.
import type {
  AnswerEffect,
  AnswerFacts,
  Delivery,
  EventDraft,
  HandshakeAnswer,
  Provider,
} from './provider.ts';

/** The answer to a delivery that is committed; undefined: our own 200. */
export function acceptedAnswerOf(
  { acceptedAnswer }: Provider,
  delivery: Delivery,
  events: readonly EventDraft[],
): HandshakeAnswer | undefined {
  return typeof acceptedAnswer === 'function' ? acceptedAnswer(delivery, events) : acceptedAnswer;
}

/** The status that makes the provider send again. */
export function unavailableStatusOf(provider: Provider | undefined): 429 | 503 {
  return provider?.unavailableStatus ?? 503;
}

/** The effect of this status on the delivery at the provider. */
export function effectOf(provider: Provider, status: number): AnswerEffect {
  const { success, failure = {} } = answerFactsOf(provider);
  if (success ? success.includes(status) : status >= 200 && status < 300) return 'accepted';
  const ofClass = status >= 500 ? failure['5xx'] : status >= 400 ? failure['4xx'] : undefined;
  return failure[status] ?? ofClass ?? failure.any ?? 'unknown';
}

export function answerFactsOf({ answers }: Provider): AnswerFacts {
  return answers === undefined || answers === 'unknown' ? {} : answers;
}

/** The largest body that Postbell reads for a source of the provider. @param configuredBytes BODY_LIMIT_BYTES */
export function bodyLimitOf({ bodyLimitBytes = 0 }: Provider, configuredBytes: number): number {
  return Math.max(bodyLimitBytes, configuredBytes);
}
