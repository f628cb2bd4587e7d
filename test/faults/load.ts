// A steady stream of events, each sent until it is accepted, and what an outage may look like from outside.
import { setTimeout as delay } from 'node:timers/promises';
import { waitFor } from '../support/wait.ts';
import type { Violation } from './ledger.ts';
import type { Rig } from './rig.ts';
import { clock, isAck, type Order, type Sender, type Sent } from './sender.ts';

export interface Load {
  /** Sends no further events and waits until all that were begun are accepted. @returns how many events */
  stop(): Promise<number>;
}

/** Beyond it no further event is begun: an outage would leave a crowd whose retries time out waiting for each other. */
const maxOpen = 200;
/** Longer than any outage: the longest, of F21, is of two minutes. */
const acceptedWithinMs = 300_000;

export function startLoad(
  rig: Rig,
  options: {
    prefix: string;
    perSecond: number;
    order?: (index: number) => Omit<Order, 'id'>;
    /** Default: the rig's own. */
    sender?: Sender;
  },
): Load {
  const { prefix, perSecond, order = () => ({}), sender = rig.sender } = options;
  const stopped = new AbortController();
  const pending: Promise<Sent>[] = [];
  const open = new Set<Promise<unknown>>();
  const sending = (async () => {
    const startedAt = clock();
    for (let index = 0; !stopped.signal.aborted; index++) {
      while (open.size >= maxOpen && !stopped.signal.aborted) await Promise.race(open);
      pending.push(sender.deliverUntilAcked({ id: `${prefix}_${index}`, ...order(index) }, acceptedWithinMs));
      // Told by stop(); without it, the end of the test ends the load.
      const delivering: Promise<unknown> = pending.at(-1)!.then(
        () => open.delete(delivering),
        () => {
          open.delete(delivering);
          stopped.abort();
        },
      );
      open.add(delivering);
      const dueInMs = startedAt + ((index + 1) * 1_000) / perSecond - clock();
      if (dueInMs > 0) await delay(dueInMs, undefined, { signal: stopped.signal }).catch(() => {});
    }
  })();
  return {
    stop: async () => {
      stopped.abort();
      await sending;
      await Promise.all(pending);
      return pending.length;
    },
  };
}

/** While the database is away a delivery is answered 503 in time, or late 200; never refused, never left hanging (A10). */
export function dishonestAnswers(sent: readonly Sent[], limitMs: number): Violation[] {
  return sent.flatMap(({ eventId, status, sentAt, repliedAt, retryAfter }) => {
    const ms = Math.round(repliedAt - sentAt);
    const isHonest = (status === 200 || (status === 503 && retryAfter !== null)) && ms <= limitMs;
    const detail = `${eventId}: ${status} after ${ms} ms, Retry-After ${retryAfter}`;
    return isHonest ? [] : [{ invariant: 'A10', detail }];
  });
}

/** How long after `healedAt` the first delivery sent since was accepted, and the first event was PROCESSED. */
export async function timeRecovery(
  rig: Rig,
  healedAt: number,
  prefix: string,
): Promise<{ ackMs: number; processedMs: number }> {
  const healedTime = new Date(Date.now() - (clock() - healedAt));
  let ackedAt = 0;
  await waitFor(
    async () => {
      const sent = await rig.sender.deliver({ id: `${prefix}_${Math.round(clock())}` });
      ackedAt = sent.repliedAt;
      return isAck(sent);
    },
    { what: 'the first 200 after the fault', intervalMs: 100 },
  );
  // Of any event: an outage leaves a backlog of senders, and its events come before the last one.
  await rig.waitForProcessedSince(healedTime);
  return { ackMs: Math.round(ackedAt - healedAt), processedMs: Math.round(clock() - healedAt) };
}
