// Which handlers are quick and plain enough to share a transaction with others: from how they ran lately.
import type { Handler } from '../handlers/handler.ts';

export interface HandlerPace {
  /** @param isPlain it left nothing behind but rows and their locks */
  record(handler: Handler, durationMs: number, isPlain: boolean): void;
  /** It met somebody else's lock: what it holds, and for how long, matters to others. */
  recordConflict(handler: Handler): void;
  /** False for what was never seen. */
  isQuick(handler: Handler): boolean;
}

/** One that waits for more than its statements, e.g. for somebody's API, takes longer. */
const quickMs = 10;
/** One slow run is forgotten after some twenty quick ones, a conflict after some fifty. */
const kept = 0.9;
const conflictMs = 2_000;

export function trackPace(): HandlerPace {
  // By the object: a handler that was loaded anew is a new one.
  const seen = new WeakMap<Handler, { slowestMs: number; isPlain: boolean }>();
  return {
    record: (handler, durationMs, isPlain) => {
      const pace = seen.get(handler);
      if (!pace) {
        seen.set(handler, { slowestMs: durationMs, isPlain });
        return;
      }
      pace.slowestMs = Math.max(durationMs, pace.slowestMs * kept);
      pace.isPlain &&= isPlain;
    },
    recordConflict: (handler) => {
      const pace = seen.get(handler);
      if (pace) pace.slowestMs = Math.max(pace.slowestMs, conflictMs);
    },
    isQuick: (handler) => {
      const pace = seen.get(handler);
      return pace?.isPlain === true && pace.slowestMs < quickMs;
    },
  };
}
