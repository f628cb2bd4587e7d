// A sample of the rejected requests for `postbell doctor`: a flood of forgeries must not become a flood of writes.
import type { Queryable } from '../database/database.ts';
import { describeError } from '../errors.ts';
import { type RejectedRequest, recordRejection } from '../events/rejected-requests.ts';
import type { Logger } from '../logger.ts';

const writeIntervalMs = 1_000;

type Reason = Pick<RejectedRequest, 'reason' | 'detail'>;

export interface RejectionLog {
  /**
   * Never waits and never throws: writes at most one row a second and source; the source's next row contains the number of its
   * skipped rejections.
   * @param rejected of a known source: each source takes memory
   * @param diagnose called only if a row is written; its result replaces the reason in `rejected`
   */
  record(rejected: Omit<RejectedRequest, 'skipped'>, diagnose?: () => Promise<Reason>): void;
}

export function createRejectionLog(database: Queryable, log: Logger): RejectionLog {
  const bySource = new Map<string, { nextWriteAt: number; skipped: number }>();
  let isWriting = false;

  async function write(
    rejected: RejectedRequest,
    diagnose: (() => Promise<Reason>) | undefined,
  ): Promise<void> {
    try {
      const { reason, detail } = (await diagnose?.()) ?? rejected;
      const { source, requestId } = rejected;
      log.warn({ source, reason, detail, requestId, skipped: rejected.skipped }, 'rejected');
      await recordRejection(database, { ...rejected, reason, detail });
    } catch (error) {
      log.warn({ error: describeError(error).text }, 'a rejection could not be recorded');
    }
  }

  return {
    record: (rejected, diagnose) => {
      const now = performance.now();
      const { nextWriteAt, skipped } = bySource.get(rejected.source) ?? { nextWriteAt: 0, skipped: 0 };
      // Also one write at a time: writes must not accumulate while the database does not answer.
      if (now < nextWriteAt || isWriting) {
        bySource.set(rejected.source, { nextWriteAt, skipped: skipped + 1 });
        return;
      }
      bySource.set(rejected.source, { nextWriteAt: now + writeIntervalMs, skipped: 0 });
      isWriting = true;
      write({ ...rejected, skipped }, diagnose).finally(() => {
        isWriting = false;
      });
    },
  };
}
