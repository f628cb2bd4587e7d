// A sample of the refused requests for `postbell doctor`: a flood of forgeries must not become a flood of writes.
import type { Queryable } from '../database/database.ts';
import { describeError } from '../errors.ts';
import { type RejectedRequest, recordRejection } from '../events/queries.ts';
import type { Logger } from '../logger.ts';

const writeIntervalMs = 1_000;

type Why = Pick<RejectedRequest, 'reason' | 'detail'>;

export interface RejectionLog {
  /**
   * Never waits and never throws: at most one row a second is written, the others are counted on the next.
   * @param lookCloser asked only for the row that is written; its answer stands for the reason first given
   */
  record(rejected: Omit<RejectedRequest, 'skipped'>, lookCloser?: () => Promise<Why>): void;
}

export function createRejectionLog(database: Queryable, log: Logger): RejectionLog {
  let nextWriteAt = 0;
  let skipped = 0;
  let isWriting = false;

  async function write(
    rejected: RejectedRequest,
    lookCloser: (() => Promise<Why>) | undefined,
  ): Promise<void> {
    try {
      const { reason, detail } = (await lookCloser?.()) ?? rejected;
      const { source, requestId } = rejected;
      log.warn({ source, reason, detail, requestId, skipped: rejected.skipped }, 'refused');
      await recordRejection(database, { ...rejected, reason, detail });
    } catch (error) {
      log.warn({ error: describeError(error).text }, 'a refusal could not be recorded');
    }
  }

  return {
    record: (rejected, lookCloser) => {
      const now = performance.now();
      // One at a time, too: while the database does not answer, writes must not pile up.
      if (now < nextWriteAt || isWriting) {
        skipped++;
        return;
      }
      nextWriteAt = now + writeIntervalMs;
      isWriting = true;
      write({ ...rejected, skipped }, lookCloser).finally(() => {
        isWriting = false;
      });
      skipped = 0;
    },
  };
}
