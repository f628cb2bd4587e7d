// Group commit: verified deliveries wait for the transactions in flight, then share one commit.
import type { NewEvent } from '../events/event.ts';
import type { Logger } from '../logger.ts';
import { commitBatch, retryAtLocks } from './commit-batch.ts';
import { createDuplicateCounter } from './duplicate-counter.ts';
import { createDeliveryStore, type DeliveryStoreOptions, type Receipt } from './store.ts';
import { createWaitingDeliveries, UnavailableError } from './waiting-deliveries.ts';
import { createWorkerWakeups } from './worker-wakeups.ts';

export { UnavailableError };

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
  /** Rejects new deliveries and resolves when those before are answered. */
  close(): Promise<void>;
}

export interface ReceiverOptions extends Pick<DeliveryStoreOptions, 'database' | 'queue' | 'sameBodyHours'> {
  log: Logger;
  onDuplicateAnomalies?: DeliveryStoreOptions['onDuplicateAnomalies'];
  /** As RECEIVE_TIMEOUT_MS. */
  timeoutMs: number;
  /** As RECEIVE_QUEUE_MAX. */
  queueMax: number;
}

// Postgres commits one batch while the process verifies the next and answers the previous one: a single transaction at a
// time would make them wait for each other. A second transaction starts only for a batch that is worth a commit.
const maxConcurrentCommits = 2;
const minDeliveriesForSecondCommit = 32;

export function createReceiver(options: ReceiverOptions): Receiver {
  const { database, log, onDuplicateAnomalies = () => {} } = options;
  const waiting = createWaitingDeliveries(options);
  const wakeups = createWorkerWakeups(options);
  const duplicates = createDuplicateCounter({
    database,
    log,
    onConflicts: (source, count) => onDuplicateAnomalies(source, 'body_conflict', count),
  });
  const deliveryStore = createDeliveryStore({
    ...options,
    onEnqueued: wakeups.send,
    onDuplicates: duplicates.add,
    onDuplicateAnomalies,
  });
  // One connection stays free for the query of /readyz and the log of rejections.
  const maxCommitLoops = Math.min(maxConcurrentCommits, Math.max(1, database.counts().max - 1));
  /** Number of loops that take batches; each has one transaction at a time. */
  let commitLoops = 0;
  const running = new Set<Promise<void>>();
  let isClosed = false;
  const parts = { deliveryStore, log, isHurried: () => waiting.count() > 0 || isClosed };

  function isWorthATransaction(others: number): boolean {
    if (others === 0) return waiting.count() > 0;
    return others < maxCommitLoops && waiting.count() >= minDeliveriesForSecondCommit;
  }

  async function commitLoop(): Promise<void> {
    commitLoops++;
    // Lets all requests that were read in this turn of the event loop join the first batch.
    await new Promise(setImmediate);
    while (isWorthATransaction(commitLoops - 1)) {
      const batch = waiting.takeBatch();
      const locked = await commitBatch(parts, batch);
      if (locked.length > 0) await retryAtLocks(parts, locked);
      waiting.ended(batch);
    }
    commitLoops--;
  }

  return {
    submit: (events, body) => {
      if (events.length === 0) return Promise.resolve({ duplicate: false });
      if (isClosed) return Promise.reject(new UnavailableError('the receiver is shutting down'));
      const receipt = waiting.add(events, body);
      if (isWorthATransaction(commitLoops)) {
        const loop = commitLoop();
        running.add(loop);
        void loop.finally(() => running.delete(loop));
      }
      return receipt;
    },
    waiting: waiting.unanswered,
    close: async () => {
      isClosed = true;
      await Promise.all(running);
      waiting.close();
      await Promise.all([wakeups.close(), duplicates.close()]);
    },
  };
}
