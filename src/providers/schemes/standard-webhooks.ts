// The Standard Webhooks presets: signatures over `id.timestamp.body` under one family of header names.

import type { Scheme } from '../provider.ts';
import { computed, header, type Part, rawBody, timestamp } from '../template/parts.ts';
import { readPart } from '../template/reading.ts';
import { hmac } from './hmac.ts';
import type { KeySpec } from './key.ts';
import { publicKey } from './public-key.ts';
import type { SignatureSpec } from './signature.ts';
import type { SignedTemplateSpec } from './signed-template.ts';

/** The form of v1a public keys. */
export const v1aKey = { format: 'raw-base64', prefix: 'whpk_' } as const;

/**
 * v1, HMAC. `webhook` reads webhook-id, webhook-timestamp and webhook-signature; `svix` the svix-… ones.
 * @param separator of several signatures; a blank in the specification
 */
export function standardWebhooks(
  family: string,
  key: KeySpec | readonly KeySpec[] = { base64: 'whsec_' },
  separator: SignatureSpec['separator'] = ' ',
): Scheme {
  const spec = signedAs(family, 'v1,');
  return hmac({ key, ...spec, signature: { ...spec.signature, separator } });
}

/** v1a, Ed25519. With one key for all customers of a sender, a customer could replay to another: v1 is better. */
export function standardWebhooksV1a(family: string): Scheme {
  return publicKey({ kind: 'ed25519', key: v1aKey, ...signedAs(family, 'v1a,') });
}

function signedAs(family: string, prefix: string): SignedTemplateSpec {
  const signature: SignatureSpec = {
    at: header(`${family}-signature`),
    encoding: 'base64',
    separator: ' ',
    prefix,
  };
  return {
    message: [idBeforeTime(`${family}-id`), '.', timestamp, '.', rawBody],
    signature,
    timestamp: { at: header(`${family}-timestamp`), unit: 's' },
    readsHeaders: [`${family}-id`],
  };
}

/** Only dots separate id, time and body. With a time in the id, two deliveries could have the same signed text. */
function idBeforeTime(name: string): Part {
  return computed((reading) => {
    const id = readPart(header(name), reading);
    if (typeof id !== 'string') return id;
    if (/\.\d{10}(?:\.|$)/.test(id))
      return { ok: false, reason: 'malformed_signature', detail: `${name} contains a time` };
    return Buffer.from(id, 'latin1');
  });
}
