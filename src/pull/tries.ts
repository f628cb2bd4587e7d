// Sends one request until there is an answer: waits where the provider asks for it, and tries again.
import { setTimeout as delay } from 'node:timers/promises';
import { retryAfterSeconds } from '../forward/retry-after.ts';
import { type HttpAnswer, type HttpLimits, type HttpRequest, NoAnswerError, requestOnce } from './http.ts';
import { RecoverError } from './recover-error.ts';

export interface ApiLimits extends HttpLimits {
  /** Tries of one request, the first included. */
  maxTries: number;
  /** Longest pause between two tries. A provider that asks for a longer one ends the run. */
  maxPauseMs: number;
  /** The first pause where the provider does not ask for one; it doubles. */
  pauseMs: number;
}

export const apiLimits: ApiLimits = {
  maxBytes: 10 * 1_048_576,
  timeoutMs: 30_000,
  maxTries: 5,
  maxPauseMs: 60_000,
  pauseMs: 1_000,
};

const passingFailures: readonly number[] = [500, 502, 503, 504];

/** @returns the last answer, whatever its status. @throws RecoverError; the reason of `signal` when it is aborted */
export async function sendOften(
  request: HttpRequest,
  limits: ApiLimits,
  signal: AbortSignal,
): Promise<HttpAnswer> {
  for (let nth = 1; ; nth++) {
    const isLast = nth === limits.maxTries;
    const result = await requestOnce(request, limits, signal).catch((error) => {
      if (error instanceof NoAnswerError && !isLast) return error;
      throw error;
    });
    const pauseMs = pauseAfter(result, limits.pauseMs * 2 ** (nth - 1));
    if (!(result instanceof NoAnswerError) && (pauseMs === undefined || isLast)) return result;
    if (pauseMs! > limits.maxPauseMs)
      throw new RecoverError(
        'unavailable',
        `${request.url.host} asks for a pause of ${Math.ceil(pauseMs! / 1_000)} s; the next run goes on here`,
      );
    await delay(pauseMs, undefined, { signal }).catch(() => signal.throwIfAborted());
  }
}

/** True for an answer that says: too many requests. GitHub answers 403 as well. */
export function isLimited({ status, retryAfter, rateLimitRemaining }: HttpAnswer): boolean {
  return status === 429 || (status === 403 && (retryAfter !== undefined || rateLimitRemaining === '0'));
}

/** @returns ms; undefined where the answer is final */
function pauseAfter(result: HttpAnswer | NoAnswerError, fallbackMs: number): number | undefined {
  if (result instanceof NoAnswerError) return fallbackMs;
  const { status, retryAfter, rateLimitRemaining, rateLimitReset } = result;
  if (!isLimited(result) && !passingFailures.includes(status)) return undefined;
  const seconds = retryAfterSeconds(retryAfter, new Date());
  if (seconds !== undefined) return seconds * 1_000;
  if (isLimited(result) && rateLimitRemaining === '0' && /^\d{9,11}$/.test(rateLimitReset ?? ''))
    return Math.max(fallbackMs, Number(rateLimitReset) * 1_000 - Date.now());
  return fallbackMs;
}
