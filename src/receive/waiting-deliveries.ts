// Verified deliveries until their answer: waiting for a commit, or in flight. Bounded in number, bytes and time.
import type { NewEvent } from '../events/event.ts';
import { extraMsFor } from './large-bodies.ts';
import type { Receipt } from './store.ts';

/** The delivery was not committed: it is answered 503, and the provider tries again. */
export class UnavailableError extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'UnavailableError';
  }
}

export interface PendingDelivery {
  events: readonly NewEvent[];
  body: Buffer;
  /** By `performance.now()`. */
  deadlineMs: number;
  answer(receipt: Receipt): void;
  reject(error: UnavailableError): void;
}

export interface WaitingDeliveries {
  /** Resolves with the receipt. @throws UnavailableError at once when the queue is full, or at the deadline */
  add(events: readonly NewEvent[], body: Buffer): Promise<Receipt>;
  /** Deliveries that wait for a commit. */
  count(): number;
  /** Deliveries that wait or are in flight. */
  unanswered(): number;
  /** The oldest deliveries, as many as one commit takes; they are in flight until `ended`. */
  takeBatch(): readonly PendingDelivery[];
  ended(batch: readonly PendingDelivery[]): void;
  /** Stops the timer. */
  close(): void;
}

// A larger transaction would make the deliveries behind it wait too long.
const maxBatchEvents = 1_000;
const maxBatchBytes = 8 * 1_048_576;
// A body may have 25 MB: the number of bodies alone would not bound the memory.
const maxWaitingBytes = 64 * 1_048_576;
const sweepIntervalMs = 50;

/** @param limits `timeoutMs` as RECEIVE_TIMEOUT_MS, `queueMax` as RECEIVE_QUEUE_MAX */
export function createWaitingDeliveries(limits: { timeoutMs: number; queueMax: number }): WaitingDeliveries {
  const { timeoutMs, queueMax } = limits;
  let waiting: PendingDelivery[] = [];
  let waitingBytes = 0;
  const inFlight = new Set<readonly PendingDelivery[]>();
  let sweep: NodeJS.Timeout | undefined;

  // One timer for all instead of one per delivery.
  function rejectOverdue(): void {
    const now = performance.now();
    const isOverdue = (pending: PendingDelivery) => pending.deadlineMs <= now;
    // Deliveries in flight may still be committed; the provider's retry is then a duplicate.
    for (const pending of [...waiting, ...[...inFlight].flat()].filter(isOverdue)) {
      const allowedMs = timeoutMs + extraMsFor(pending.body.length);
      pending.reject(new UnavailableError(`the database did not commit within ${allowedMs} ms`));
    }
    waiting = waiting.filter((pending) => !isOverdue(pending));
    waitingBytes = bytesOf(waiting);
    if (waiting.length === 0 && inFlight.size === 0) stopSweep();
  }

  function stopSweep(): void {
    clearInterval(sweep);
    sweep = undefined;
  }

  return {
    add: (events, body) => {
      if (waiting.length >= queueMax || waitingBytes > maxWaitingBytes) {
        return Promise.reject(new UnavailableError('the receive queue is full'));
      }
      return new Promise((answer, reject) => {
        waitingBytes += body.length;
        const deadlineMs = performance.now() + timeoutMs + extraMsFor(body.length);
        waiting.push({ events, body, deadlineMs, answer, reject });
        sweep ??= setInterval(rejectOverdue, sweepIntervalMs);
      });
    },
    count: () => waiting.length,
    unanswered: () => waiting.length + [...inFlight].reduce((sum, batch) => sum + batch.length, 0),
    takeBatch: () => {
      const batch = waiting.splice(0, batchSizeOf(waiting));
      waitingBytes -= bytesOf(batch);
      inFlight.add(batch);
      return batch;
    },
    ended: (batch) => inFlight.delete(batch),
    close: stopSweep,
  };
}

/** At least one, however large it is. */
function batchSizeOf(waiting: readonly PendingDelivery[]): number {
  let [events, bytes, size] = [0, 0, 0];
  for (const pending of waiting) {
    events += pending.events.length;
    bytes += pending.body.length;
    if (size > 0 && (events > maxBatchEvents || bytes > maxBatchBytes)) break;
    size++;
  }
  return size;
}

function bytesOf(deliveries: readonly PendingDelivery[]): number {
  return deliveries.reduce((sum, { body }) => sum + body.length, 0);
}
