// Group commit: verified deliveries wait at most for a transaction in flight, then go together in one commit.
import { describeError } from '../errors.ts';
import type { NewEvent } from '../events/event.ts';
import type { Logger } from '../logger.ts';
import { diagnoseCommitError } from './commit-errors.ts';
import { createDeliveryStore, type DeliveryStoreOptions, type Receipt } from './store.ts';

/** Not committed in time, or refused: answered 503, and the provider tries again. */
export class UnavailableError extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'UnavailableError';
  }
}

export interface Receiver {
  /**
   * Resolves once the events and their jobs are committed.
   * @param events of one verified delivery, all or none of them stored
   * @param body its exact bytes
   * @throws UnavailableError
   */
  submit(events: readonly NewEvent[], body: Buffer): Promise<Receipt>;
  /** Deliveries that wait or are in flight. */
  waiting(): number;
  /** Refuses new deliveries and resolves when those in hand are answered. */
  close(): Promise<void>;
}

export interface ReceiverOptions extends DeliveryStoreOptions {
  log: Logger;
  /** As RECEIVE_TIMEOUT_MS. */
  timeoutMs: number;
  /** As RECEIVE_QUEUE_MAX. */
  queueMax: number;
}

interface Pending {
  events: readonly NewEvent[];
  body: Buffer;
  deadline: number;
  answer(receipt: Receipt): void;
  refuse(error: UnavailableError): void;
}

// Beyond this a transaction gets long enough to hurt the latency of those that wait for it.
const maxBatchEvents = 1_000;
const maxBatchBytes = 8 * 1_048_576;
// Bodies of up to 25 MB may wait: their number alone would not bound the memory.
const maxWaitingBytes = 64 * 1_048_576;
const maxTries = 3;
/** Of a delivery alone that meets a lock; each waits for `lock_timeout`. */
const maxTriesAtLock = 10;
const sweepIntervalMs = 50;
const recountDelayMs = 250;
// While one group is with Postgres, the next is verified and the one before is answered: with a single transaction
// at a time each of them waits for the others. A second one is begun only for a group worth its commit.
const mostTransactions = 2;
const companyForASecond = 32;

export function createReceiver(options: ReceiverOptions): Receiver {
  const { log, timeoutMs, queueMax } = options;
  let waiting: Pending[] = [];
  const inFlight = new Set<readonly Pending[]>();
  const deliveryStore = createDeliveryStore(options);
  // One connection is left to the question of /readyz and the log of refusals.
  const maxTransactions = Math.min(mostTransactions, Math.max(1, options.database.counts().max - 1));
  /** Loops that take batches; each has one transaction at a time. */
  let lanes = 0;
  /** What close() has to wait for. */
  const working = new Set<Promise<void>>();
  let sweep: NodeJS.Timeout | undefined;
  let recount: NodeJS.Timeout | undefined;
  let isClosed = false;
  let waitingBytes = 0;

  function submit(events: readonly NewEvent[], body: Buffer): Promise<Receipt> {
    if (events.length === 0) return Promise.resolve({ duplicate: false });
    if (isClosed) return Promise.reject(new UnavailableError('the receiver is shutting down'));
    if (waiting.length >= queueMax || waitingBytes > maxWaitingBytes) {
      return Promise.reject(new UnavailableError('the receive queue is full'));
    }
    return new Promise((answer, refuse) => {
      waitingBytes += body.length;
      waiting.push({ events, body, deadline: performance.now() + timeoutMs, answer, refuse });
      sweep ??= setInterval(refuseOverdue, sweepIntervalMs);
      if (isWorthATransaction(lanes)) track(runLane());
    });
  }

  function isWorthATransaction(others: number): boolean {
    if (others === 0) return waiting.length > 0;
    return others < maxTransactions && waiting.length >= companyForASecond;
  }

  function track(work: Promise<void>): void {
    working.add(work);
    work.finally(() => working.delete(work));
  }

  // One timer for all instead of one per delivery.
  function refuseOverdue(): void {
    const now = performance.now();
    const isOverdue = (pending: Pending) => pending.deadline <= now;
    // What is in flight may still be committed; the provider's retry is then a duplicate.
    for (const pending of [...waiting, ...[...inFlight].flat()].filter(isOverdue)) {
      pending.refuse(new UnavailableError(`the database did not commit within ${timeoutMs} ms`));
    }
    waiting = waiting.filter((pending) => !isOverdue(pending));
    waitingBytes = waiting.reduce((sum, pending) => sum + pending.body.length, 0);
    if (!waiting.length && !inFlight.size) {
      clearInterval(sweep);
      sweep = undefined;
    }
  }

  async function runLane(): Promise<void> {
    lanes++;
    // Lets all requests that were read in this turn of the event loop join the first batch.
    await new Promise(setImmediate);
    while (isWorthATransaction(lanes - 1)) {
      const batch = takeBatch();
      inFlight.add(batch);
      const locked = await commit(batch);
      if (locked.length > 0) await insist(locked);
      inFlight.delete(batch);
    }
    lanes--;
    recountSoon();
  }

  function takeBatch(): Pending[] {
    let events = 0;
    let bytes = 0;
    let count = 0;
    for (const pending of waiting) {
      events += pending.events.length;
      bytes += pending.body.length;
      if (count > 0 && (events > maxBatchEvents || bytes > maxBatchBytes)) break;
      count++;
    }
    const batch = waiting.splice(0, count);
    waitingBytes -= batch.reduce((sum, pending) => sum + pending.body.length, 0);
    return batch;
  }

  /**
   * Commits the batch, or finds the delivery that cannot be stored and answers the others. Never throws.
   * @returns deliveries that are not answered, since each meets a lock
   */
  async function commit(batch: readonly Pending[], tries = 1): Promise<Pending[]> {
    try {
      const receipts = await deliveryStore.store(batch.map((pending) => pending.events));
      for (const [index, pending] of batch.entries()) answer(pending, receipts[index]!);
    } catch (error) {
      const { reaction, meaning, isBug } = diagnoseCommitError(error);
      if (reaction === 'try again' && tries < maxTries) return commit(batch, tries + 1);
      const failsAlone = reaction === 'keep bytes' || reaction === 'single out';
      if (failsAlone && batch.length > 1) return commitHalves(batch);
      if (reaction === 'single out' && tries < maxTriesAtLock) return [...batch];
      if (reaction === 'keep bytes') {
        await commitWithoutPayload(batch[0]!, error);
        return [];
      }
      log.error(
        { error: describeError(error).text, meaning, deliveries: batch.length, ...(isBug && { isBug }) },
        'a batch could not be committed',
      );
      const unavailable = new UnavailableError('the database is unavailable', { cause: error });
      for (const pending of batch) pending.refuse(unavailable);
    }
    return [];
  }

  /** One row that Postgres refuses, or that somebody holds, must fail alone. */
  async function commitHalves(batch: readonly Pending[]): Promise<Pending[]> {
    const middle = batch.length >> 1;
    const first = await commit(batch.slice(0, middle));
    // What is refused by now waits for nothing any more: of a locked table each half would take its time.
    const others = batch.slice(middle).filter(({ deadline }) => deadline > performance.now());
    return others.length > 0 ? [...first, ...(await commit(others))] : first;
  }

  /** What meets a lock alone is tried again, unless others wait; then the provider's retry has to do. */
  async function insist(locked: readonly Pending[]): Promise<void> {
    for (const pending of locked) {
      for (let tries = 2, isOpen = true; isOpen; tries++) {
        const isLast = waiting.length > 0 || isClosed || pending.deadline <= performance.now();
        isOpen = (await commit([pending], isLast ? maxTriesAtLock : tries)).length > 0;
      }
    }
  }

  function answer(pending: Pending, receipt: Receipt): void {
    if (receipt.refusal === undefined) pending.answer(receipt);
    else pending.refuse(new UnavailableError(receipt.refusal));
  }

  /** Postgres refused the delivery's data although our checks passed it: keep the bytes, drop the JSON. */
  async function commitWithoutPayload(pending: Pending, cause: unknown): Promise<void> {
    log.error(
      { error: describeError(cause).text, isBug: true },
      'Postgres refused a payload; stored as raw bytes',
    );
    const events = pending.events.map((event) => ({
      ...event,
      payloadText: null,
      payloadError: event.payloadError ?? 'refused',
      // Never the body as it came: credentials were taken out of the text.
      rawBody: event.rawBody ?? Buffer.from(event.payloadText ?? ''),
    }));
    try {
      const [receipt] = await deliveryStore.store([events]);
      answer(pending, receipt!);
    } catch (error) {
      log.error({ error: describeError(error).text }, 'a delivery could not be stored');
      pending.refuse(new UnavailableError('the delivery could not be stored', { cause: error }));
    }
  }

  function recountSoon(): void {
    if (deliveryStore.hasUncounted() && !isClosed)
      recount ??= setTimeout(() => track(recountDuplicates()), recountDelayMs);
  }

  /** Counts what was locked by somebody when it came in; a count is not worth making a provider wait. */
  async function recountDuplicates(): Promise<void> {
    recount = undefined;
    try {
      // The next batch of a lane takes them along.
      if (deliveryStore.hasUncounted() && !lanes) await deliveryStore.store([]);
    } catch (error) {
      log.warn({ error: describeError(error).text }, 'duplicates could not be counted; trying again');
    }
    recountSoon();
  }

  return {
    submit,
    waiting: () => waiting.length + [...inFlight].reduce((sum, batch) => sum + batch.length, 0),
    close: async () => {
      isClosed = true;
      while (working.size) await Promise.all(working);
      clearTimeout(recount);
      clearInterval(sweep);
      if (deliveryStore.hasUncounted()) await recountDuplicates();
    },
  };
}
