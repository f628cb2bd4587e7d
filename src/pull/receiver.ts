// The receiver for pulled events: the same group commit as for webhooks, with limits of one page.
import { createReceiver, type Receiver, type ReceiverOptions } from '../receive/receiver.ts';

/** No provider waits for an answer. */
const timeoutMs = 25_000;
/** More than the items of a page. */
const queueMax = 20_000;

export function createPullReceiver(
  options: Pick<ReceiverOptions, 'database' | 'queue' | 'log' | 'sameBodyHours'>,
): Receiver {
  return createReceiver({ ...options, timeoutMs, queueMax });
}
