// What a fault of the list F1-F51 is, and what it may use: installations under test, findings, figures.
import type { Test } from 'tap';
import { createTestDatabase } from '../../support/database.ts';
import { NotRun } from '../../support/impossibilities.ts';
import type { Books, Tally, Violation } from '../ledger.ts';
import { openRig, type Rig, type RigOptions } from '../rig.ts';
import { openScope } from '../scope.ts';

export interface Fault {
  /** The code in docs/reliability.md, e.g. F1. */
  id: string;
  title: string;
  /** Nothing else may run beside it: its figures are times or rates, or it takes the whole machine. */
  isAlone?: boolean;
  /** Takes minutes in the full set: begun first, so that no lane waits for it at the end. */
  isLong?: boolean;
  run(context: FaultContext): Promise<void>;
}

export interface BooksExpected extends Partial<Books> {
  drainMs?: number;
  /** What the fault itself does to the books, e.g. deletes a job. */
  ignores?: (violation: Violation) => boolean;
}

export interface FaultContext {
  /** For what wants a tap test: everything registered on it ends with the fault. */
  t: Test;
  isFull: boolean;
  /** How often: once or a few times in the quick set, as planned in the full one. Goes into the report. */
  repeats(quick: number, full: number): number;
  /** 0 to 1, from the run's seed. */
  random(): number;
  /** An installation with a database of its own, unless `url` says which. */
  rig(options?: Partial<RigOptions>): Promise<Rig>;
  /** What has to hold besides the books. */
  expect(isSo: boolean, claim: string): void;
  /** The longest one goes into the report. */
  recovered(ms: number, limitMs: number, what: string): void;
  /** A figure for the report. */
  note(text: string): void;
  /** Waits until nothing is left to do, and counts what is lost, doubled and stuck. */
  balance(rig: Rig, expected?: BooksExpected): Promise<void>;
}

export interface Result {
  id: string;
  title: string;
  outcome: 'held' | 'broken' | 'not run';
  repeats: number;
  tally: Tally;
  recoveryMs: number | null;
  notes: string[];
  /** Why it was not run, or what did not hold. */
  problems: string[];
  seconds: number;
  set: 'quick' | 'full';
  seed: number;
  commit: string;
}

const limitMs = 15 * 60_000;

export async function runFault(
  fault: Fault,
  run: { isFull: boolean; seed: number; commit: string },
): Promise<Result> {
  const startedAt = performance.now();
  const { isFull, seed, commit } = run;
  const result: Result = {
    id: fault.id,
    title: fault.title,
    outcome: 'held',
    repeats: 1,
    tally: { acked: 0, lost: 0, doubled: 0, stuck: 0 },
    recoveryMs: null,
    notes: [],
    problems: [],
    seconds: 0,
    set: isFull ? 'full' : 'quick',
    seed,
    commit,
  };
  const scope = openScope();
  let timer: NodeJS.Timeout | undefined;
  try {
    const tooLong = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(new Error(`it did not end within ${limitMs / 60_000} min`)), limitMs);
    });
    await Promise.race([fault.run(contextOf(scope, result, isFull, seed)), tooLong]);
  } catch (error) {
    if (error instanceof NotRun && error.id === fault.id) result.outcome = 'not run';
    result.problems.push((error as Error).message.split('\n')[0]!.slice(0, 500));
  } finally {
    clearTimeout(timer);
    if (result.problems.length && result.outcome !== 'not run') scope.fail();
    await scope.close().catch((error: Error) => {
      result.problems.push(`at the end: ${error.message.split('\n')[0]!.slice(0, 300)}`);
    });
  }
  const { lost, doubled, stuck } = result.tally;
  if (result.outcome === 'held' && (result.problems.length || lost || doubled || stuck))
    result.outcome = 'broken';
  result.seconds = Math.round((performance.now() - startedAt) / 1_000);
  return result;
}

function contextOf(
  { t }: ReturnType<typeof openScope>,
  result: Result,
  isFull: boolean,
  seed: number,
): FaultContext {
  const expect = (isSo: boolean, claim: string) => {
    if (!isSo) result.problems.push(claim);
  };
  return {
    t,
    isFull,
    repeats: (quick, full) => {
      result.repeats = isFull ? full : quick;
      return result.repeats;
    },
    random: generator(seed + Number(result.id.slice(1))),
    rig: async (options = {}) =>
      openRig(t, { ...options, url: options.url ?? (await createTestDatabase(t)).url }),
    expect,
    recovered: (ms, limitMs, what) => {
      result.recoveryMs = Math.max(result.recoveryMs ?? 0, Math.round(ms));
      expect(ms <= limitMs, `${what} took ${Math.round(ms)} ms, more than ${limitMs} ms`);
    },
    note: (text) => result.notes.push(text),
    balance: async (rig, { drainMs = 60_000, ignores = () => false, ...expected } = {}) => {
      // What does not drain is stuck: the books count it.
      await rig.drain(drainMs).catch((error: Error) => result.problems.push(error.message));
      const violations = (await rig.check(expected)).filter((violation) => !ignores(violation));
      for (const { invariant, detail } of violations.slice(0, 10))
        result.problems.push(`${invariant} ${detail}`);
      const tally = await rig.tally();
      for (const key of ['acked', 'lost', 'doubled', 'stuck'] as const) result.tally[key] += tally[key];
    },
  };
}

/** mulberry32: small, and the same everywhere for the same seed. */
function generator(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
