// POSTs a request to an address of the team: any port and address, no redirect followed, no more read than needed.
import { exchange } from '../http-client.ts';
import type { OutgoingRequest } from '../providers/provider.ts';

export interface Answer {
  status: number;
  /** The header Retry-After. */
  retryAfter: string | undefined;
}

/** The answer's body is of no use: it is read, so that the connection can be used again, up to this size. */
const maxBytes = 65_536;

/**
 * @param receiver names it in the error
 * @throws Error when no answer comes; its cause says why. The reason of `signal` when it is aborted
 */
export async function post(
  request: OutgoingRequest,
  signal: AbortSignal,
  receiver = 'the app',
): Promise<Answer> {
  try {
    // The status has arrived, however the body ends.
    const { status, headers } = await exchange(request, { maxBytes, signal, reuses: true });
    return { status, retryAfter: headers['retry-after'] };
  } catch (cause) {
    if (signal.aborted) throw cause;
    throw new Error(`${receiver} at ${new URL(request.url).origin} did not answer`, { cause });
  }
}
