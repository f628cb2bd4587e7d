// Releases entries whose handlers have not started: another worker runs their events.
import { describeError } from '../errors.ts';
import type { StoredEvent } from '../events/event.ts';
import { type Release, releaseEvents } from '../events/release.ts';
import type { Logger } from '../logger.ts';
import { keyText, maxEventsPerJob, newJobId } from '../queue/queue.ts';
import { batchHandlerOf } from './batch.ts';
import type { Completions } from './completions.ts';
import type { FailureDeps } from './failure.ts';
import { type Entry, isolationOf } from './job.ts';
import type { JobBuffer } from './job-buffer.ts';
import type { ReleaseReason, WorkerObserver } from './observer.ts';
import { limitOf } from './plan.ts';

export interface ReleaseEntriesDeps {
  buffer: JobBuffer;
  completions: Completions;
  failures: FailureDeps;
  log: Logger;
  observer?: WorkerObserver | undefined;
}

/**
 * Moves the events of each job to one new job, ahead of others. An old job is completed once all its events have left.
 * Never rejects: after an error the heartbeats of the jobs end, and other workers get them.
 * @returns entries whose rows others hold locked: they are still with their jobs, and the caller's
 */
export function releaseEntries(
  entries: readonly Entry[],
  reason: ReleaseReason,
  deps: ReleaseEntriesDeps,
): Promise<Entry[]> {
  const byJob = Map.groupBy(entries, ({ job }) => job);
  const releases = [...byJob].map(([job, some]) => ({
    events: some.map(({ event }) => event),
    fromJobId: job.id,
    to: { jobId: newJobId(job.id), priority: 1, ...isolationOf(job) },
  }));
  return release(entries, releases, reason, deps);
}

/**
 * Moves the events to jobs that wait for the end of their pauses, up to 16 in a job: where those of a light hour came one
 * by one, a long pause would leave as many jobs. An isolated event stays alone, and is isolated again afterwards.
 * @param pauseIdsOf the pauses that hold the event
 * @returns as `releaseEntries`
 */
export function releaseToPause(
  entries: readonly Entry[],
  pauseIdsOf: (event: StoredEvent) => readonly number[],
  deps: ReleaseEntriesDeps,
): Promise<Entry[]> {
  const groups = Map.groupBy(entries, ({ job, event }) =>
    job.isIsolated ? job.id : pauseIdsOf(event).join(),
  );
  const releases = [...groups.values()].flatMap((group) =>
    together(group, maxEventsPerJob, ({ job, event }) => ({
      pauseIds: pauseIdsOf(event),
      ...isolationOf(job),
    })),
  );
  return release(entries, releases, 'paused', deps);
}

/** No lane was free for an isolated event: its job comes back then. */
const isolatedWaitSeconds = 5;

/**
 * Moves the events of handlers with `concurrency` to jobs that wait for a lane. An isolated event stays alone, and is isolated
 * again.
 * @returns as `releaseEntries`
 */
export function releaseToLanes(entries: readonly Entry[], deps: ReleaseEntriesDeps): Promise<Entry[]> {
  const groups = Map.groupBy(entries, ({ job, plan }) =>
    job.isIsolated ? job.id : (limitOf(plan)?.handlerName ?? ''),
  );
  const releases = [...groups.values()].flatMap((group) => {
    // Equal parts for the lanes; a batch is as large as its job.
    const parts = group.every(batchHandlerOf) ? 1 : (limitOf(group[0]!.plan)?.maxConcurrent ?? 1);
    const perJob = Math.min(maxEventsPerJob, Math.ceil(group.length / parts));
    return together(group, perJob, ({ job, plan }) => {
      const lane = limitOf(plan)?.handlerName;
      if (job.isIsolated) return { afterSeconds: isolatedWaitSeconds, ...isolationOf(job) };
      // Without its handler's limit, after the handlers were loaded again, it is an event as others.
      return lane === undefined ? { priority: 1 } : { lane };
    });
  });
  return release(entries, releases, 'limited', deps);
}

/** The events in new jobs of `perJob` events each, whatever their old jobs. */
function together(
  entries: readonly Entry[],
  perJob: number,
  toOf: (entry: Entry) => Exclude<Release['to'], 'failed'>,
): Release[] {
  let jobId = '';
  return entries.map((entry, index) => {
    if (index % perJob === 0) jobId = newJobId(entry.job.id);
    return { events: [entry.event], fromJobId: entry.job.id, to: { jobId, ...toOf(entry) } };
  });
}

async function release(
  entries: readonly Entry[],
  releases: readonly Release[],
  reason: ReleaseReason,
  { buffer, completions, failures, log, observer }: ReleaseEntriesDeps,
): Promise<Entry[]> {
  if (entries.length === 0) return [];
  try {
    const released = new Set((await releaseEvents(failures, releases)).map(keyText));
    observer?.released(reason, released.size);
    for (const entry of entries.filter(({ key }) => released.has(key))) {
      const finished = buffer.finish(entry);
      if (finished) completions.add(finished);
    }
    return entries.filter(({ key }) => !released.has(key));
  } catch (error) {
    for (const entry of entries) buffer.dropJobOf(entry);
    const fields = { error: describeError(error).text, events: entries.length };
    log.warn(
      fields,
      'waiting events could not be released; other workers get their jobs after HEARTBEAT_SECONDS',
    );
    return [];
  }
}
