// One request to a provider's API: no redirect is followed, and the answer is bounded in size and time.
import { type HttpRequest as AnyRequest, exchange } from '../http-client.ts';
import { RecoverError } from './recover-error.ts';

export type HttpRequest = AnyRequest & { url: URL };

export interface HttpAnswer {
  status: number;
  /** The headers that are used. */
  retryAfter: string | undefined;
  link: string | undefined;
  contentEncoding: string | undefined;
  /** GitHub: 0 where no request is left until `rateLimitReset`, in seconds since 1970. */
  rateLimitRemaining: string | undefined;
  rateLimitReset: string | undefined;
  body: Buffer;
}

/** The connection failed before the answer was complete: the request may be sent again. */
export class NoAnswerError extends RecoverError {
  constructor(message: string, options?: ErrorOptions) {
    super('unavailable', message, options);
  }
}

export interface HttpLimits {
  maxBytes: number;
  /** From the start of the request to the end of its answer. */
  timeoutMs: number;
}

/** @throws NoAnswerError; RecoverError for an answer that is too long; the reason of `signal` when it is aborted */
export async function requestOnce(
  request: HttpRequest,
  { maxBytes, timeoutMs }: HttpLimits,
  signal: AbortSignal,
): Promise<HttpAnswer> {
  const { url } = request;
  const timeout = AbortSignal.timeout(timeoutMs);
  const answer = await exchange(request, {
    maxBytes,
    signal: AbortSignal.any([signal, timeout]),
    reuses: false,
  }).catch((cause: unknown) => {
    signal.throwIfAborted();
    if (timeout.aborted)
      throw new NoAnswerError(`${url.host} did not answer within ${timeoutMs / 1_000} s; try again later`);
    throw unreachable(url, cause);
  });
  if (answer.end === 'too long')
    throw new RecoverError(
      'unexpected_answer',
      `${url.host} answered with more than ${maxBytes / 1_048_576} MB; check the API's address`,
    );
  if (answer.end === 'broken') throw unreachable(url);
  const { status, headers, body } = answer;
  const one = (name: string) => headers[name]?.toString();
  return {
    status,
    retryAfter: headers['retry-after'],
    link: one('link'),
    contentEncoding: headers['content-encoding'],
    rateLimitRemaining: one('x-ratelimit-remaining'),
    rateLimitReset: one('x-ratelimit-reset'),
    body,
  };
}

/** Node's error may name the address of the machine, but no header. */
function unreachable({ host }: URL, cause?: unknown): NoAnswerError {
  return new NoAnswerError(`${host} cannot be reached; check the network and the address`, { cause });
}
