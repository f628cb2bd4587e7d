// POSTs a signed request to the team's app: any port and address, no redirect followed, no more read than needed.
import { exchange } from '../http-client.ts';
import type { OutgoingRequest } from '../providers/provider.ts';

export interface Answer {
  status: number;
  /** The header Retry-After. */
  retryAfter: string | undefined;
}

/** The app's body is of no use: it is read, so that the connection can be used again, up to this size. */
const maxBytes = 65_536;

/** @throws Error when no answer comes; its cause says why. The reason of `signal` when it is aborted */
export async function post(request: OutgoingRequest, signal: AbortSignal): Promise<Answer> {
  try {
    // The status has arrived, however the body ends.
    const { status, headers } = await exchange(request, { maxBytes, signal, reuses: true });
    return { status, retryAfter: headers['retry-after'] };
  } catch (cause) {
    if (signal.aborted) throw cause;
    throw new Error(`the app at ${new URL(request.url).origin} did not answer`, { cause });
  }
}
