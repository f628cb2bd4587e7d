// `forwardTo`: a handler that passes events on to the team's own app, in whatever language it is written.
import { Later, PermanentError } from '../errors.ts';
import { defineHandler, type Handler } from '../handlers/handler.ts';
import { type Answer, post } from './post.ts';
import { retryAfterSeconds } from './retry-after.ts';
import { signForward } from './signed-request.ts';
import { type Target, targetProblems } from './target.ts';

export interface ForwardOptions {
  /** As in `defineHandler`. */
  name?: string;
  /** As in `defineHandler`. */
  provider: string;
  /** Only events of this source. Default: every source of the provider. */
  source?: string;
  /** As in `defineHandler`. */
  topic: string | readonly string[];
  /** Absolute, http or https, without user and password. Loopback and private addresses are allowed. */
  url: string;
  /** `whsec_` and base64 of at least 24 bytes, as `postbell keys standard-webhooks` makes it. The app has the same. */
  secret: string;
}

/**
 * A handler that POSTs each event to `url`, signed by Standard Webhooks under the event's id (docs/forwarding.md). PROCESSED
 * only after a 2xx: the app gets an event at least once, each time under the same id. 503 with Retry-After defers the event,
 * 410 and 422 make it FAILED, everything else is a failure and retried. The time limit is HANDLER_TIMEOUT_SECONDS.
 * @throws TypeError for a wrong option
 */
export function forwardTo({ url, secret, ...which }: ForwardOptions): Handler {
  const target = { url, secret };
  const problems = targetProblems(target, { url: 'url', secret: 'secret' });
  if (problems.length > 0) throw new TypeError(`forwardTo: ${problems.join('; ')}`);
  return forwardHandler(which, () => target);
}

/** @param targetOf is given the event's source */
export function forwardHandler(
  which: Pick<Handler, 'name' | 'provider' | 'source' | 'topic'>,
  targetOf: (source: string) => Target,
): Handler {
  return defineHandler({
    ...which,
    // An HTTP call inside a shared transaction would hold the locks of the other events.
    transaction: 'own',
    handle: async ({ event, readBody, signal }) => {
      const target = targetOf(event.source);
      const answer = await post(signForward(event, await readBody(), target, new Date()), signal);
      throwUnlessProcessed(answer, target);
    },
  });
}

/** The app's body is not in the error: it may hold anything, and `last_error` is for everybody's eyes. */
function throwUnlessProcessed({ status, retryAfter }: Answer, { url }: Target): void {
  if (status >= 200 && status <= 299) return;
  const answered = `the app at ${new URL(url).origin} answered ${status}`;
  if (status === 410 || status === 422) throw new PermanentError(answered);
  const afterSeconds = status === 503 ? retryAfterSeconds(retryAfter, new Date()) : undefined;
  if (afterSeconds !== undefined)
    throw new Later({ afterSeconds, reason: `${answered} with Retry-After: ${afterSeconds} s` });
  const isRedirect = status >= 300 && status <= 399;
  throw new Error(isRedirect ? `${answered}; redirects are not followed: set the final address` : answered);
}
