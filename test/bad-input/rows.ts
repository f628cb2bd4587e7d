// What a line of the bad-input list is, and the score of a run over all of them.
import type { Test } from 'tap';
import type { Stage } from './stage.ts';

/** B1 to B83, as in the reliability plan. */
export interface BadInput {
  id: `B${number}`;
  title: string;
  /** Absent with `notApplicable`. `begun` is what `begin` came to. */
  check?: (t: Test, stage: Stage, begun: unknown) => Promise<void>;
  /** For what takes its time without doing much: called before the first row is checked, awaited by `check`'s turn. */
  begin?: (stage: Stage) => Promise<unknown>;
  /** Why there is nothing to test: never counted as passed. */
  notApplicable?: string;
}

export type Result = 'passed' | 'failed' | 'not applicable' | 'not run';

export const rowCount = 83;

/** `78 of 83 passed, 0 failed, 5 not applicable: B64 …`. */
export function scoreLines(rows: readonly BadInput[], results: ReadonlyMap<string, Result>): string[] {
  const count = (result: Result) => [...results.values()].filter((given) => given === result).length;
  const listed = (result: Result) =>
    rows
      .filter(({ id }) => results.get(id) === result)
      .map(({ id, title, notApplicable }) => `${id} ${title}${notApplicable ? `: ${notApplicable}` : ''}`);
  return [
    `bad inputs: ${count('passed')} of ${rowCount} passed, ${count('failed')} failed, ${count('not applicable')} not applicable, ${count('not run')} not run`,
    ...(['failed', 'not applicable', 'not run'] as const).flatMap((result) =>
      listed(result).map((line) => `${result}: ${line}`),
    ),
  ];
}
