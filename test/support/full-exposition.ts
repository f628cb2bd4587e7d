// What web and worker serve once every metric of theirs has a series.
import { createMetrics } from '../../src/http/metrics.ts';
import type { ProcessMetrics } from '../../src/http/process-metrics.ts';
import { createWorkerMetrics } from '../../src/http/worker-metrics.ts';
import { defineHandler } from '../../src/index.ts';
import { type Metric, parseExposition } from './exposition.ts';

const source = 'stripe';

export async function webExposition(): Promise<Map<string, Metric>> {
  const metrics = createMetrics();
  metrics.expectSource(source);
  metrics.countRequest(source, 'accepted');
  metrics.countRejection(source, 'wrong_signature');
  metrics.countDuplicateAnomalies(source, 'body_conflict', 1);
  metrics.observeAck(source, 0.01);
  metrics.watchReceiver({ waiting: () => 0 });
  return withCommon(metrics);
}

export async function workerExposition(): Promise<Map<string, Metric>> {
  const metrics = createWorkerMetrics();
  const handler = defineHandler({
    provider: source,
    topic: ['invoice.paid', 'a"b\\c\nd'],
    handle: async () => {},
  });
  metrics.observer.attemptEnded(source, 'processed');
  metrics.observer.handlerRan(handler, source, 12);
  metrics.observer.released('late', 2);
  metrics.observer.fetched(3);
  metrics.watchWorker(() => ({ jobs: 1, busySlots: 1 }));
  return withCommon(metrics);
}

async function withCommon(metrics: ProcessMetrics): Promise<Map<string, Metric>> {
  metrics.watchDatabase({ counts: () => ({ total: 1, idle: 1, waiting: 0, max: 3 }) });
  const backlog = { source, events: 1, oldestSeconds: 3, oldestUntriedSeconds: null };
  const value = {
    sources: [source],
    pending: { bySource: [backlog], isCapped: false },
    failed: { bySource: [], isCapped: false },
    lastReceived: new Map([[source, 1_750_000_000.5]]),
    processes: [{ kind: 'web', alive: 1 }],
    alerts: [{ kind: 'silence', open: 1 }],
  };
  metrics.watchInbox(() => ({ value, ageMs: 1_500 }));
  return parseExposition((await metrics.render()).text);
}
