// Everything that a session measured; results.json holds exactly this.
import type { Description } from '../machine/describe.ts';
import type { AcceptResult } from '../measure/accept.ts';
import type { BurstResult } from '../measure/burst.ts';
import type { FloodResult } from '../measure/flood.ts';
import type { FloorResult } from '../measure/floor.ts';
import type { FootprintResult } from '../measure/footprint.ts';
import type { GeneratorResult } from '../measure/generator.ts';
import type { GrowthResult } from '../measure/growth.ts';
import type { LatencyResult } from '../measure/latency.ts';
import type { ProcessResult } from '../measure/process.ts';

export interface Results {
  machine?: Description;
  isQuick: boolean;
  rounds: number;
  seconds: number;
  minutes: number;
  generator?: GeneratorResult;
  accept: AcceptResult[];
  process: ProcessResult[];
  burst: BurstResult[];
  latency: LatencyResult[];
  flood: FloodResult[];
  growth: GrowthResult[];
  footprint: FootprintResult[];
  floor: FloorResult[];
  /** What could not be measured, and why. */
  notes: string[];
}

export function noResults(options: { isQuick: boolean; seconds: number }): Results {
  return {
    isQuick: options.isQuick,
    seconds: options.seconds,
    rounds: 0,
    minutes: 0,
    accept: [],
    process: [],
    burst: [],
    latency: [],
    flood: [],
    growth: [],
    footprint: [],
    floor: [],
    notes: [],
  };
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

/** What must never be, of Postbell alone: broken promises make the whole run a failure. */
export function brokenPromises({ accept, burst, latency, flood, growth }: Results): string[] {
  const isOurs = ({ system }: { system: string }) => system === 'postbell';
  const accepts = [...accept.filter(isOurs), ...growth.map((row) => row.accept)];
  return [
    ...accepts.flatMap(({ lost, connections }) =>
      lost ? [`${lost} events answered 2xx and not stored with their job (${connections} connections)`] : [],
    ),
    ...burst
      .filter(isOurs)
      .flatMap(({ missing, accepted }) =>
        missing ? [`${missing} of the ${accepted} events of a burst not processed`] : [],
      ),
    ...latency
      .filter(isOurs)
      .flatMap(({ missing }) => (missing ? [`${missing} events at 200/s not processed in time`] : [])),
    ...flood
      .filter(isOurs)
      .flatMap(({ acceptedForgeries }) =>
        acceptedForgeries ? [`${acceptedForgeries} forgeries accepted`] : [],
      ),
  ];
}
