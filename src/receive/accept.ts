// The entry for verified drafts, of a webhook or of a poller: makes events of the drafts, and commits them.
import type { NewEvent } from '../events/event.ts';
import type { EventDraft } from '../providers/index.ts';
import { activeTracer, endSpan, type Span, startReceive, traceparentOf } from '../tracing.ts';
import type { Receiver } from './receiver.ts';
import type { Receipt } from './store.ts';

/** The events of one delivery. The caller has verified that they come from the provider. */
export interface VerifiedDrafts {
  /** Name of the source. */
  source: string;
  /** Name of the source's provider. */
  provider: string;
  drafts: readonly EventDraft[];
  /** How they came in. Default: by the provider's webhook. */
  receivedBy?: 'pull' | 'quarantine';
  /** When the request arrived, where that was long ago. Default: now. */
  receivedAt?: Date;
  /** Stored with each event: never a signature or a credential, see `keptHeaders`. */
  headers: Record<string, string>;
  /** The bytes that the drafts were read from; their length counts against the receive queue. */
  body: Buffer;
}

/**
 * Resolves once the events and their jobs are committed: all of the delivery, or nothing.
 * @throws UnavailableError otherwise: the caller tries again, or lets the provider try again
 */
export function acceptDrafts(
  receiver: Pick<Receiver, 'submit'>,
  { source, provider, drafts, headers, body, receivedBy, receivedAt }: VerifiedDrafts,
): Promise<Receipt> {
  const tracer = activeTracer();
  const span = tracer && startReceive(tracer, source, drafts);
  const traceparent = span ? traceparentOf(span) : null;
  const events = drafts.map(
    (draft): NewEvent => ({
      ...{ ...draft, source, provider, headers, traceparent },
      ...(receivedBy && { receivedBy }),
      ...(receivedAt && { receivedAt }),
    }),
  );
  const submitted = receiver.submit(events, body);
  return span ? endWith(span, submitted) : submitted;
}

async function endWith(span: Span, submitted: Promise<Receipt>): Promise<Receipt> {
  try {
    const receipt = await submitted;
    endSpan(span, receipt.duplicate ? 'duplicate' : 'accepted');
    return receipt;
  } catch (error) {
    endSpan(span, 'unavailable', error);
    throw error;
  }
}
