// The report of a run: a table, the totals against the targets, and where they go in docs/reliability.md.
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { Result } from './fault.ts';

const document = fileURLToPath(new URL('../../../docs/reliability.md', import.meta.url));
const marks = ['<!-- faults -->', '<!-- /faults -->'] as const;

export interface Run {
  command: string;
  machine: string;
  mutants: string;
}

/** What did not hold or was not run and why, and last the line that .ci/run counts. */
export function formatSummary(results: readonly Result[]): string {
  const others = results.filter(({ outcome }) => outcome !== 'held');
  return [
    ...others.map(({ id, title, outcome, problems }) => `${id} ${title}: ${outcome}: ${problems.join('; ')}`),
    `faults: ${count(results, 'held')} held, ${count(results, 'broken')} broken, ${count(results, 'not run')} not run`,
  ].join('\n');
}

export function formatReport(results: readonly Result[], run: Run): string {
  const total = (key: 'acked' | 'lost' | 'doubled' | 'stuck') =>
    results.reduce((sum, { tally }) => sum + tally[key], 0);
  const unique = (values: readonly unknown[]) => [...new Set(values)].join(', ');
  const minutes = results.reduce((sum, { seconds }) => sum + seconds, 0) / 60;
  return [
    `Made by \`${run.command}\` on ${new Date().toISOString().slice(0, 10)}, ${run.machine}; set: ${unique(results.map(({ set }) => set))};`,
    `seed: ${unique(results.map(({ seed }) => seed))}; commit: ${unique(results.map(({ commit }) => commit))}; ${minutes.toFixed(0)} minutes of faults, several side by side.`,
    '',
    `**${count(results, 'held')} of ${results.length} faults held, ${count(results, 'broken')} broken, ${count(results, 'not run')} not run. ${total('acked').toLocaleString('en')} events acknowledged under them: ${total('lost')} lost, ${total('doubled')} doubled, ${total('stuck')} stuck.** ${run.mutants}.`,
    '',
    '| | fault | set | times | acked | lost | doubled | stuck | recovery | result |',
    '|---|---|---|---:|---:|---:|---:|---:|---:|---|',
    ...results.map(formatRow),
  ].join('\n');
}

function count(results: readonly Result[], outcome: Result['outcome']): number {
  return results.filter((result) => result.outcome === outcome).length;
}

function formatRow(result: Result): string {
  const { id, title, outcome, set, repeats, tally, recoveryMs, problems, notes } = result;
  const text = (parts: readonly string[]) => parts.join('; ').replaceAll('|', '\\|').replaceAll('\n', ' ');
  if (outcome === 'not run') return `| ${id} | ${title} | | | | | | | | not run: ${text(problems)} |`;
  const recovery = recoveryMs === null ? '' : `${(recoveryMs / 1_000).toFixed(1)} s`;
  const told =
    outcome === 'broken' ? `**broken**: ${text([...problems, ...notes])}` : text(['held', ...notes]);
  const { acked, lost, doubled, stuck } = tally;
  return `| ${id} | ${title} | ${set} | ${repeats} | ${acked} | ${lost} | ${doubled} | ${stuck} | ${recovery} | ${told} |`;
}

export function writeReport(report: string): void {
  const text = readFileSync(document, 'utf8');
  const [before, rest] = text.split(marks[0]);
  const [, after] = rest?.split(marks[1]) ?? [];
  if (after === undefined) throw new Error(`${document} has lost its marks ${marks.join(' … ')}`);
  writeFileSync(document, `${before}${marks[0]}\n${report}\n${marks[1]}${after}`);
}
