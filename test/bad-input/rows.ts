// What a line of the bad-input list is, and the score of a run over all of them.
import type { Test } from 'tap';
import type { Stage } from './stage.ts';

/** B1 to B83; docs/bad-input.md lists them. */
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

/** `not run` and `not applicable` are followed by the reason. */
export type Result = 'passed' | 'failed' | `not run: ${string}` | `not applicable: ${string}`;

export const rowCount = 83;

/** `78 of 83 passed, 0 failed, 5 not applicable, 0 not run`, and then which and why. */
export function scoreLines(rows: readonly BadInput[], results: ReadonlyMap<string, Result>): string[] {
  const of = (kind: string) => rows.filter(({ id }) => results.get(id)?.startsWith(kind));
  const count = (kind: string) => `${of(kind).length} ${kind}`;
  const others = [...of('failed'), ...of('not applicable'), ...of('not run')];
  return [
    `bad inputs: ${of('passed').length} of ${rowCount} passed, ${count('failed')}, ${count('not applicable')}, ${count('not run')}`,
    ...others.map(({ id, title }) => `${id} (${title}) ${results.get(id)}`),
  ];
}
