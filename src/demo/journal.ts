// The client's journal: every request of the demo and its answer. The expected numbers of the ledger come from here.
import type { RejectionReason } from '../providers/provider.ts';
import type { ShopEvent } from './shop-events.ts';

/** The reason for which the receiver must reject a delivery; undefined: the delivery is genuine. */
export type ExpectedRejection = RejectionReason | undefined;

export interface SentDelivery {
  event: ShopEvent;
  expectedRejection: ExpectedRejection;
  /** HTTP status; 0 without an answer. */
  status: number;
  /** The field of the answer; undefined if the status is not 200. */
  duplicate: boolean | undefined;
}

export interface Journal {
  readonly deliveries: readonly SentDelivery[];
  record(delivery: SentDelivery): void;
  /** Events with at least one genuine delivery, each once. */
  events(): ShopEvent[];
  /** Events that were answered 200 as new: they must never be lost. */
  acknowledged(): ShopEvent[];
  /** Numbers of the requests by kind and answer. */
  answers(): Answers;
}

export interface Answers {
  genuine: number;
  accepted: number;
  duplicates: number;
  /** Deliveries that had to be rejected, by reason. */
  toReject: Map<RejectionReason, number>;
  /** Answered 401. */
  rejected: number;
  /** A wrong answer: a 503, none, 401 to a genuine delivery, 200 to a forged one. */
  wrong: number;
}

export function createJournal(): Journal {
  const deliveries: SentDelivery[] = [];
  const unique = (events: readonly ShopEvent[]) => [...new Set(events)];
  return {
    deliveries,
    record: (delivery) => {
      deliveries.push(delivery);
    },
    events: () => unique(deliveries.filter((sent) => !sent.expectedRejection).map((sent) => sent.event)),
    acknowledged: () =>
      unique(deliveries.filter((sent) => sent.duplicate === false).map((sent) => sent.event)),
    answers: () => countAnswers(deliveries),
  };
}

function countAnswers(deliveries: readonly SentDelivery[]): Answers {
  const answers: Answers = {
    genuine: 0,
    accepted: 0,
    duplicates: 0,
    toReject: new Map(),
    rejected: 0,
    wrong: 0,
  };
  for (const { expectedRejection: reason, status, duplicate } of deliveries) {
    if (reason) answers.toReject.set(reason, (answers.toReject.get(reason) ?? 0) + 1);
    else answers.genuine++;
    if (status !== (reason ? 401 : 200)) answers.wrong++;
    if (status === 401) answers.rejected++;
    if (duplicate === false) answers.accepted++;
    if (duplicate === true) answers.duplicates++;
  }
  return answers;
}
