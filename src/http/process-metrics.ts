// The metrics that `web` and `worker` have in common: the process, its connections, and the inbox's gauges.
import { collectDefaultMetrics, Gauge, Registry } from 'prom-client';
import type { Database } from '../database/database.ts';
import type { InboxSample } from '../events/sample.ts';
import type { Sample } from '../maintenance/sampler.ts';
import { registerInboxGauges } from './inbox-gauges.ts';

/** The text of GET /metrics. */
export interface RenderedMetrics {
  render(): Promise<{ contentType: string; text: string }>;
}

export interface ProcessMetrics extends RenderedMetrics {
  /** Each metric is registered here. */
  registers: Registry[];
  watchDatabase(database: Pick<Database, 'counts'>): void;
  /** @param latest called once per scrape */
  watchInbox(latest: () => Sample<InboxSample> | undefined): void;
}

/** Gauges with the ending of a counter, which Prometheus' conventions refuse; each is the sum of another gauge. */
const misnamed = [
  'nodejs_active_resources_total',
  'nodejs_active_handles_total',
  'nodejs_active_requests_total',
];

function measureProcess(register: Registry): void {
  collectDefaultMetrics({ register });
  for (const name of misnamed) register.removeSingleMetric(name);
}

/** @param options.measuresProcess false in a host's process, which measures itself if it wants to; default true */
export function createProcessMetrics({ measuresProcess = true } = {}): ProcessMetrics {
  const registry = new Registry();
  const registers = [registry];
  if (measuresProcess) measureProcess(registry);
  return {
    registers,
    render: async () => ({ contentType: registry.contentType, text: await registry.metrics() }),
    watchDatabase: (database) => {
      new Gauge({
        name: 'postbell_database_connections',
        help: 'Connections of this process, by state',
        labelNames: ['state'] as const,
        registers,
        collect() {
          for (const [state, count] of Object.entries(database.counts())) this.set({ state }, count);
        },
      });
    },
    watchInbox: (latest) => registerInboxGauges(registers, latest),
  };
}
