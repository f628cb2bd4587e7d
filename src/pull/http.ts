// One request to a provider's API: no redirect is followed, and the answer is bounded in size and time.
import http from 'node:http';
import https from 'node:https';
import { RecoverError } from './recover-error.ts';

export interface HttpRequest {
  method: string;
  url: URL;
  headers: Readonly<Record<string, string>>;
  body?: string | undefined;
}

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
export function requestOnce(
  { method, url, headers, body }: HttpRequest,
  { maxBytes, timeoutMs }: HttpLimits,
  signal: AbortSignal,
): Promise<HttpAnswer> {
  const { promise, resolve, reject } = Promise.withResolvers<HttpAnswer>();
  const open = url.protocol === 'https:' ? https.request : http.request;
  const timeout = AbortSignal.timeout(timeoutMs);
  // Node's error may name the address of the machine, but no header.
  const failed = (cause: unknown) => {
    if (signal.aborted) reject(signal.reason);
    else if (timeout.aborted)
      reject(new NoAnswerError(`${url.host} did not answer within ${timeoutMs / 1_000} s; try again later`));
    else
      reject(
        new NoAnswerError(`${url.host} cannot be reached; check the network and the address`, { cause }),
      );
  };
  const outgoing = open(url, {
    method,
    headers: {
      ...headers,
      ...(method === 'POST' ? { 'content-length': Buffer.byteLength(body ?? '') } : {}),
    },
    signal: AbortSignal.any([signal, timeout]),
    agent: false,
  });
  outgoing.on('error', failed);
  outgoing.on('response', (response) => {
    const chunks: Buffer[] = [];
    let bytes = 0;
    response.on('data', (chunk: Buffer) => {
      bytes += chunk.length;
      chunks.push(chunk);
      if (bytes <= maxBytes) return;
      reject(
        new RecoverError(
          'unexpected_answer',
          `${url.host} answered with more than ${maxBytes / 1_048_576} MB; check the API's address`,
        ),
      );
      response.destroy();
    });
    response.on('error', failed);
    response.on('end', () => {
      const { headers } = response;
      const one = (name: string) => headers[name]?.toString();
      resolve({
        status: response.statusCode ?? 0,
        retryAfter: headers['retry-after'],
        link: one('link'),
        contentEncoding: headers['content-encoding'],
        rateLimitRemaining: one('x-ratelimit-remaining'),
        rateLimitReset: one('x-ratelimit-reset'),
        body: Buffer.concat(chunks),
      });
    });
  });
  outgoing.end(body);
  return promise;
}
