// Promotes the kept requests of a source: verifies them with the secrets of now as of their time of arrival, and takes them in.
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Queryable } from '../database/database.ts';
import { describeError } from '../errors.ts';
import { findKnownIds } from '../events/known-events.ts';
import { type QuarantinedRequest, readSlice, settlePromoted } from '../events/quarantine.ts';
import { failpoint } from '../failpoint.ts';
import type { Logger } from '../logger.ts';
import {
  answerHandshake,
  type Delivery,
  keptHeaders,
  readDrafts,
  type Source,
  verifyDelivery,
} from '../providers/index.ts';
import { acceptDrafts } from './accept.ts';
import type { Receiver } from './receiver.ts';
import { UnavailableError } from './waiting-deliveries.ts';

/** Of requests. */
export interface PromoteCounts {
  /** Their events are in the inbox now. */
  promoted: number;
  /** Their events are in the inbox now as suspected replays, which only an operator runs. */
  ignored: number;
  /** All their events were in the inbox before, e.g. because the provider sent them again. */
  known: number;
  /** The secrets of now do not verify them either: they stay. */
  wrong: number;
  /** Verified requests of the provider's set-up, without an event: they are deleted. */
  withoutEvent: number;
  /** The database could not take them: they stay. */
  unavailable: number;
}

interface PromoteOptions {
  database: Queryable;
  receiver: Pick<Receiver, 'submit'>;
  log: Logger;
  source: Source;
  /** As STORE_RAW_BODY. */
  storesRawBody: boolean;
  /** Only counts: nothing is stored, nothing is deleted. */
  isDryRun?: boolean;
}

export const nothingPromoted: PromoteCounts = {
  promoted: 0,
  ignored: 0,
  known: 0,
  wrong: 0,
  withoutEvent: 0,
  unavailable: 0,
};

/** A verified request. */
interface Verified {
  id: string;
  /** Commits its events. @returns where it counts */
  take(): Promise<'promoted' | 'ignored' | 'known' | 'withoutEvent'>;
}

/**
 * Promotes the next requests, at most 100. Each is verified alone, and the event loop continues between two of them, as
 * between two deliveries. A request is deleted only after its events are committed.
 * @param after id of the last request of the slice before; `0`: begins with the first
 * @returns undefined where no request is left
 */
export async function promoteSlice(
  options: PromoteOptions,
  after: string,
): Promise<{ counts: PromoteCounts; last: string } | undefined> {
  const { database, log, source, isDryRun = false } = options;
  const slice = await readSlice(database, source.name, after);
  const last = slice.at(-1);
  if (!last) return undefined;
  const counts = { ...nothingPromoted };
  const verified: Verified[] = [];
  for (const request of slice) {
    const found = await verify(options, request);
    if (!found) counts.wrong++;
    else verified.push(found);
    await nextTurn();
  }
  const results = await Promise.allSettled(verified.map(({ take }) => take()));
  const done: string[] = [];
  for (const [index, result] of results.entries()) {
    const { id } = verified[index]!;
    if (result.status === 'fulfilled') {
      done.push(id);
      counts[result.value]++;
    } else {
      counts.unavailable++;
      // The receiver has logged its own.
      if (!(result.reason instanceof UnavailableError))
        log.error({ error: describeError(result.reason).text }, 'a kept request could not be promoted');
    }
  }
  await failpoint('promote.taken');
  if (!isDryRun && done.length > 0) await settlePromoted(database, source.name, done);
  return { counts, last: last.id };
}

/** @returns undefined where the secrets do not verify it */
async function verify(
  { source, receiver, database, storesRawBody, isDryRun }: PromoteOptions,
  { id, arrivedAt, ...request }: QuarantinedRequest,
): Promise<Verified | undefined> {
  const delivery: Delivery = { ...request, receivedAt: arrivedAt };
  const verdict = await verifyDelivery(source, delivery);
  if (!verdict.ok) return undefined;
  if (answerHandshake(source, delivery, 'verified', verdict.secretIndex))
    return { id, take: async () => 'withoutEvent' };
  const drafts = readDrafts(source, delivery, storesRawBody);
  if (drafts.length === 0) return { id, take: async () => 'withoutEvent' };
  const take = async () => {
    if (isDryRun) {
      const ids = [...new Set(drafts.map(({ eventId }) => eventId))];
      const known = await findKnownIds(database, source.name, ids);
      return ids.every((eventId) => known.has(eventId)) ? 'known' : 'promoted';
    }
    const { duplicate, isIgnored } = await acceptDrafts(receiver, {
      source: source.name,
      provider: source.provider.name,
      drafts,
      headers: keptHeaders(source, delivery),
      body: delivery.body,
      receivedBy: 'quarantine',
      receivedAt: arrivedAt,
    });
    return duplicate ? 'known' : isIgnored ? 'ignored' : 'promoted';
  };
  return { id, take };
}

/** @returns the sums of both */
export function addCounts(a: PromoteCounts, b: PromoteCounts): PromoteCounts {
  return {
    promoted: a.promoted + b.promoted,
    ignored: a.ignored + b.ignored,
    known: a.known + b.known,
    wrong: a.wrong + b.wrong,
    withoutEvent: a.withoutEvent + b.withoutEvent,
    unavailable: a.unavailable + b.unavailable,
  };
}
