// Ends transactions whose connection died without a sign: they wait for an answer that cannot come any more.

/** A transaction as its client sees it. */
export interface OpenTransaction {
  /** Of its session in Postgres. */
  processId: number;
  /** Statements sent and not answered. */
  unanswered: number;
  /** When the last answer came, or the first unanswered statement was sent; as performance.now(). */
  aliveAt: number;
  /** `aliveAt` when it was found dead for the first time: an answer may have been on its way just then. */
  suspectedAt?: number;
  end(): void;
}

/** What Postgres knows of its sessions, by their process ids. */
export interface Sessions {
  /** Those that a statement is run for; undefined behind a pooler, where clients are told other ids than Postgres' own. */
  readBusy(processIds: readonly number[]): Promise<ReadonlySet<number> | undefined>;
  /** Ends those that are idle in a transaction, so that their locks are free. */
  terminate(processIds: readonly number[]): Promise<void>;
}

const silenceMs = 5_000;

/**
 * Ends each transaction that has waited long for an answer although Postgres runs nothing for its session: a network
 * that lost the connection, a failover. Without this it would hold a slot and its locks until its time is up.
 * @returns how many were ended
 */
export async function endDeadTransactions(
  open: Iterable<OpenTransaction>,
  sessions: Sessions,
): Promise<number> {
  const silent = [...open].filter(
    ({ unanswered, aliveAt }) => unanswered > 0 && performance.now() - aliveAt > silenceMs,
  );
  if (silent.length === 0) return 0;
  const asOf = new Map(silent.map((transaction) => [transaction, transaction.aliveAt]));
  const busy = await sessions.readBusy(silent.map(({ processId }) => processId));
  if (!busy) return 0;
  const ended: number[] = [];
  for (const [transaction, aliveAt] of asOf) {
    if (busy.has(transaction.processId) || transaction.aliveAt !== aliveAt) continue;
    if (transaction.suspectedAt === aliveAt) {
      transaction.end();
      ended.push(transaction.processId);
    }
    transaction.suspectedAt = aliveAt;
  }
  if (ended.length) await sessions.terminate(ended);
  return ended.length;
}
