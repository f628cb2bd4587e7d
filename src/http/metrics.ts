// The Prometheus metrics of `web`. No label has a value that a caller chooses.
import { Counter, Gauge, Histogram } from 'prom-client';
import type { Receiver } from '../receive/receiver.ts';
import type { DuplicateAnomaly } from '../receive/store.ts';
import { createProcessMetrics, type ProcessMetrics } from './process-metrics.ts';

export interface Metrics extends ProcessMetrics {
  /** The source's counters begin at 0: Prometheus takes the first value of a counter for no increase. */
  expectSource(source: string): void;
  /** Call it once per request. Outcomes: accepted, duplicate, invalid_signature, too_large, unavailable, … */
  countRequest(source: string, outcome: string): void;
  /** With the reason's name as in `rejected_requests`, before a diagnosis. */
  countRejection(source: string, reason: string): void;
  /** Deliveries that resemble a stored event: `body_conflict`, `suspected_replay`, `replay_flood`. */
  countDuplicateAnomalies(source: string, anomaly: DuplicateAnomaly, count: number): void;
  observeAck(source: string, seconds: number): void;
  watchReceiver(receiver: Pick<Receiver, 'waiting'>): void;
}

const ackBuckets = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5];

/** @param options as in `createProcessMetrics` */
export function createMetrics(options: { measuresProcess?: boolean } = {}): Metrics {
  const common = createProcessMetrics(options);
  const { registers } = common;
  const requests = new Counter({
    name: 'postbell_requests_total',
    help: 'Requests on webhook routes, by source and outcome',
    labelNames: ['source', 'outcome'] as const,
    registers,
  });
  const rejections = new Counter({
    name: 'postbell_rejections_total',
    help: 'Deliveries that were not accepted because of what they are: wrong_signature, too_large, no_secret, …',
    labelNames: ['source', 'reason'] as const,
    registers,
  });
  const duplicateAnomalies = new Counter({
    name: 'postbell_duplicate_anomalies_total',
    help: 'Deliveries that resemble a stored event: body_conflict (known id, other bytes: the first are kept), suspected_replay (known bytes, other id: IGNORED), replay_flood (too many of these: 503)',
    labelNames: ['source', 'anomaly'] as const,
    registers,
  });
  const ack = new Histogram({
    name: 'postbell_ack_duration_seconds',
    help: 'From the arrival of a request to its answer',
    labelNames: ['source'] as const,
    buckets: ackBuckets,
    registers,
  });
  return {
    ...common,
    expectSource: (source) => {
      for (const outcome of ['accepted', 'duplicate', 'invalid_signature', 'unavailable'])
        requests.inc({ source, outcome }, 0);
    },
    countRequest: (source, outcome) => requests.inc({ source, outcome }),
    countRejection: (source, reason) => rejections.inc({ source, reason }),
    countDuplicateAnomalies: (source, anomaly, count) => duplicateAnomalies.inc({ source, anomaly }, count),
    observeAck: (source, seconds) => ack.observe({ source }, seconds),
    watchReceiver: (receiver) => {
      new Gauge({
        name: 'postbell_receive_queue',
        help: 'Verified deliveries that wait for their commit',
        registers,
        collect() {
          this.set(receiver.waiting());
        },
      });
    },
  };
}
