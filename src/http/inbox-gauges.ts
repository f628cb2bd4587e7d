// Gauges about the whole inbox, from a sample of its tables. Every process shows the same figures: take max(), not sum().
import { Gauge, type Registry } from 'prom-client';
import type { InboxSample, StatusCount } from '../events/sample.ts';
import type { Sample } from '../maintenance/sampler.ts';

/** One series: the values of the labels, in the order of `labelNames`, and the figure. */
type Series = readonly [labels: readonly string[], value: number];

interface InboxGauge {
  name: string;
  help: string;
  labelNames: readonly string[];
  /** Every series of the gauge; those that are left out disappear. */
  read(sample: InboxSample): readonly Series[];
}

/** A further gauge is one entry here, and a field of `InboxSample`. */
const gauges: readonly InboxGauge[] = [
  {
    name: 'postbell_events',
    help: 'Events by source and status, PENDING or FAILED; see postbell_events_capped',
    labelNames: ['source', 'status'],
    read: (sample) => [
      ...bySource(sample, sample.pending, ({ events }) => events, 'PENDING'),
      ...bySource(sample, sample.failed, ({ events }) => events, 'FAILED'),
    ],
  },
  {
    name: 'postbell_events_capped',
    help: '1: there are more events of this status than are counted (100,000), and postbell_events is of the oldest',
    labelNames: ['status'],
    read: ({ pending, failed }) => [
      [['PENDING'], Number(pending.isCapped)],
      [['FAILED'], Number(failed.isCapped)],
    ],
  },
  {
    name: 'postbell_oldest_pending_seconds',
    help: 'Age of the oldest PENDING event, by source; 0: there is none',
    labelNames: ['source'],
    read: (sample) => bySource(sample, sample.pending, ({ oldestSeconds }) => oldestSeconds),
  },
  {
    name: 'postbell_oldest_untried_seconds',
    help: 'Age of the oldest PENDING event that no handler has tried and no pause holds, by source; 0: there is none',
    labelNames: ['source'],
    read: (sample) =>
      bySource(sample, sample.pending, ({ oldestUntriedSeconds }) => oldestUntriedSeconds ?? 0),
  },
  {
    name: 'postbell_last_received_timestamp_seconds',
    help: 'When the newest event arrived, by source; missing where it is not known',
    labelNames: ['source'],
    read: ({ lastReceived }) => [...lastReceived].map(([source, at]): Series => [[source], at]),
  },
  {
    name: 'postbell_processes',
    help: 'Processes that gave a sign of life within the last minute, by kind',
    labelNames: ['kind'],
    read: ({ processes }) => processes.map(({ kind, alive }): Series => [[kind], alive]),
  },
  {
    name: 'postbell_alerts_open',
    help: 'Open alerts, by kind; a kind without one has no series',
    labelNames: ['kind'],
    read: ({ alerts }) => alerts.map(({ kind, open }): Series => [[kind], open]),
  },
];

/** 0 for a source without such events, but where not all are counted: there it is not known. */
function bySource(
  { sources }: InboxSample,
  { bySource, isCapped }: StatusCount,
  figure: (backlog: StatusCount['bySource'][number]) => number,
  ...labels: string[]
): Series[] {
  const counted = new Map(bySource.map((backlog) => [backlog.source, figure(backlog)]));
  const named = isCapped ? [...counted.keys()] : new Set([...sources, ...counted.keys()]);
  return [...named].map((source): Series => [[source, ...labels], counted.get(source) ?? 0]);
}

/** Without a sample the gauges have no series: a figure from long ago, or a 0, would be a lie. */
export function registerInboxGauges(
  registers: Registry[],
  latest: () => Sample<InboxSample> | undefined,
): void {
  let sample: Sample<InboxSample> | undefined;
  new Gauge({
    name: 'postbell_sample_age_seconds',
    help: 'Age of the sample from which the gauges of the inbox are; missing together with them',
    registers,
    // The first to be collected: the others show the same sample.
    collect() {
      sample = latest();
      if (sample) this.set(sample.ageMs / 1_000);
      else this.remove();
    },
  });
  for (const { name, help, labelNames, read } of gauges)
    new Gauge({
      name,
      help,
      labelNames,
      registers,
      collect() {
        this.reset();
        for (const [labels, value] of sample ? read(sample.value) : []) this.labels(...labels).set(value);
      },
    });
}
