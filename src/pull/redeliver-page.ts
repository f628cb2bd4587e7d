// Takes a page of deliveries: asks the provider to send those again whose events are not in the inbox.
import { setTimeout as delay } from 'node:timers/promises';
import { findKnownIds, markRedelivered } from '../events/known-events.ts';
import {
  countMissing,
  findRequested,
  forgetArrived,
  giveUpOldRequests,
  listDueRequests,
  type RecoveryRequest,
  recordRefusal,
  recordRequest,
} from '../events/recovery-requests.ts';
import type { ApiClient } from './api-client.ts';
import { RecoverError } from './recover-error.ts';
import type { PageTaker, RunOptions } from './run.ts';

/** A delivery that is this young may be on its way. The next run asks for it, since runs overlap. */
const youngMs = 60_000;
/** How long the events that were asked for are waited for. */
const defaultArrivalMs = 30_000;
const lookMs = 500;
/** Deliveries of earlier runs that a run asks for again at most. */
const maxRepeated = 1_000;
const maxLoggedIds = 10;

export function createRedeliver(options: RunOptions, client: ApiClient): PageTaker {
  const { recover, database, signal, isDryRun, isByHand = false } = options;
  const { arrivalMs = defaultArrivalMs } = options;
  const { source, wanted } = recover;
  const { delivery, sentAt } = recover.spec.redeliver!;
  /** Ids of the events that this run asked for. */
  const asked = new Set<string>();

  /** @returns the number of deliveries */
  async function askAll(requests: readonly RecoveryRequest[]): Promise<number> {
    let count = 0;
    for (const { deliveryId, eventIds } of requests) {
      const missing = eventIds.filter((eventId) => !asked.has(eventId));
      if (missing.length === 0) continue;
      if (!isDryRun && !(await ask(options, client, { deliveryId, eventIds: missing }))) continue;
      for (const eventId of missing) asked.add(eventId);
      count++;
    }
    return count;
  }

  async function waitForArrival(): Promise<Set<string>> {
    const ids = [...asked];
    let arrived = new Set<string>();
    for (
      const endMs = performance.now() + arrivalMs;
      performance.now() < endMs && arrived.size < ids.length;
    ) {
      await delay(lookMs, undefined, { signal }).catch(() => signal.throwIfAborted());
      arrived = await findKnownIds(database, source.name, ids);
    }
    return arrived;
  }

  return {
    take: async (items, { until }) => {
      const found = items
        .filter((item) => !(Date.parse(sentAt(item) ?? '') > until.getTime() - youngMs))
        .flatMap((item) => delivery(item, wanted) ?? []);
      const ids = [...new Set(found.flatMap(({ eventIds }) => eventIds))];
      const known = await findKnownIds(database, source.name, ids);
      // Those that were asked for before have their own time, at the end of the run. A person asks for all of them.
      const requested = isByHand ? new Set<string>() : await findRequested(database, source.name, ids);
      const requests = found.map(({ id, eventIds }) => ({
        deliveryId: id,
        eventIds: eventIds.filter((eventId) => !known.has(eventId) && !requested.has(eventId)),
      }));
      return { recovered: 0, known: known.size, asked: await askAll(requests) };
    },
    finish: async () => {
      if (isDryRun) return { recovered: 0, asked: 0, missing: 0, refusedStatus: null };
      await forgetArrived(database, source.name);
      const due = { atOnce: isByHand, limit: maxRepeated };
      const repeated = await askAll(await listDueRequests(database, source.name, due));
      const arrived = await waitForArrival();
      await markRedelivered(database, source.name, [...arrived]);
      await forgetArrived(database, source.name);
      await giveUp(options);
      const missing = await countMissing(database, source.name, [...asked]);
      return { recovered: arrived.size, asked: repeated, ...missing };
    },
  };
}

/** @returns false where the provider does not send this delivery again */
async function ask(
  { recover, database, log }: RunOptions,
  client: ApiClient,
  request: RecoveryRequest,
): Promise<boolean> {
  const { source, wanted } = recover;
  try {
    await client.send(recover.spec.redeliver!.again(request.deliveryId, wanted));
  } catch (error) {
    const status = error instanceof RecoverError ? (error.status ?? 0) : 0;
    if (![400, 404, 409, 410, 422].includes(status)) throw error;
    log.warn({ source: source.name, status }, 'a delivery was not sent again: the provider refused');
    await recordRefusal(database, source.name, { ...request, status });
    return false;
  }
  await recordRequest(database, source.name, request);
  return true;
}

async function giveUp({ recover: { source }, database, log }: RunOptions): Promise<void> {
  const eventIds = await giveUpOldRequests(database, source.name);
  if (eventIds.length > 0)
    log.warn(
      { source: source.name, count: eventIds.length, eventIds: eventIds.slice(0, maxLoggedIds) },
      'events were asked for again and again for 24 hours and did not arrive: they are given up',
    );
}
