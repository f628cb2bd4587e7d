// Sends the messages about alerts, the oldest first, and tries again with growing pauses.
import type { Database } from '../database/database.ts';
import { describeError } from '../errors.ts';
import { type AlertMessage, type MessageResult, settleMessage, takeMessage } from '../events/alerts.ts';
import { type Answer, post } from '../forward/post.ts';
import { retryAfterSeconds } from '../forward/retry-after.ts';
import type { Logger } from '../logger.ts';
import { standardWebhooks } from '../providers/catalogue/standard-webhooks.ts';
import type { OutgoingRequest } from '../providers/provider.ts';
import { chatBody, signedBody } from './message.ts';
import type { AlertTarget } from './settings.ts';

export interface SendDeps {
  database: Database;
  log: Logger;
  target: AlertTarget;
}

const timeoutMs = 10_000;
/** Longer than a try takes: no other process sends the message meanwhile. */
const leaseSeconds = 30;
const firstPauseSeconds = 10;
const longestPauseSeconds = 3_600;
const givenUpAfterMs = 24 * 3_600_000;
/** A message is given up after this number of answers 4xx, since later messages wait for it. */
const triesWhileRefused = 5;
/** The endpoint asks for another try. */
const again: ReadonlySet<number> = new Set([408, 429]);

/** @returns how many were sent; ends at the first that could not be sent */
export async function sendMessages(
  { database, log, target }: SendDeps,
  signal: AbortSignal,
): Promise<number> {
  for (let sent = 0; ; sent++) {
    if (signal.aborted) return sent;
    const message = await takeMessage(database, leaseSeconds);
    if (!message) return sent;
    const result = await trySend(message, target, signal);
    await settleMessage(database, message.id, result);
    if (result.kind === 'sent') continue;
    const { error } = result;
    if (result.kind === 'given up')
      log.error({ error, edge: message.edge }, 'a message about alerts was given up');
    else log.warn({ error, tries: message.tries }, 'a message about alerts could not be sent; trying again');
    return sent;
  }
}

async function trySend(
  message: AlertMessage,
  target: AlertTarget,
  signal: AbortSignal,
): Promise<MessageResult> {
  let answer: Answer | undefined;
  let error: string;
  try {
    answer = await post(
      requestOf(message, target),
      AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]),
      'the endpoint',
    );
    if (answer.status >= 200 && answer.status <= 299) return { kind: 'sent' };
    const isRedirect = answer.status >= 300 && answer.status <= 399;
    error = `ALERT_URL answered ${answer.status}${isRedirect ? '; redirects are not followed' : ''}`;
  } catch (cause) {
    error = `ALERT_URL did not answer: ${describeError(cause).text}`;
  }
  if (isLastTry(message, answer?.status) || Date.now() - message.createdAt.getTime() > givenUpAfterMs)
    return { kind: 'given up', error };
  const pause = Math.min(longestPauseSeconds, firstPauseSeconds * 2 ** (message.tries - 1));
  const asked = retryAfterSeconds(answer?.retryAfter, new Date()) ?? 0;
  return { kind: 'again', error, afterSeconds: Math.min(longestPauseSeconds, Math.max(pause, asked)) };
}

function isLastTry({ tries }: AlertMessage, status = 0): boolean {
  // 410 is Standard Webhooks' word for an endpoint that is gone for good.
  if (status === 410) return true;
  return status >= 400 && status <= 499 && !again.has(status) && tries >= triesWhileRefused;
}

function requestOf(message: AlertMessage, target: AlertTarget): OutgoingRequest {
  const { url, secret } = target;
  const text = secret === undefined ? chatBody(message, target) : signedBody(message, target);
  const request: OutgoingRequest = {
    method: 'POST',
    url,
    headers: {
      'content-type': 'application/json',
      'user-agent': 'postbell',
      'webhook-id': `msg_${message.messageId}`,
    },
    body: Buffer.from(text),
  };
  if (secret === undefined) return request;
  const source = { name: 'alerts', provider: standardWebhooks, secrets: [secret] };
  standardWebhooks.scheme.sign(request, source, { now: new Date() });
  return request;
}
