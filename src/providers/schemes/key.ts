// Turns a configured secret into the bytes of the key.
import { createHash } from 'node:crypto';
import { decodeBytes } from './signature.ts';

/**
 * `text`: the characters are the key, including any prefix. `{ base64: 'whsec_' }`: base64 after that optional prefix.
 * The same prefix has different meanings at Stripe and Svix, so each provider states its own.
 */
export type KeySpec =
  | 'text'
  | 'hex'
  | 'sha1-of-text'
  | { base64: string }
  | ((secret: string) => Buffer | undefined);

/** Undefined where the secret does not have that form: lenient decoding would give a shorter key. */
export function decodeKey(spec: KeySpec, secret: string): Buffer | undefined {
  if (typeof spec === 'function') return spec(secret);
  if (spec === 'text') return secret === '' ? undefined : Buffer.from(secret, 'utf8');
  if (spec === 'hex') return decodeBytes(secret.toLowerCase(), 'hex');
  if (spec === 'sha1-of-text') return createHash('sha1').update(secret).digest();
  const text = secret.startsWith(spec.base64) ? secret.slice(spec.base64.length) : secret;
  return decodeBase64Key(text);
}

/** With or without padding; unused bits in the last character are ignored, as in the providers' libraries. */
function decodeBase64Key(text: string): Buffer | undefined {
  if (!/^[A-Za-z0-9+/]+={0,2}$/.test(text)) return undefined;
  const bare = text.replace(/=+$/, '').length;
  if (bare % 4 === 1 || (text.length > bare && text.length % 4 !== 0)) return undefined;
  return Buffer.from(text, 'base64');
}
