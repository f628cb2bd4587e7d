// Requests in which a provider sends its secret: checked before verification, accepted only in a setup window.
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
 * The answer to an accepted secret; undefined for every other request, which is then handled as usual. Returns no promise
 * if the request contains no secret: nearly all deliveries pass here.
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

/** Any sender may send a secret, and the operator copies it into a shell or a file: these characters are harmless there. */
const shellSafe = /^[A-Za-z0-9_.+/=:-]+$/;

function isUsable({ secret: { check } }: Provider, secret: string): boolean {
  return check(secret) === undefined && shellSafe.test(secret);
}
