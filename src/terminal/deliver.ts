// Sends one request as a provider does: exactly the signed headers, any port, no redirect followed.
import http from 'node:http';
import https from 'node:https';
import { text } from 'node:stream/consumers';
import { CommandError, describeError } from '../errors.ts';
import type { OutgoingRequest } from '../providers/index.ts';
import { firstOf } from '../runtime/database-problem.ts';

export interface Answer {
  status: number;
  body: string;
}

const answerTimeoutMs = 30_000;

/**
 * @param whenNobodyListens the remedy where nothing listens at the address
 * @throws CommandError with the remedy when no answer comes
 */
export async function deliver(
  { url, method, headers, body }: OutgoingRequest,
  whenNobodyListens = 'Run: postbell web (or postbell dev), or give --url',
): Promise<Answer> {
  const { request } = url.startsWith('https:') ? https : http;
  const signal = AbortSignal.timeout(answerTimeoutMs);
  const { promise, resolve, reject } = Promise.withResolvers<Answer>();
  // Without a content-length Node would send the body in chunks.
  const outgoing = request(url, { method, headers: { ...headers, 'content-length': body.length }, signal });
  outgoing.on('error', reject);
  outgoing.on('response', (response) => {
    text(response).then(
      (answer) => resolve({ status: response.statusCode ?? 0, body: answer.trim() }),
      reject,
    );
  });
  outgoing.end(body);
  try {
    return await promise;
  } catch (error) {
    throw new CommandError(
      `${new URL(url).origin} gave no answer: ${whyNot(error, signal, whenNobodyListens)}`,
    );
  }
}

function whyNot(error: unknown, signal: AbortSignal, whenNobodyListens: string): string {
  if (signal.aborted)
    return `none within ${answerTimeoutMs / 1_000} s, but it may have accepted the delivery`;
  const cause = firstOf(error);
  if ((cause as NodeJS.ErrnoException).code === 'ECONNREFUSED') {
    return `nothing listens at this address. ${whenNobodyListens}`;
  }
  return describeError(cause).text;
}
