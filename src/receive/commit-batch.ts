// Commits a batch of deliveries and answers each; a delivery that cannot be stored fails alone.
import { describeError } from '../errors.ts';
import type { Logger } from '../logger.ts';
import { diagnoseCommitError } from './commit-errors.ts';
import type { DeliveryStore, Receipt } from './store.ts';
import { type PendingDelivery, UnavailableError } from './waiting-deliveries.ts';

export interface CommitParts {
  deliveryStore: DeliveryStore;
  log: Logger;
  /** Then a delivery that meets a lock is not tried again: others wait, or the receiver is closing. */
  isHurried: () => boolean;
}

const maxTries = 3;
/** Of a delivery alone that meets a lock; each waits for `lock_timeout`. */
const maxTriesAtLock = 10;

/**
 * Commits the batch, or finds the delivery that cannot be stored and answers the others. Never throws.
 * @returns deliveries that are not answered, since each meets a lock: for `retryAtLocks`
 */
export async function commitBatch(
  parts: CommitParts,
  batch: readonly PendingDelivery[],
  tries = 1,
): Promise<readonly PendingDelivery[]> {
  const { deliveryStore, log } = parts;
  try {
    const receipts = await deliveryStore.store(batch.map((pending) => pending.events));
    for (const [index, pending] of batch.entries()) answer(pending, receipts[index]!);
  } catch (error) {
    const { reaction, meaning, isBug } = diagnoseCommitError(error);
    if (reaction === 'try again' && tries < maxTries) return commitBatch(parts, batch, tries + 1);
    const failsAlone = reaction === 'keep bytes' || reaction === 'single out';
    if (failsAlone && batch.length > 1) return commitHalves(parts, batch);
    if (reaction === 'single out' && tries < maxTriesAtLock) return batch;
    if (reaction === 'keep bytes') {
      await commitWithoutPayload(parts, batch[0]!, error);
      return [];
    }
    log.error(
      { error: describeError(error).text, meaning, deliveries: batch.length, ...(isBug && { isBug }) },
      'a batch could not be committed',
    );
    const unavailable = new UnavailableError('the database is unavailable', { cause: error });
    for (const pending of batch) pending.reject(unavailable);
  }
  return [];
}

/** A row that Postgres rejects, or that another session holds, must fail alone. */
async function commitHalves(
  parts: CommitParts,
  batch: readonly PendingDelivery[],
): Promise<readonly PendingDelivery[]> {
  const middle = batch.length >> 1;
  const first = await commitBatch(parts, batch.slice(0, middle));
  // Nobody waits for overdue deliveries any more: of a locked table each half would take its time.
  const others = batch.slice(middle).filter(({ deadlineMs }) => deadlineMs > performance.now());
  return others.length > 0 ? [...first, ...(await commitBatch(parts, others))] : first;
}

/** Tries deliveries that meet a lock again, unless others wait: then the provider's retry has to do. Answers each. */
export async function retryAtLocks(parts: CommitParts, locked: readonly PendingDelivery[]): Promise<void> {
  for (const pending of locked) {
    for (let tries = 2, isOpen = true; isOpen; tries++) {
      const isLast = parts.isHurried() || pending.deadlineMs <= performance.now();
      isOpen = (await commitBatch(parts, [pending], isLast ? maxTriesAtLock : tries)).length > 0;
    }
  }
}

/** Postgres rejected the delivery's data although our checks passed it: keep the bytes, drop the JSON. */
async function commitWithoutPayload(
  { deliveryStore, log }: CommitParts,
  pending: PendingDelivery,
  cause: unknown,
): Promise<void> {
  log.error(
    { error: describeError(cause).text, isBug: true },
    'Postgres rejected a payload; stored as raw bytes',
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
    pending.reject(new UnavailableError('the delivery could not be stored', { cause: error }));
  }
}

function answer(pending: PendingDelivery, receipt: Receipt): void {
  if (receipt.rejection === undefined) pending.answer(receipt);
  else pending.reject(new UnavailableError(receipt.rejection));
}
