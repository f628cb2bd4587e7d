// Requests by which a provider hands over its secret: checked before verification, accepted only in a set-up window.
import {
  type Delivery,
  type HandshakeAnswer,
  type Provider,
  queryParam,
  type Source,
} from '../providers/index.ts';
import type { SecretHandover } from '../receive/setup-windows.ts';

export interface HandoverDeps {
  sources: ReadonlyMap<string, Source>;
  /** As in `parseSources`: without a secret so far. */
  waiting: ReadonlyMap<string, Provider>;
  secretHandover: SecretHandover;
}

/**
 * The answer to a secret that was accepted; undefined for every other request, which is then handled as usual. No promise
 * where no secret is handed over: nearly all deliveries pass here.
 */
export type AnswerHandover = (
  name: string,
  delivery: Delivery,
) => Promise<HandshakeAnswer | undefined> | undefined;

export function createHandovers({ sources, waiting, secretHandover }: HandoverDeps): AnswerHandover {
  return (name, delivery) => {
    const provider = sources.get(name)?.provider ?? waiting.get(name);
    const handover = provider?.handover;
    if (!handover || delivery.method !== 'POST') return undefined;
    const secret = handover.read(delivery);
    const token = secret === undefined ? undefined : queryParam(delivery, 'setup');
    if (secret === undefined || token === undefined || !isUsable(provider, secret)) return undefined;
    return secretHandover
      .accept(name, secret, token)
      .then((isTaken) => (isTaken ? handover.answer(secret) : undefined));
  };
}

/** Anybody may send a secret, and the operator puts it into a shell or a file: these characters are harmless there. */
const HARMLESS = /^[A-Za-z0-9_.+/=:-]+$/;

function isUsable({ secret: { check } }: Provider, secret: string): boolean {
  return check(secret) === undefined && HARMLESS.test(secret);
}
