// The Prometheus metrics of a worker. No label has a value that a caller chooses.
import { Counter, Gauge, Histogram } from 'prom-client';
import type { Handler } from '../handlers/handler.ts';
import type { WorkerObserver } from '../worker/observer.ts';
import type { Worker } from '../worker/worker.ts';
import { createProcessMetrics, type ProcessMetrics } from './process-metrics.ts';

export interface WorkerMetrics extends ProcessMetrics {
  /** Counts what the worker tells. */
  observer: WorkerObserver;
  /** @param held undefined while no worker runs */
  watchWorker(held: () => ReturnType<Worker['held']> | undefined): void;
}

const handlerBuckets = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300];

/** @param options as in `createProcessMetrics` */
export function createWorkerMetrics(options: { measuresProcess?: boolean } = {}): WorkerMetrics {
  const common = createProcessMetrics(options);
  const { registers } = common;
  return {
    ...common,
    observer: createObserver(registers),
    watchWorker: (held) => {
      new Gauge({
        name: 'postbell_jobs_held',
        help: 'Jobs that this worker has fetched and not finished',
        registers,
        collect() {
          this.set(held()?.jobs ?? 0);
        },
      });
      new Gauge({
        name: 'postbell_busy_slots',
        help: 'Slots of this worker whose handlers run, of WORKER_CONCURRENCY',
        registers,
        collect() {
          this.set(held()?.busySlots ?? 0);
        },
      });
    },
  };
}

function createObserver(registers: ProcessMetrics['registers']): WorkerObserver {
  const attempts = new Counter({
    name: 'postbell_attempts_total',
    help: 'Attempts by source and result: processed, ignored, failed (tried again), dead (a dead letter), deferred',
    labelNames: ['source', 'result'] as const,
    registers,
  });
  const durations = new Histogram({
    name: 'postbell_handler_duration_seconds',
    help: 'Runs of handlers, failed ones too, by handler (provider and topics) and source; of a batch the whole run',
    labelNames: ['handler', 'source'] as const,
    buckets: handlerBuckets,
    registers,
  });
  const releases = new Counter({
    name: 'postbell_releases_total',
    help: 'Events that left their job uncharged, by reason: late, stopping, interrupted, entity_busy, isolated, lost, paused',
    labelNames: ['reason'] as const,
    registers,
  });
  const fetches = new Counter({
    name: 'postbell_fetches_total',
    help: 'Fetches from the queue, also those that found no job',
    registers,
  });
  const fetchedJobs = new Counter({
    name: 'postbell_fetched_jobs_total',
    help: 'Jobs that these fetches took',
    registers,
  });
  return {
    attemptEnded: (source, result) => attempts.inc({ source, result }),
    handlerRan: (handler, source, ms) =>
      durations.observe({ handler: handlerLabel(handler), source }, ms / 1_000),
    released: (reason, events) => releases.inc({ reason }, events),
    fetched: (jobs) => {
      fetches.inc();
      fetchedJobs.inc(jobs);
    },
  };
}

const maxLabelLength = 100;

/** Handlers have no name: `stripe invoice.paid`. */
function handlerLabel({ provider, topic }: Handler): string {
  return `${provider} ${[topic].flat().join(',')}`.slice(0, maxLabelLength);
}
