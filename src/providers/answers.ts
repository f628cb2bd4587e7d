// What a provider is answered with, and what it makes of that.
import type { AnswerEffect, Delivery, EventDraft, HandshakeAnswer, Provider } from './provider.ts';

/** The answer to a delivery that is committed; undefined: our own 200. */
export function acceptedAnswerOf(
  { acceptedAnswer }: Provider,
  delivery: Delivery,
  events: readonly EventDraft[],
): HandshakeAnswer | undefined {
  return typeof acceptedAnswer === 'function' ? acceptedAnswer(delivery, events) : acceptedAnswer;
}

/** The status that makes the provider try again. */
export function unavailableStatusOf(provider: Provider | undefined): 429 | 503 {
  return provider?.unavailableStatus ?? 503;
}

/** What becomes of a delivery that is answered with this status. */
export function effectOf({ answers }: Provider, status: number): AnswerEffect {
  const { success, failure = {} } = answers ?? {};
  if (success ? success.includes(status) : status >= 200 && status < 300) return 'accepted';
  const ofClass = status >= 500 ? failure['5xx'] : status >= 400 ? failure['4xx'] : undefined;
  return failure[status] ?? ofClass ?? failure.any ?? 'unknown';
}

/** Whether the provider sends anything again, whatever it is answered with. */
export function retriesNothing(provider: Provider): boolean {
  return provider.answers?.failure?.any === 'final' && !retriedStatuses(provider);
}

function retriedStatuses({ answers }: Provider): boolean {
  return Object.values(answers?.failure ?? {}).some(
    (effect) => effect === 'retried' || effect === 'if-asked',
  );
}

/** The largest body that is read for a source of the provider. @param configuredBytes BODY_LIMIT_BYTES */
export function bodyLimitOf({ bodyLimitBytes = 0 }: Provider, configuredBytes: number): number {
  return Math.max(bodyLimitBytes, configuredBytes);
}
