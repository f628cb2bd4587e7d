// A sample of the rejected requests for `postbell doctor`: a flood of forgeries must not become a flood of writes.
import type { Queryable } from '../database/database.ts';
import { describeError } from '../errors.ts';
import { type RejectedRequest, recordRejection } from '../events/queries.ts';
import type { Logger } from '../logger.ts';

const writeIntervalMs = 1_000;

type Reason = Pick<RejectedRequest, 'reason' | 'detail'>;

export interface RejectionLog {
  /**
   * Never waits and never throws: writes at most one row a second; the next row contains the number of skipped rejections.
   * @param diagnose called only if a row is written; its result replaces the reason in `rejected`
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
      // Also one write at a time: writes must not accumulate while the database does not answer.
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
