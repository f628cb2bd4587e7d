// Sends one request as a provider does: exactly the signed headers, any port, no redirect followed.
import { CommandError, describeError } from '../errors.ts';
import { exchange } from '../http-client.ts';
import type { OutgoingRequest } from '../providers/index.ts';
import { firstOf } from '../runtime/database-problem.ts';

export interface Answer {
  status: number;
  body: string;
}

const answerTimeoutMs = 30_000;
const maxBytes = 1_048_576;

/**
 * @param whenNobodyListens the remedy where nothing listens at the address
 * @throws CommandError with the remedy when no answer comes
 */
export async function deliver(
  request: OutgoingRequest,
  whenNobodyListens = 'Run: postbell web (or postbell dev), or give --url',
): Promise<Answer> {
  const signal = AbortSignal.timeout(answerTimeoutMs);
  try {
    const { status, body, end } = await exchange(request, { maxBytes, signal, reuses: true });
    if (end === 'broken') throw new Error('the connection was lost within the answer');
    return { status, body: body.toString().trim() };
  } catch (error) {
    throw new CommandError(
      `${new URL(request.url).origin} gave no answer: ${whyNot(error, signal, whenNobodyListens)}`,
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
