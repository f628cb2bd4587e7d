// The quarantine of sources with <SOURCE>_QUARANTINE_MB: keeps rejected requests beside receiving, bounded in every way.
import { setTimeout as delay, setImmediate as nextTurn } from 'node:timers/promises';
import type { Database } from '../database/database.ts';
import { describeError, sqlState } from '../errors.ts';
import { type KeptRequest, keepRequests, type RefusalReason, type Refusals } from '../events/quarantine.ts';
import type { Logger } from '../logger.ts';
import {
  couldBecomeValid,
  type Delivery,
  type Rejection,
  reducedToProof,
  type Source,
} from '../providers/index.ts';
import { megabyte } from '../texts.ts';

interface RejectedDelivery {
  source: Source;
  delivery: Delivery;
  rejection: Rejection;
  requestId: string;
  /** Called only if the request is kept. */
  address: () => string;
}

export interface Quarantine {
  /** Never waits and never throws. Does nothing for a source without a quarantine. A crash loses the requests of the last second. */
  keep(rejected: RejectedDelivery): void;
  /** Writes the requests that wait. Never rejects; a database that is away then loses them. */
  close(): Promise<void>;
}

export interface QuarantineOptions {
  database: Database;
  log: Logger;
  sources: ReadonlyMap<string, Pick<Source, 'quarantineMb'>>;
  /** Between two writes for a source. Default: 1 s. */
  intervalMs?: number;
}

/** An attacker must not take the room of all others. */
const shareOfAddress = 0.1;
/** A row takes more than its texts. */
const rowBytes = 500;
/** Of each source and process: requests that wait for their write. More are refused; so is a larger one. */
const maxWaiting = { requests: 1_000, bytes: 8 * megabyte };
/** Of one write, and so of each second. */
const maxWritten = { requests: 250, bytes: 2 * megabyte };
/** At the end of the process. */
const maxFailures = 5;
const pauseMs = 50;

/** The requests of one source that wait. */
interface Waiting {
  requests: KeptRequest[];
  bytes: number;
  refused: Refusals | undefined;
  /** As `<SOURCE>_QUARANTINE_MB`. */
  limitBytes: number;
}

export function createQuarantine({ sources, intervalMs = 1_000, ...deps }: QuarantineOptions): Quarantine {
  const bySource = new Map<string, Waiting>();
  for (const [name, { quarantineMb }] of sources)
    if (quarantineMb !== undefined)
      bySource.set(name, { requests: [], bytes: 0, refused: undefined, limitBytes: quarantineMb * megabyte });
  const closing = new AbortController();
  let writing: Promise<void> | undefined;

  async function writeAll(): Promise<void> {
    const isWaiting = () =>
      [...bySource.values()].some(({ requests, refused }) => requests.length > 0 || refused);
    // The requests of this turn go together, and their answers go first.
    await nextTurn();
    while (isWaiting() && !closing.signal.aborted) {
      for (const [source, waiting] of bySource) await write(deps, source, waiting);
      await delay(intervalMs, undefined, { signal: closing.signal }).catch(() => {}); // aborted: written by `close`
    }
    writing = undefined;
  }

  return {
    keep: ({ source, delivery, rejection, requestId, address }) => {
      const waiting = bySource.get(source.name);
      if (!waiting || !couldBecomeValid(source, delivery, rejection)) return;
      if (!closing.signal.aborted) writing ??= writeAll();
      if (waiting.requests.length >= maxWaiting.requests) return refuse(waiting, 'rate');
      const { receivedAt: arrivedAt, ...request } = reducedToProof(source, delivery);
      const bytes = bytesOf(request);
      if (bytes > waiting.limitBytes * shareOfAddress) return refuse(waiting, 'address');
      if (waiting.bytes + bytes > maxWaiting.bytes) return refuse(waiting, 'rate');
      const { reason } = rejection;
      // A copy: the buffer of a body may be part of a larger one.
      const body = Buffer.from(request.body);
      waiting.requests.push({ ...request, body, arrivedAt, address: address(), reason, requestId, bytes });
      waiting.bytes += bytes;
    },
    close: async () => {
      closing.abort();
      await writing;
      for (const [source, waiting] of bySource) {
        let failures = 0; // e.g. another process writes at this moment
        while ((waiting.requests.length > 0 || waiting.refused) && failures < maxFailures) {
          if (await write(deps, source, waiting)) continue;
          failures++;
          await delay(pauseMs);
        }
      }
    },
  };
}

/** Writes the next requests. @returns false where the database did not take them: they wait again */
async function write(
  { database, log }: Pick<QuarantineOptions, 'database' | 'log'>,
  source: string,
  waiting: Waiting,
): Promise<boolean> {
  const { requests, refused } = takeBatch(waiting);
  if (requests.length === 0 && !refused) return true;
  const { limitBytes } = waiting;
  const limits = { limitBytes, limitBytesPerAddress: limitBytes * shareOfAddress };
  try {
    const result = await keepRequests(database, requests, { source, ...limits, refused });
    if (!result) putBack(waiting, requests, refused);
    else if (result.refused)
      log.warn({ source, refused: result.refused.count, reason: result.refused.reason }, noRoom);
    return result !== undefined;
  } catch (error) {
    // A request that Postgres does not take would keep all others waiting.
    const isBad = /^2[23]/.test(sqlState(error) ?? '');
    putBack(waiting, isBad ? [] : requests, refused);
    if (isBad) for (const _ of requests) refuse(waiting, 'rate');
    log.warn({ source, error: describeError(error).text, isLost: isBad }, 'the quarantine was not written');
    return isBad && requests.length > 0;
  }
}

function refuse(waiting: Waiting, reason: RefusalReason): void {
  waiting.refused = { count: (waiting.refused?.count ?? 0) + 1, reason };
}

const noRoom = 'the quarantine has no room: rejected requests were not kept';

function bytesOf({ url, headers, body }: Pick<KeptRequest, 'url' | 'headers' | 'body'>): number {
  return rowBytes + url.length + JSON.stringify(headers).length + body.length;
}

/** At least one request, if any waits. */
function takeBatch(waiting: Waiting): Pick<Waiting, 'requests' | 'refused'> {
  let bytes = 0;
  let count = 0;
  for (const request of waiting.requests) {
    if (count > 0 && (count === maxWritten.requests || bytes + request.bytes > maxWritten.bytes)) break;
    bytes += request.bytes;
    count++;
  }
  waiting.bytes -= bytes;
  const taken = { requests: waiting.requests.splice(0, count), refused: waiting.refused };
  waiting.refused = undefined;
  return taken;
}

/** Before those that came meanwhile. */
function putBack(waiting: Waiting, requests: readonly KeptRequest[], refused: Refusals | undefined): void {
  waiting.requests.unshift(...requests);
  for (const { bytes } of requests) waiting.bytes += bytes;
  if (refused) waiting.refused = { ...refused, count: refused.count + (waiting.refused?.count ?? 0) };
}
