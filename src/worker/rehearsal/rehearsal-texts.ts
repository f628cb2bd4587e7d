// The outcome of a rehearsal in words: for the command line and the operators' page.
import { countText } from '../../texts.ts';
import type { Rehearsal } from './rehearsal.ts';

const verdicts: Record<Rehearsal['outcome'], string> = {
  processed: 'would be PROCESSED',
  ignored: 'would be IGNORED',
  failed: 'would fail, and be tried again',
  deferred: 'would be deferred',
  busy: 'could not be run: another event of its entity is running, or the worker stops; try again',
};

/** E.g. `would be PROCESSED, after 12 ms; rolled back`. */
export function rehearsalVerdict({
  outcome,
  isFinal,
  durationMs,
}: Pick<Rehearsal, 'outcome' | 'isFinal' | 'durationMs'>): string {
  const verdict = isFinal ? 'would be FAILED at once' : verdicts[outcome];
  return `${verdict}, after ${Math.round(durationMs)} ms; rolled back`;
}

/** @param rowCount as in `RehearsedStatement` */
export const rowCountText = (rowCount: number | null): string =>
  rowCount === null ? 'failed' : countText(rowCount, 'row');
