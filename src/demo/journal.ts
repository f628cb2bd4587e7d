// The client's own book: every request the demo sent and what was answered. The ledger is made from it, not from the database.
import type { RejectionReason } from '../providers/provider.ts';
import type { ShopEvent } from './shop-events.ts';

/** Why a delivery must be rejected; undefined: the delivery is genuine. */
export type Refused = RejectionReason | undefined;

export interface SentDelivery {
  event: ShopEvent;
  refused: Refused;
  /** HTTP status; 0 when no answer came. */
  status: number;
  /** As answered; undefined where the answer was not a 200. */
  duplicate: boolean | undefined;
}

export interface Journal {
  readonly deliveries: readonly SentDelivery[];
  record(delivery: SentDelivery): void;
  /** Events with at least one genuine delivery, each once. */
  events(): ShopEvent[];
  /** Events that were answered 200 as new: from then on they must never be lost. */
  acknowledged(): ShopEvent[];
  /** Genuine requests: by how they were answered. */
  answers(): Answers;
}

export interface Answers {
  genuine: number;
  accepted: number;
  duplicates: number;
  /** Deliveries that had to be rejected, by reason. */
  toRefuse: Map<RejectionReason, number>;
  /** 401. */
  refused: number;
  /** Anything else: a 503, no answer, a rejected genuine delivery, an accepted forged one. */
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
    events: () => unique(deliveries.filter((sent) => !sent.refused).map((sent) => sent.event)),
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
    toRefuse: new Map(),
    refused: 0,
    wrong: 0,
  };
  for (const { refused, status, duplicate } of deliveries) {
    if (refused) answers.toRefuse.set(refused, (answers.toRefuse.get(refused) ?? 0) + 1);
    else answers.genuine++;
    if (status !== (refused ? 401 : 200)) answers.wrong++;
    if (status === 401) answers.refused++;
    if (duplicate === false) answers.accepted++;
    if (duplicate === true) answers.duplicates++;
  }
  return answers;
}
