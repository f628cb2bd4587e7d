// Does a comparison take longer the later two texts differ? Welch's t over calls taken in turn, as an attacker would ask.
import { randomInt } from 'node:crypto';

/** Takes a candidate and refuses it. */
type Compare = (candidate: string) => unknown;

/**
 * Calls `compare` with texts that differ from `expected` in the first character and with ones that differ in the last,
 * in random order, so that whatever drifts drifts for both. 0: no difference; positive: the later, the slower.
 * @param options.pairs how many of each
 */
export function timingT(compare: Compare, expected: string, options: { pairs: number }): number {
  // Several copies of each: where in memory a text lies has its own influence.
  const copies = 16;
  const early = Array.from({ length: copies }, () => flat(`${other(expected[0]!)}${expected.slice(1)}`));
  const late = Array.from({ length: copies }, () =>
    flat(`${expected.slice(0, -1)}${other(expected.at(-1)!)}`),
  );
  const times: Record<'early' | 'late', number[]> = { early: [], late: [] };
  const take = (kind: 'early' | 'late') => {
    const candidate = (kind === 'early' ? early : late)[randomInt(copies)]!;
    const from = process.hrtime.bigint();
    compare(candidate);
    times[kind].push(Number(process.hrtime.bigint() - from));
  };
  for (let pair = 0; pair < options.pairs; pair++)
    for (const kind of randomInt(2) ? (['early', 'late'] as const) : (['late', 'early'] as const)) take(kind);
  // The warm-up says nothing, and neither does what was interrupted: the slowest quarter of both together.
  const [a, b] = [times.late, times.early].map((all) => all.slice(Math.floor(all.length / 10))) as [
    number[],
    number[],
  ];
  const limit = [...a, ...b].toSorted((x, y) => x - y)[Math.floor((a.length + b.length) * 0.75)]!;
  return welchT(
    a.filter((time) => time <= limit),
    b.filter((time) => time <= limit),
  );
}

export function welchT(a: readonly number[], b: readonly number[]): number {
  const [first, second] = [moments(a), moments(b)];
  return (
    (first.mean - second.mean) /
    Math.sqrt(first.variance / a.length + second.variance / b.length || Number.EPSILON)
  );
}

function moments(values: readonly number[]): { mean: number; variance: number } {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  const variance = values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / (values.length - 1);
  return { mean, variance };
}

const other = (character: string) => (character === 'a' ? 'b' : 'a');
/** A text put together is a rope until it is read: a copy of its bytes is none. */
const flat = (text: string) => Buffer.from(text, 'latin1').toString('latin1');
