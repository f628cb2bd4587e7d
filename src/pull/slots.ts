// Limits how many passes run at once; the others wait in their order.

export interface Slots {
  /** Resolves with the work; without it where `signal` is aborted before its turn comes. */
  run(signal: AbortSignal, work: () => Promise<void>): Promise<void>;
}

export function createSlots(count: number): Slots {
  let free = count;
  const waiting = new Set<() => void>();

  /** Resolves once a slot is taken: true; or once the signal is aborted: false. */
  async function take(signal: AbortSignal): Promise<boolean> {
    if (signal.aborted) return false;
    if (free > 0) {
      free--;
      return true;
    }
    const { promise, resolve } = Promise.withResolvers<boolean>();
    const onTurn = () => resolve(true);
    const onAbort = () => {
      // A slot that was handed over a moment ago is given back after the work.
      if (waiting.delete(onTurn)) resolve(false);
    };
    waiting.add(onTurn);
    signal.addEventListener('abort', onAbort, { once: true });
    return promise.finally(() => signal.removeEventListener('abort', onAbort));
  }

  function giveBack(): void {
    const [next] = waiting;
    if (!next) return void free++;
    waiting.delete(next);
    next();
  }

  return {
    run: async (signal, work) => {
      if (!(await take(signal))) return;
      try {
        await work();
      } finally {
        giveBack();
      }
    },
  };
}
