// Deliveries that go into one commit: their new events, the jobs of these, and the counts of what was there before.
import type { Database, Transaction } from './database/database.ts';
import { allOrFirstError } from './database/statements.ts';
import {
  countDuplicates,
  type DuplicateCount,
  type DuplicateOddity,
  insertEvents,
  type NewEvent,
} from './events.ts';
import { failpoint, isArmedAt } from './failpoint.ts';
import type { Queue } from './queue/queue.ts';

export interface Receipt {
  /** True when every event of the delivery was stored before. */
  duplicate: boolean;
}

export interface DeliveryStore {
  /**
   * Stores each delivery's events, all or none, in one transaction.
   * @returns a receipt for each
   * @throws what Postgres says; then nothing is stored
   */
  store(deliveries: readonly (readonly NewEvent[])[]): Promise<Receipt[]>;
  /** Duplicates whose row somebody had locked; the next `store` counts them, also one of no delivery. */
  hasUncounted(): boolean;
}

export interface DeliveryStoreOptions {
  database: Database;
  queue: Pick<Queue, 'enqueue' | 'withdraw'>;
  /** Told once they are committed. */
  onOddDuplicates?: ((source: string, oddity: DuplicateOddity, count: number) => void) | undefined;
}

const maxUncounted = 10_000;

const settings = {
  // The 200 is a promise: it must not rest on a database set to asynchronous commit.
  synchronous_commit: 'on',
  // Then the batch is halved: one row that somebody holds must not keep the others waiting.
  lock_timeout: '200ms',
  statement_timeout: '4s',
  // A connection that died without a sign would hold the locks of its events: no retry of them could be stored.
  idle_in_transaction_session_timeout: '4s',
  // Plans are kept: one made while the table was small must not read it whole once it is large.
  enable_seqscan: 'off',
};

export function createDeliveryStore(options: DeliveryStoreOptions): DeliveryStore {
  const { database, queue, onOddDuplicates } = options;
  let uncounted: DuplicateCount[] = [];

  async function store(deliveries: readonly (readonly NewEvent[])[]): Promise<Receipt[]> {
    const { firsts, repeats } = withoutRepeats(deliveries);
    const carried = uncounted;
    uncounted = [];
    try {
      const { inserted, left, odd } = await database.transaction(
        async (tx) => {
          await failpoint('web.after-begin');
          const inserting = insertEvents(tx, firsts);
          if (isArmedAt('web.after-insert')) await inserting.then(() => failpoint('web.after-insert'));
          // Without waiting for what was new: a round trip less for all, and jobs to withdraw where an event was known.
          const enqueuing = queue.enqueue(tx, firsts);
          await allOrFirstError<unknown>([inserting, enqueuing]);
          const inserted = await inserting;
          await failpoint('web.after-enqueue');
          const known = firsts.filter((event) => !inserted.has(event.jobId));
          await queue.withdraw(tx, known);
          const { uncounted: left, odd } = await count(tx, [...known, ...repeats], carried);
          return { inserted, left, odd };
        },
        { settings, needsStandby: true, commitSite: 'web.commit-sent' },
      );
      await failpoint('web.after-commit');
      keepUncounted(left);
      for (const { duplicate, oddity } of odd) onOddDuplicates?.(duplicate.source, oddity, duplicate.count);
      return deliveries.map((events) => ({
        duplicate: !events.some((event) => inserted.has(event.jobId)),
      }));
    } catch (error) {
      keepUncounted(carried);
      throw error;
    }
  }

  function keepUncounted(counts: readonly DuplicateCount[]): void {
    if (counts.length) uncounted = [...uncounted, ...counts].slice(0, maxUncounted);
  }

  return { store, hasUncounted: () => uncounted.length > 0 };
}

function count(tx: Transaction, duplicates: readonly NewEvent[], carried: readonly DuplicateCount[]) {
  const counts = new Map<string, DuplicateCount>();
  for (const { source, eventId, bodySha256, uniqueBody, count = 1 } of [
    ...carried,
    ...duplicates,
  ] as (DuplicateCount & { count?: number })[]) {
    const key = JSON.stringify([source, eventId, bodySha256.toString('base64')]);
    const entry = counts.get(key);
    if (entry) entry.count += count;
    else counts.set(key, { source, eventId, bodySha256, uniqueBody, count });
  }
  return countDuplicates(tx, [...counts.values()]);
}

/** The same event twice in one batch: the first is inserted, the others are its duplicates. */
function withoutRepeats(deliveries: readonly (readonly NewEvent[])[]): {
  firsts: NewEvent[];
  repeats: NewEvent[];
} {
  const seen = new Set<string>();
  const firsts: NewEvent[] = [];
  const repeats: NewEvent[] = [];
  for (const event of deliveries.flat()) {
    const idKey = `id/${event.source}/${event.eventId}`;
    const bodyKey = event.uniqueBody ? `body/${event.source}/${event.bodySha256.toString('base64')}` : idKey;
    if (seen.has(idKey) || seen.has(bodyKey)) {
      repeats.push(event);
    } else {
      seen.add(idKey).add(bodyKey);
      firsts.push(event);
    }
  }
  // One order in all processes: two batches that share events in opposite orders would deadlock.
  firsts.sort((a, b) =>
    a.source === b.source ? compare(a.eventId, b.eventId) : compare(a.source, b.source),
  );
  return { firsts, repeats };
}

function compare(a: string, b: string): number {
  return a < b ? -1 : Number(a > b);
}
