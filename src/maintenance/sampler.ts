// Takes samples in the background while somebody asks for them, so that a question never waits and costs no statement.
import type { Logger } from '../logger.ts';
import { startTasks } from './background-tasks.ts';

export interface Sample<T> {
  value: T;
  ageMs: number;
}

export interface Sampler<T> {
  /**
   * The last sample. Samples are taken for five minutes after each call; after a pause the first one follows the call.
   * Undefined: there is none yet, or the last try failed.
   */
  latest(): Sample<T> | undefined;
  /** Resolves when the sample that is being taken has ended. */
  stop(): Promise<void>;
}

export interface SamplerOptions<T> {
  /** @param before the sample before this one */
  take: (before: T | undefined) => Promise<T>;
  log: Logger;
  /** Pause between two samples; default 30 s. */
  intervalMs?: number;
}

const askedForMs = 300_000;

export function startSampler<T>({ take, log, intervalMs = 30_000 }: SamplerOptions<T>): Sampler<T> {
  let askedAtMs = Number.NEGATIVE_INFINITY;
  let before: T | undefined;
  let last: { value: T; takenAtMs: number } | undefined;
  const isAsked = () => performance.now() - askedAtMs < askedForMs;
  const pass = async () => {
    try {
      if (isAsked()) before = await take(before);
      last = isAsked() && before !== undefined ? { value: before, takenAtMs: performance.now() } : undefined;
    } catch (error) {
      last = undefined;
      throw error;
    }
  };
  const failureMessage = 'the figures for /metrics could not be read; they are left out';
  const tasks = startTasks([{ name: 'sample', intervalMs, failureMessage, pass }], log);
  return {
    latest: () => {
      const isFirst = !isAsked();
      askedAtMs = performance.now();
      if (isFirst) tasks.wake('sample');
      return last && { value: last.value, ageMs: askedAtMs - last.takenAtMs };
    },
    stop: () => tasks.stop(),
  };
}
