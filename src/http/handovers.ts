// Requests by which a provider hands over its secret: asked before anything is verified, taken only in a set-up window.
import type { Delivery, HandshakeAnswer, Provider, Source } from '../providers/index.ts';
import type { SetupDesk } from '../setup-windows.ts';

export interface HandoverDeps {
  sources: ReadonlyMap<string, Source>;
  /** As in `parseSources`: without a secret so far. */
  waiting: ReadonlyMap<string, Provider>;
  setup: SetupDesk;
}

/**
 * The answer to a secret that was taken; undefined for all else, and then the request is like any other. No promise
 * where none is handed over: nearly all deliveries come by here.
 */
export type AnswerHandover = (
  name: string,
  delivery: Delivery,
) => Promise<HandshakeAnswer | undefined> | undefined;

export function createHandovers({ sources, waiting, setup }: HandoverDeps): AnswerHandover {
  return (name, delivery) => {
    const provider = sources.get(name)?.provider ?? waiting.get(name);
    const handover = provider?.handover;
    if (!handover || delivery.method !== 'POST') return undefined;
    const secret = handover.read(delivery);
    if (secret === undefined || !isUsable(provider, secret)) return undefined;
    return setup.accept(name, secret).then((isTaken) => (isTaken ? handover.answer(secret) : undefined));
  };
}

/** As a value of `<SOURCE>_WEBHOOK_SECRET`, where a comma would make two of it. */
function isUsable({ secret: { check } }: Provider, secret: string): boolean {
  return check(secret) === undefined && !secret.includes(',');
}
