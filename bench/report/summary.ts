// One line per system and setting: the medians over the rounds, and how they compare with Postbell's.
import type { System, WorkerVariant } from '../systems/system.ts';
import { median, type Results } from './results.ts';

export interface AcceptSummary {
  system: string;
  title: string;
  connections: number;
  perSecond: number;
  p50Ms: number;
  p99Ms: number;
  lowest: number;
  highest: number;
  webCpuUs: number | undefined;
  storeCpuUs: number | undefined;
  rssMb: number | undefined;
  lost: number;
  notAccepted: number;
}

export function summariseAccept(results: Results, systems: readonly System[]): AcceptSummary[] {
  const connections = [...new Set(results.accept.map((result) => result.connections))];
  return systems.flatMap(({ name, title }) =>
    connections.flatMap((count) => {
      const runs = results.accept.filter((run) => run.system === name && run.connections === count);
      if (runs.length === 0) return [];
      const rates = runs.map((run) => run.acceptedPerSecond);
      return [
        {
          system: name,
          title,
          connections: count,
          perSecond: median(rates),
          p50Ms: median(runs.map((run) => run.p50Ms)),
          p99Ms: median(runs.map((run) => run.p99Ms)),
          lowest: Math.min(...rates),
          highest: Math.max(...rates),
          webCpuUs: medianOf(runs.map((run) => run.webCpuUs)),
          storeCpuUs: medianOf(runs.map((run) => run.storeCpuUs)),
          rssMb: medianOf(runs.map((run) => run.usage.rssMb)),
          lost: sum(runs.map((run) => run.lost ?? 0)),
          notAccepted: sum(runs.map((run) => run.refused + run.errors)),
        },
      ];
    }),
  );
}

export interface ProcessSummary {
  system: string;
  variant: string;
  title: string;
  perSecond: number;
  lowest: number;
  highest: number;
  workerCpuUs: number | undefined;
  storeCpuUs: number | undefined;
  rssMb: number | undefined;
}

export function summariseProcess(results: Results, systems: readonly System[]): ProcessSummary[] {
  return systems.flatMap((system) =>
    system.workers.flatMap((variant) => {
      const runs = results.process.filter(
        (run) => run.system === system.name && run.variant === variant.name,
      );
      if (runs.length === 0) return [];
      const rates = runs.map((run) => run.processedPerSecond);
      return [
        {
          system: system.name,
          variant: variant.name,
          title: titleOf(system, variant),
          perSecond: median(rates),
          lowest: Math.min(...rates),
          highest: Math.max(...rates),
          workerCpuUs: medianOf(runs.map((run) => run.workerCpuUs)),
          storeCpuUs: medianOf(runs.map((run) => run.storeCpuUs)),
          rssMb: medianOf(runs.map((run) => run.usage.rssMb)),
        },
      ];
    }),
  );
}

export interface BurstSummary {
  system: string;
  variant: string;
  title: string;
  acceptedPerSecond: number;
  ackP50Ms: number;
  ackP99Ms: number;
  /** Handled, from the first request to the last row. */
  perSecond: number;
  lowest: number;
  highest: number;
  webCpuUs: number | undefined;
  workerCpuUs: number | undefined;
  storeCpuUs: number | undefined;
  missing: number;
}

export function summariseBurst(results: Results, systems: readonly System[]): BurstSummary[] {
  return systems.flatMap((system) =>
    system.workers.flatMap((variant) => {
      const runs = results.burst.filter((run) => run.system === system.name && run.variant === variant.name);
      if (runs.length === 0) return [];
      const rates = runs.map((run) => run.handledPerSecond);
      return [
        {
          system: system.name,
          variant: variant.name,
          title: titleOf(system, variant),
          acceptedPerSecond: median(runs.map((run) => run.acceptedPerSecond)),
          ackP50Ms: median(runs.map((run) => run.ackP50Ms)),
          ackP99Ms: median(runs.map((run) => run.ackP99Ms)),
          perSecond: median(rates),
          lowest: Math.min(...rates),
          highest: Math.max(...rates),
          webCpuUs: medianOf(runs.map((run) => run.webCpuUs)),
          workerCpuUs: medianOf(runs.map((run) => run.workerCpuUs)),
          storeCpuUs: medianOf(runs.map((run) => run.storeCpuUs)),
          missing: sum(runs.map((run) => run.missing)),
        },
      ];
    }),
  );
}

const titleOf = (system: System, variant: WorkerVariant) =>
  system.name === 'postbell' ? `Postbell, ${variant.title}` : variant.title;

function medianOf(values: readonly (number | undefined)[]): number | undefined {
  const known = values.filter((value) => value !== undefined);
  return known.length ? median(known) : undefined;
}

const sum = (values: readonly number[]) => values.reduce((total, value) => total + value, 0);
