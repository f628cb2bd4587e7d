// Takes a page of deliveries: asks the provider to send those again whose events are not in the inbox.
import { setTimeout as delay } from 'node:timers/promises';
import { findKnownIds, markRedelivered } from '../events/known-events.ts';
import type { ApiClient } from './api-client.ts';
import { RecoverError } from './recover-error.ts';
import type { PageTaker, RunOptions } from './run.ts';

/** A delivery that is this young may be on its way. The next run asks for it again, since runs overlap. */
const youngMs = 60_000;
/** How long the events that were asked for are waited for. */
const arrivalMs = 30_000;
const lookMs = 500;

export function createRedeliver(
  { recover, database, signal, isDryRun, log }: RunOptions,
  client: ApiClient,
): PageTaker {
  const { source, wanted } = recover;
  const { delivery, again, timeOf } = recover.spec.redeliver!;
  /** Ids of the events that were asked for. */
  const asked = new Set<string>();

  /** @returns false where the provider does not send this delivery again */
  async function ask(id: string): Promise<boolean> {
    try {
      await client.send(again(id, wanted));
      return true;
    } catch (error) {
      const isRefused =
        error instanceof RecoverError && [400, 404, 409, 410, 422].includes(error.status ?? 0);
      if (!isRefused) throw error;
      log.warn(
        { source: source.name, status: error.status },
        'a delivery was not sent again: the provider refused',
      );
      return false;
    }
  }

  return {
    take: async (items, { until }) => {
      const found = items
        .filter((item) => !(Date.parse(timeOf?.(item) ?? '') > until.getTime() - youngMs))
        .flatMap((item) => delivery(item, wanted) ?? []);
      const ids = [...new Set(found.flatMap(({ eventIds }) => eventIds))];
      const known = await findKnownIds(database, source.name, ids);
      let count = 0;
      for (const { id, eventIds } of found) {
        const missing = eventIds.filter((eventId) => !known.has(eventId) && !asked.has(eventId));
        if (missing.length === 0 || !(isDryRun || (await ask(id)))) continue;
        for (const eventId of missing) asked.add(eventId);
        count++;
      }
      return { recovered: 0, known: known.size, asked: count };
    },
    finish: async () => {
      if (isDryRun || asked.size === 0) return { recovered: 0 };
      const ids = [...asked];
      let arrived = new Set<string>();
      for (
        const endMs = performance.now() + arrivalMs;
        performance.now() < endMs && arrived.size < ids.length;
      ) {
        await delay(lookMs, undefined, { signal }).catch(() => signal.throwIfAborted());
        arrived = await findKnownIds(database, source.name, ids);
      }
      await markRedelivered(database, source.name, [...arrived]);
      return { recovered: arrived.size };
    },
  };
}
