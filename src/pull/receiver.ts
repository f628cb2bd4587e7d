// The receiver for pulled events: the same group commit as for webhooks, with limits of one page.
import { createReceiver, type Receiver, type ReceiverOptions } from '../receive/receiver.ts';

/** No provider waits for an answer. */
const timeoutMs = 25_000;
/** More than the items of a page, which each run brings at once. */
const queueMaxPerRun = 20_000;

/** @param options.concurrentRuns default 1 */
export function createPullReceiver({
  concurrentRuns = 1,
  ...options
}: Pick<ReceiverOptions, 'database' | 'queue' | 'log' | 'sameBodyHours'> & {
  concurrentRuns?: number;
}): Receiver {
  return createReceiver({ ...options, timeoutMs, queueMax: queueMaxPerRun * concurrentRuns });
}
