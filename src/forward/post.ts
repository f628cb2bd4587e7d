// POSTs a signed request to the team's app: any port and address, no redirect followed, no more read than needed.
import http from 'node:http';
import https from 'node:https';
import type { OutgoingRequest } from '../providers/provider.ts';

export interface Answer {
  status: number;
  /** The header Retry-After. */
  retryAfter: string | undefined;
}

/** The app's body is of no use: it is read, so that the connection can be used again, up to this size. */
const maxBodyBytes = 65_536;

/** @throws Error when no answer comes; its cause says why. The reason of `signal` when it is aborted */
export async function post(request: OutgoingRequest, signal: AbortSignal): Promise<Answer> {
  try {
    return await send(request, signal, true);
  } catch (error) {
    if (!(error instanceof StaleConnectionError)) throw error;
    return await send(request, signal, false);
  }
}

/** The app closed a kept connection at the moment of its use, e.g. because it restarts. */
class StaleConnectionError extends Error {}

function send(request: OutgoingRequest, signal: AbortSignal, mayReuse: boolean): Promise<Answer> {
  const { url, method, headers, body } = request;
  const { request: open } = url.startsWith('https:') ? https : http;
  const { promise, resolve, reject } = Promise.withResolvers<Answer>();
  const outgoing = open(url, {
    method,
    headers: { ...headers, 'content-length': body.length },
    signal,
    ...(mayReuse ? {} : { agent: false }),
  });
  outgoing.on('error', (cause: NodeJS.ErrnoException) => {
    if (signal.aborted) reject(signal.reason);
    else if (outgoing.reusedSocket && /^(ECONNRESET|EPIPE)$/.test(cause.code ?? ''))
      reject(new StaleConnectionError('the connection was closed', { cause }));
    else reject(new Error(`the app at ${new URL(url).origin} did not answer`, { cause }));
  });
  outgoing.on('response', (response) => {
    const { statusCode: status = 0, headers: answered } = response;
    let bytes = 0;
    response.on('data', (chunk: Buffer) => {
      bytes += chunk.length;
      if (bytes > maxBodyBytes) response.destroy();
    });
    response.on('error', () => {}); // the status has arrived
    response.on('close', () => {
      if (signal.aborted) reject(signal.reason);
      else resolve({ status, retryAfter: answered['retry-after'] });
    });
  });
  outgoing.end(body);
  return promise;
}
