// CPU time of a process or a store, shared out among the events of a run.

/**
 * In µs.
 * @param beforeMs what it had used at the run's start, in ms; undefined where there is no /proc
 */
export function cpuUsPerEvent(
  beforeMs: number | undefined,
  afterMs: number | undefined,
  events: number,
): number | undefined {
  return beforeMs === undefined || afterMs === undefined
    ? undefined
    : ((afterMs - beforeMs) * 1_000) / events;
}

/** For the lines that a run prints. */
export const shownUs = (us: number | undefined): string => `${us?.toFixed(0) ?? '?'} µs`;
