// SIGINT, SIGTERM and SIGHUP as an AbortSignal, for commands that must stop their child processes.

const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

export interface StopSignal extends Disposable {
  signal: AbortSignal;
  /** Rejects with the signal's reason once it is aborted; never fulfilled. */
  stopped: Promise<never>;
}

/** From this call on the signals abort instead of ending the process, also repeated ones during the clean-up. */
export function listenForStop(): StopSignal {
  const controller = new AbortController();
  const { promise: stopped, reject } = Promise.withResolvers<never>();
  stopped.catch(() => {}); // callers that wait handle it; there may be none at this moment
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

/** Not a failure: a user or the platform ended the command. */
class StoppedError extends Error {
  constructor(signal: NodeJS.Signals) {
    super(`stopped by ${signal}`);
    this.name = 'StoppedError';
  }
}
