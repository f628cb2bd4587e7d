// Records each request on a webhook route: its metrics, its log line, and for a rejection a row for `postbell doctor`.
import { clientAddress } from '../client-address.ts';
import { createUnredactedLogger, type Logger } from '../logger.ts';
import {
  type Delivery,
  diagnoseRejection,
  type EventDraft,
  type Rejection,
  type Source,
} from '../providers/index.ts';
import type { Captures } from '../receive/captures.ts';
import type { Quarantine } from '../receive/quarantine.ts';
import type { RejectionCounter } from '../receive/rejection-counter.ts';
import type { RejectionLog } from '../receive/rejections.ts';
import type { Metrics } from './metrics.ts';
import { declaredBytesOf } from './node-request.ts';
import type { WebhookRequest } from './webhook-core.ts';

export interface DeliveryRecordsDeps {
  sources: ReadonlyMap<string, Source>;
  rejections: RejectionLog;
  rejectionCounter: Pick<RejectionCounter, 'count'>;
  quarantine: Pick<Quarantine, 'keep'>;
  metrics: Metrics;
  /** Undefined: no request is shown to operators. */
  captures?: Pick<Captures, 'isOpen' | 'wants' | 'note' | 'take'>;
  log: Logger;
  now?: () => Date;
}

/** The outcome of a request. */
export interface Outcome {
  source: string;
  /** As in the metric: accepted, duplicate, handshake, unavailable. */
  outcome: string;
  /** By `performance.now()`. */
  startedAtMs: number;
  drafts: readonly EventDraft[];
}

export interface DeliveryRecords {
  /** For a request of a source that was read to its end. */
  finished(request: WebhookRequest, outcome: Outcome): void;
  /** For a delivery that could not be verified. */
  rejected(request: WebhookRequest, source: Source, delivery: Delivery, rejection: Rejection): void;
  /** For a request whose body was not read to its end. */
  unread(request: WebhookRequest, source: string, reason: string, detail: string | null): void;
}

/** The largest int of Postgres. */
const maxInteger = 2 ** 31 - 1;

export function createDeliveryRecords(deps: DeliveryRecordsDeps): DeliveryRecords {
  const { sources, rejections, rejectionCounter, quarantine, metrics, captures } = deps;
  const lines = createUnredactedLogger(deps.log);
  return {
    finished: (request, { source, outcome, startedAtMs, drafts }) => {
      const ms = performance.now() - startedAtMs;
      metrics.countRequest(source, outcome);
      metrics.observeAck(source, ms / 1_000);
      if (captures?.isOpen()) captures.note(request, { outcome, ...firstOf(outcome, drafts) });
      lines.info(
        { reqId: request.id, source, outcome, ...eventFields(drafts), ms: Math.round(ms * 10) / 10 },
        'delivery',
      );
    },
    rejected: (request, source, delivery, rejection) => {
      const { reason, detail = null } = rejection;
      metrics.countRequest(source.name, 'invalid_signature');
      rejectionCounter.count(source.name, reason);
      metrics.countRejection(source.name, reason);
      if (captures?.isOpen())
        captures.note(request, { outcome: 'rejected', rejected: { source, delivery, rejection } });
      rejections.record(
        {
          source: source.name,
          reason,
          detail,
          requestId: request.id,
          receivedAt: delivery.receivedAt,
          bodyBytes: delivery.body.length,
        },
        () => diagnoseRejection(source, delivery, rejection, sources.values()),
      );
      quarantine.keep({
        source,
        delivery,
        rejection,
        requestId: request.id,
        address: () => addressOf(request),
      });
    },
    unread: (request, source, reason, detail) => {
      rejectionCounter.count(source, reason);
      metrics.countRejection(source, reason);
      if (captures?.isOpen()) captures.note(request, { outcome: reason, reason, detail });
      rejections.record({
        source,
        reason,
        detail,
        requestId: request.id,
        receivedAt: deps.now?.() ?? new Date(),
        bodyBytes: Math.min(declaredBytesOf(request) || 0, maxInteger),
      });
    },
  };
}

function addressOf({ peer, headers }: WebhookRequest): string {
  return clientAddress(peer?.(), headers['x-forwarded-for']?.join() ?? '');
}

/** The first event, if it was stored. */
function firstOf(outcome: string, [draft]: readonly EventDraft[]) {
  return outcome === 'unavailable' ? {} : { topic: draft?.topic, eventId: draft?.eventId };
}

function eventFields([first, ...others]: readonly EventDraft[]) {
  return {
    ...(first && { eventId: first.eventId, topic: first.topic }),
    ...(others.length > 0 && { events: others.length + 1 }),
  };
}
