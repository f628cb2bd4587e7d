// Reads what fetched jobs are about: the row decides which of their events are still to be run.
import type { Queryable } from '../database/database.ts';
import { isDue, readStoredEvents } from '../events/event.ts';
import type { Handler } from '../handlers/handler.ts';
import { type FetchedJob, keyText } from '../queue/queue.ts';
import type { Watchdog } from '../watchdog.ts';
import { describeWork, type Entry } from './job.ts';
import { planEvent } from './plan.ts';

/** @returns of each job its entries in order; an event that is gone, settled, or another job's is left out */
export async function readEntries(
  database: Queryable,
  jobs: readonly FetchedJob[],
  handlers: readonly Handler[],
  watchdog?: Pick<Watchdog, 'enter'>,
): Promise<Map<FetchedJob, Entry[]>> {
  const events = await readStoredEvents(
    database,
    jobs.flatMap((job) => job.events),
  );
  const rows = new Map(events.map((event) => [keyText(event), event]));
  // A handler's schema and `entity` are the team's code: they may block the event loop.
  const leave = watchdog?.enter(describeWork('planning', events));
  const entriesOfJobs = new Map(
    jobs.map((job) => {
      const entries = job.events.flatMap((name): Entry[] => {
        const key = keyText(name);
        const event = rows.get(key);
        if (!event || !isDue(event, job)) return [];
        return [{ key, job, event, plan: planEvent(handlers, event) }];
      });
      return [job, entries];
    }),
  );
  leave?.();
  return entriesOfJobs;
}
