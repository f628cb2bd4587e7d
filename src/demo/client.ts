// The providers' part of the demo: signs deliveries, genuine and forged, and sends them over HTTP.
import { type OutgoingRequest, type Source, signDelivery } from '../providers/index.ts';
import type { Journal, Refused } from './journal.ts';
import type { ShopEvent } from './shop-events.ts';

/** Ways to get a delivery wrong. Each must be rejected for its own reason. */
export type Forgery = 'changed body' | 'wrong secret' | 'unsigned' | 'too old' | 'too new';

const reasons: Record<Forgery, NonNullable<Refused>> = {
  'changed body': 'wrong_signature',
  'wrong secret': 'wrong_signature',
  unsigned: 'missing_header',
  'too old': 'too_old',
  'too new': 'too_new',
};

export interface DemoClient {
  /** Sends it as its provider would and writes the answer into the journal. Never rejects. */
  deliver(event: ShopEvent): Promise<void>;
  /** A delivery that must be rejected. */
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

  function sign(event: ShopEvent, wish: { shiftMs?: number; secret?: string } = {}) {
    const source = options.sources.get(event.source);
    if (!source) throw new Error(`the demo has no source ${event.source}`);
    return signDelivery(wish.secret ? { ...source, secrets: [wish.secret] } : source, {
      topic: event.topic,
      id: event.eventId,
      body: event.body,
      now: new Date(Date.now() + (wish.shiftMs ?? 0)),
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

  async function send(event: ShopEvent, request: OutgoingRequest, refused: Refused): Promise<void> {
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
      status = 0; // no answer: the books say so
    }
    journal.record({ event, refused, status, duplicate });
  }

  return {
    deliver: (event) => send(event, sign(event), undefined),
    forge: (event, forgery) => send(event, forged(event, forgery), reasons[forgery]),
  };
}

/** The same body with other figures: what somebody would do who caught a delivery on its way. */
function raised(body: Buffer): Buffer {
  return Buffer.from(body.toString().replaceAll(/\d/g, '9'));
}
