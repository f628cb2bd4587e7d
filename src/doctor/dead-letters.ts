// Lists the causes of the dead letters, each with the command line that runs its events again.
import { countFailureReasons } from '../events/statistics.ts';
import { printable } from '../printable.ts';
import { countText } from '../terminal/print.ts';
import { type Check, type CheckContext, needsPerson, ok, warn } from './check.ts';

const shownReasons = 20;

export async function checkDeadLetters({ database }: Pick<CheckContext, 'database'>): Promise<Check[]> {
  const { reasons, more } = await countFailureReasons(database, shownReasons);
  if (reasons.length === 0) return [ok('dead letters', 'none')];
  const checks = reasons.map(({ error, count }) =>
    warn(
      'dead letters',
      `${countText(count, 'event')}: ${error}`,
      `fix the cause, then: ${replayCommand(error)}`,
    ),
  );
  if (more.reasons > 0) {
    const message = `${more.reasons} more: ${countText(more.count, 'event')} with other causes`;
    checks.push(warn('dead letters', message, 'list them: postbell events --status FAILED'));
  }
  return checks.map(needsPerson);
}

/** @param error the beginning of `last_error`, foreign text. @returns a line for a POSIX shell */
export function replayCommand(error: string): string {
  const part = longestPrintablePart(error);
  return part === ''
    ? 'postbell replay'
    : `postbell replay --error '${part.replaceAll("'", String.raw`'\''`)}'`;
}

/** Nobody can paste a control character: `--error` takes any part of the error. */
function longestPrintablePart(text: string): string {
  let longest = '';
  let part = '';
  for (const character of text) {
    part = printable(character) === character ? part + character : '';
    if (part.length > longest.length) longest = part;
  }
  return longest.trim();
}
