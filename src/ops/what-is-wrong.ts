// The state of the inbox as sentences: what needs a person now, the worst first.
import { describeAlert } from '../events/alert-texts.ts';
import { reportedAlert } from '../events/alerts.ts';
import { countText } from '../texts.ts';
import { waited } from './parts.ts';
import type { Overview } from './read-overview.ts';
import { opsUrl } from './urls.ts';

export interface Problem {
  text: string;
  /** The page where a person goes on. */
  url: string;
  isSevere: boolean;
}

/** As `doctor`: a worker that keeps up tries an event sooner. */
const untriedMs = 60_000;
/** Older rejections are on their page: the overview must not report a corrected secret for a day. */
const recentRejectionMs = 3_600_000;

export function findProblems({ sources, processes, alerts }: Overview, now: Date): Problem[] {
  const problems: Problem[] = [];
  const pending = sources.reduce((sum, { backlog }) => sum + (backlog?.pending ?? 0), 0);
  const isAlive = (kind: string) => processes.some((process) => process.kind === kind && process.alive > 0);
  const waiting = opsUrl('/events', { status: 'PENDING' });
  if (!isAlive('web'))
    problems.push({
      text: 'No web process is alive: deliveries may be refused.',
      url: opsUrl(''),
      isSevere: true,
    });
  if (!isAlive('worker')) {
    const text =
      pending > 0 ? `No worker is alive: ${countText(pending, 'event')} wait.` : 'No worker is alive.';
    problems.push({ text, url: waiting, isSevere: true });
  }
  const untried = sources.flatMap(({ backlog }) => backlog?.oldestUntriedAt ?? []);
  const oldest = untried.sort((a, b) => a.getTime() - b.getTime())[0];
  const isLate = oldest !== undefined && now.getTime() - oldest.getTime() > untriedMs;
  if (isLate) {
    const text = `The oldest event that was never tried has waited for ${waited(oldest, now)}.`;
    problems.push({ text, url: waiting, isSevere: true });
  }
  const dead = countsOf(sources, ({ dead = 0 }) => dead);
  if (dead.total > 0) {
    const text = `${countText(dead.total, 'dead letter')} (${dead.names}).`;
    problems.push({ text, url: opsUrl('/dead-letters'), isSevere: true });
  }
  const isRecent = (time: Date | null) => time !== null && now.getTime() - time.getTime() < recentRejectionMs;
  const rejected = countsOf(sources, (state) =>
    isRecent(state.rejected?.lastAt ?? null) ? state.rejected!.rejected : 0,
  );
  if (rejected.total > 0) {
    const text = `Requests were rejected within the last hour (${rejected.names}).`;
    problems.push({ text, url: opsUrl('/rejections'), isSevere: false });
  }
  const failing = alerts.filter(({ kind }) => kind === 'recover_failing').map(({ source }) => source);
  if (failing.length > 0) {
    const text = `Lost events are not recovered (${failing.join(', ')}).`;
    problems.push({ text, url: `${opsUrl('')}#recoveries`, isSevere: false });
  }
  const isSaid: Readonly<Record<string, (source: string) => boolean>> = {
    no_web: () => !isAlive('web'),
    no_worker: () => !isAlive('worker'),
    oldest_pending: () => isLate,
    dead_letters: () => dead.total > 0,
    everything_rejected: (source) =>
      sources.some((state) => state.source === source && isRecent(state.rejected?.lastAt ?? null)),
    recover_failing: () => true,
  };
  for (const alert of alerts) {
    if (alert.acknowledgedAt !== null || isSaid[alert.kind]?.(alert.source)) continue;
    const text = `Alert: ${describeAlert(reportedAlert(alert)).sentence}.`;
    problems.push({ text, url: `${opsUrl('')}#alerts`, isSevere: false });
  }
  return problems;
}

const namedSources = 3;

/** `stripe 500, github 12 and 2 more`, the largest first. */
function countsOf<T extends { source: string }>(
  sources: readonly T[],
  countOf: (source: T) => number,
): { total: number; names: string } {
  const counts = sources
    .map((state) => ({ source: state.source, count: countOf(state) }))
    .filter(({ count }) => count > 0)
    .sort((a, b) => b.count - a.count);
  const named = counts
    .slice(0, namedSources)
    .map(({ source, count }) => `${source} ${count.toLocaleString('en-US')}`);
  const more = counts.length > namedSources ? ` and ${counts.length - namedSources} more` : '';
  return { total: counts.reduce((sum, { count }) => sum + count, 0), names: named.join(', ') + more };
}
