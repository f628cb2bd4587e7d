// Follow-ups of answers, e.g. the confirmation of a subscription: run after the answer is sent, see `HandshakeAnswer.afterwards`.
import { setImmediate as turnOfEventLoop } from 'node:timers/promises';
import { describeError } from '../errors.ts';
import type { Logger } from '../logger.ts';

const maxConcurrent = 10;

export interface FollowUps {
  /** Starts it in a later turn of the event loop, unless too many are running: the answer is sent first. Never throws. @param followUp resolves to the text for the log */
  start(log: Logger, followUp: () => Promise<string>): void;
  /** Resolves when all running follow-ups have ended. */
  drained(): Promise<void>;
}

export function createFollowUps(): FollowUps {
  const running = new Set<Promise<void>>();
  return {
    start: (log, followUp) => {
      if (running.size >= maxConcurrent) {
        log.error('too many concurrent confirmations; let the provider send this request again');
        return;
      }
      const work = turnOfEventLoop()
        .then(followUp)
        .then(
          (done) => log.info(done),
          (error) =>
            log.error(
              { error: describeError(error).text },
              'a confirmation failed; let the provider send this request again',
            ),
        );
      running.add(work);
      void work.finally(() => running.delete(work));
    },
    drained: async () => {
      await Promise.all(running);
    },
  };
}
