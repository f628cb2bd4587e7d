// Plays the providers: signs deliveries, genuine and forged, and sends them over HTTP.
import { type OutgoingRequest, type Source, signDelivery } from '../providers/index.ts';
import type { ExpectedRejection, Journal } from './journal.ts';
import type { ShopEvent } from './shop-events.ts';

/** Kinds of forged deliveries. */
export type Forgery = 'changed body' | 'wrong secret' | 'unsigned' | 'too old' | 'too new';

/** The reason for which the receiver must reject each kind. */
const reasons: Record<Forgery, NonNullable<ExpectedRejection>> = {
  'changed body': 'wrong_signature',
  'wrong secret': 'wrong_signature',
  unsigned: 'missing_header',
  'too old': 'too_old',
  'too new': 'too_new',
};

export interface DemoClient {
  /** Sends the event as its provider does, and records the answer in the journal. Never rejects. */
  deliver(event: ShopEvent): Promise<void>;
  /** Sends a delivery that the receiver must reject. */
  forge(event: ShopEvent, forgery: Forgery): Promise<void>;
}

const tenMinutesMs = 600_000;
const answerTimeoutMs = 10_000;

export function createClient(options: {
  webUrl: string;
  sources: ReadonlyMap<string, Source>;
  journal: Journal;
  signal: AbortSignal;
}): DemoClient {
  const { journal, signal } = options;

  function sign(event: ShopEvent, changes: { shiftMs?: number; secret?: string } = {}) {
    const source = options.sources.get(event.source);
    if (!source) throw new Error(`the demo has no source ${event.source}`);
    return signDelivery(changes.secret ? { ...source, secrets: [changes.secret] } : source, {
      topic: event.topic,
      id: event.eventId,
      body: event.body,
      now: new Date(Date.now() + (changes.shiftMs ?? 0)),
      url: `${options.webUrl}/api/webhooks/${event.source}`,
    });
  }

  function forged(event: ShopEvent, forgery: Forgery): OutgoingRequest {
    if (forgery === 'too old') return sign(event, { shiftMs: -tenMinutesMs });
    if (forgery === 'too new') return sign(event, { shiftMs: tenMinutesMs });
    if (forgery === 'wrong secret') return sign(event, { secret: 'whsec_of_somebody_else_0000' });
    const request = sign(event);
    if (forgery === 'changed body') return { ...request, body: raised(request.body) };
    const proofs = options.sources.get(event.source)?.provider.scheme.proofHeaders ?? [];
    const headers = Object.entries(request.headers).filter(([name]) => !proofs.includes(name));
    return { ...request, headers: Object.fromEntries(headers) };
  }

  async function send(
    event: ShopEvent,
    request: OutgoingRequest,
    expectedRejection: ExpectedRejection,
  ): Promise<void> {
    let status = 0;
    let duplicate: boolean | undefined;
    try {
      const response = await fetch(request.url, {
        method: request.method,
        headers: request.headers,
        body: new Uint8Array(request.body),
        signal: AbortSignal.any([signal, AbortSignal.timeout(answerTimeoutMs)]),
      });
      const answer = (await response.json()) as { duplicate?: boolean };
      status = response.status;
      duplicate = status === 200 ? answer.duplicate : undefined;
    } catch {
      status = 0; // no answer: the ledger reports it
    }
    journal.record({ event, expectedRejection, status, duplicate });
  }

  return {
    deliver: (event) => send(event, sign(event), undefined),
    forge: (event, forgery) => send(event, forged(event, forgery), reasons[forgery]),
  };
}

/** The same body with other digits, as an attacker would change an intercepted delivery. */
function raised(body: Buffer): Buffer {
  return Buffer.from(body.toString().replaceAll(/\d/g, '9'));
}
