// Ctrl-C and its like as an AbortSignal, for the commands that have processes of their own to stop.

const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

export interface StopSignal extends Disposable {
  signal: AbortSignal;
  /** Rejects with the signal's reason once it is aborted; never fulfilled. */
  stopped: Promise<never>;
}

/** From now on the signals abort, instead of ending the process; also a second time, while it is cleaning up. */
export function listenForStop(): StopSignal {
  const controller = new AbortController();
  const { promise: stopped, reject } = Promise.withResolvers<never>();
  stopped.catch(() => {}); // whoever races against it handles it; nobody may be racing just then
  const stop = (name: NodeJS.Signals) => {
    const reason = new StoppedError(name);
    controller.abort(reason);
    reject(reason);
  };
  for (const name of signals) process.on(name, stop);
  return {
    signal: controller.signal,
    stopped,
    [Symbol.dispose]: () => {
      for (const name of signals) process.off(name, stop);
    },
  };
}

/** Not a failure: somebody wanted it to end. */
class StoppedError extends Error {
  constructor(signal: NodeJS.Signals) {
    super(`stopped by ${signal}`);
    this.name = 'StoppedError';
  }
}
