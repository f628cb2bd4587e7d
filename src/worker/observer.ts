// What the worker tells of its results, for metrics. One way: nothing comes back, and no decision depends on it.
import type { Handler } from '../handlers/handler.ts';

/** `dead`: the failure that made the event a dead letter. Each result of an attempt is one of these. */
export type AttemptEnd = 'processed' | 'ignored' | 'failed' | 'dead' | 'deferred';

/**
 * Why events left their job uncharged. `late`: they would have started too late here; `stopping`: the worker stops;
 * `interrupted`: their handler ran while it stopped; `entity_busy`: another event of their entity ran; `isolated`: others
 * ran beside an event that has to run alone; `limited`: they wait for a lane of their handler with `concurrency`; `lost`: their job was lost with its worker, they run alone next; `paused`: they wait
 * for the end of a pause.
 */
export type ReleaseReason =
  | 'late'
  | 'stopping'
  | 'interrupted'
  | 'entity_busy'
  | 'isolated'
  | 'limited'
  | 'lost'
  | 'paused';

/** Its methods neither wait nor throw. */
export interface WorkerObserver {
  attemptEnded(source: string, end: AttemptEnd): void;
  /** A run of `handle`, or of `batch` with events of this source, whatever its result. */
  handlerRan(handler: Handler, source: string, ms: number): void;
  released(reason: ReleaseReason, events: number): void;
  /** @param jobs 0 where none was due */
  fetched(jobs: number): void;
}
