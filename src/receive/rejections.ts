// A sample of the rejected requests for `postbell doctor`: a flood of forgeries must not become a flood of writes.
import type { Queryable } from '../database/database.ts';
import { describeError } from '../errors.ts';
import { type RejectedRequest, recordRejection } from '../events/queries.ts';
import type { Logger } from '../logger.ts';

const writeIntervalMs = 1_000;

type Reason = Pick<RejectedRequest, 'reason' | 'detail'>;

export interface RejectionLog {
  /**
   * Never waits and never throws: at most one row a second is written, the others are counted on the next.
   * @param diagnose called only for the row that is written; its answer replaces the reason given
   */
  record(rejected: Omit<RejectedRequest, 'skipped'>, diagnose?: () => Promise<Reason>): void;
}

export function createRejectionLog(database: Queryable, log: Logger): RejectionLog {
  let nextWriteAt = 0;
  let skipped = 0;
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
      // Also one write at a time: while the database does not answer, writes must not pile up.
      if (now < nextWriteAt || isWriting) {
        skipped++;
        return;
      }
      nextWriteAt = now + writeIntervalMs;
      isWriting = true;
      write({ ...rejected, skipped }, diagnose).finally(() => {
        isWriting = false;
      });
      skipped = 0;
    },
  };
}
