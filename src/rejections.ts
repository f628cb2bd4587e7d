// A sample of the refused requests for `postbell doctor`: a flood of forgeries must not become a flood of writes.
import type { Queryable } from './database.ts';
import { describeError } from './errors.ts';
import { type RejectedRequest, recordRejection } from './event-queries.ts';
import type { Logger } from './logger.ts';

const writeIntervalMs = 1_000;

export interface RejectionLog {
  /** Never waits and never throws: at most one row a second is written, the others are counted on the next. */
  record(rejected: Omit<RejectedRequest, 'skipped'>): void;
}

export function createRejectionLog(database: Queryable, log: Logger): RejectionLog {
  let nextWriteAt = 0;
  let skipped = 0;
  return {
    record: (rejected) => {
      const now = performance.now();
      if (now < nextWriteAt) {
        skipped++;
        return;
      }
      nextWriteAt = now + writeIntervalMs;
      const { source, reason, detail, requestId } = rejected;
      log.warn({ source, reason, detail, requestId, skipped }, 'refused');
      recordRejection(database, { ...rejected, skipped }).catch((error) =>
        log.warn({ error: describeError(error).text }, 'a refusal could not be recorded'),
      );
      skipped = 0;
    },
  };
}
