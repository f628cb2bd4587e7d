// One HTTP request of ours and its answer: no redirect is followed, and no more of the answer is read than asked for.
import http from 'node:http';
import https from 'node:https';

export interface HttpRequest {
  method: string;
  url: string | URL;
  headers: Readonly<Record<string, string>>;
  /** Undefined: without a body, and without a content-length. */
  body?: string | Buffer | undefined;
}

export interface HttpAnswer {
  status: number;
  headers: http.IncomingHttpHeaders;
  body: Buffer;
  /** `too long`: the connection was closed after `maxBytes`. `broken`: the connection failed within the body. */
  end: 'whole' | 'too long' | 'broken';
}

export interface HttpOptions {
  maxBytes: number;
  signal: AbortSignal;
  /** True: a kept connection may be used, and a further try follows at once where the server had closed it just then. */
  reuses: boolean;
}

/** @throws Error of Node where no answer begins; the reason of `signal` when it is aborted, also within an answer */
export async function exchange(request: HttpRequest, options: HttpOptions): Promise<HttpAnswer> {
  try {
    return await send(request, options);
  } catch (error) {
    if (!(error instanceof StaleConnectionError)) throw error;
    return await send(request, { ...options, reuses: false });
  }
}

class StaleConnectionError extends Error {}

function send(request: HttpRequest, { maxBytes, signal, reuses }: HttpOptions): Promise<HttpAnswer> {
  const { method, url, body } = request;
  const { request: open } = new URL(url).protocol === 'https:' ? https : http;
  const { promise, resolve, reject } = Promise.withResolvers<HttpAnswer>();
  // Without a content-length Node would send the body in chunks.
  const length = body === undefined ? {} : { 'content-length': Buffer.byteLength(body) };
  const outgoing = open(url, {
    method,
    headers: { ...request.headers, ...length },
    signal,
    ...(reuses ? {} : { agent: false }),
  });
  outgoing.on('error', (error: NodeJS.ErrnoException) => {
    if (signal.aborted) reject(signal.reason);
    else if (reuses && outgoing.reusedSocket && /^(ECONNRESET|EPIPE)$/.test(error.code ?? ''))
      reject(new StaleConnectionError('the connection was closed', { cause: error }));
    else reject(error);
  });
  outgoing.on('response', (response) => {
    const { statusCode: status = 0, headers } = response;
    const chunks: Buffer[] = [];
    let bytes = 0;
    response.on('data', (chunk: Buffer) => {
      bytes += chunk.length;
      chunks.push(chunk);
      if (bytes > maxBytes) response.destroy();
    });
    response.on('error', () => {}); // `close` follows
    response.on('close', () => {
      if (signal.aborted) return reject(signal.reason);
      const end = bytes > maxBytes ? 'too long' : response.complete ? 'whole' : 'broken';
      resolve({ status, headers, body: Buffer.concat(chunks), end });
    });
  });
  outgoing.end(body);
  return promise;
}
