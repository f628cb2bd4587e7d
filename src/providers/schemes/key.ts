// Turns the secret as configured into the bytes of the key.
import { createHash } from 'node:crypto';
import { decodeBytes } from './signature.ts';

/**
 * `text`: the characters are the key, prefix and all. `{ base64: 'whsec_' }`: decoded, after that prefix if it
 * is there. The same prefix means one thing at Stripe and another at Svix, so each provider says which.
 */
export type KeySpec =
  | 'text'
  | 'hex'
  | 'sha1-of-text'
  | { base64: string }
  | ((secret: string) => Buffer | undefined);

/** Undefined where the secret is not of that form: a leniently decoded key would be a short one. */
export function decodeKey(spec: KeySpec, secret: string): Buffer | undefined {
  if (typeof spec === 'function') return spec(secret);
  if (spec === 'text') return secret === '' ? undefined : Buffer.from(secret, 'utf8');
  if (spec === 'hex') return decodeBytes(secret.toLowerCase(), 'hex');
  if (spec === 'sha1-of-text') return createHash('sha1').update(secret).digest();
  const text = secret.startsWith(spec.base64) ? secret.slice(spec.base64.length) : secret;
  return decodeBase64Key(text);
}

/** With or without padding; stray bits in the last character are forgiven, as the providers' libraries do. */
function decodeBase64Key(text: string): Buffer | undefined {
  if (!/^[A-Za-z0-9+/]+={0,2}$/.test(text)) return undefined;
  const bare = text.replace(/=+$/, '').length;
  if (bare % 4 === 1 || (text.length > bare && text.length % 4 !== 0)) return undefined;
  return Buffer.from(text, 'base64');
}
