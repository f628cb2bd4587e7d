// Checks secrets at start-up: a wrong secret stops the start instead of rejecting deliveries later.
import { randomBytes } from 'node:crypto';
import type { SecretSpec } from './provider.ts';
import { decodeKey, type KeySpec } from './schemes/key.ts';

export const minSecretBytes = 16;

export interface SecretText {
  label: string;
  where: string;
  /** The secret must begin with this text. */
  prefix?: string;
  format?: string;
  minBytes?: number;
}

/** A secret whose characters are the key. */
export function textSecret(spec: SecretText): SecretSpec {
  const { prefix = '', minBytes = minSecretBytes } = spec;
  return {
    label: spec.label,
    format: spec.format ?? (prefix === '' ? 'text' : `${prefix}…, used as text`),
    where: spec.where,
    check: (secret) => checkText(secret, prefix, minBytes),
    generate: () => ({ secret: prefix + randomBytes(24).toString('hex') }),
  };
}

/** A secret that holds an encoded key: `{ base64: 'whsec_' }`, `hex`. */
export function encodedSecret(spec: SecretText & { key: KeySpec; generate?: () => string }): SecretSpec {
  const { key, minBytes = minSecretBytes } = spec;
  const isHex = key === 'hex';
  const prefix = typeof key === 'object' ? key.base64 : '';
  return {
    label: spec.label,
    format: spec.format ?? (isHex ? 'hexadecimal digits' : `${prefix}… of base64`),
    where: spec.where,
    check(secret) {
      const problem = checkText(secret, '', 1);
      if (problem) return problem;
      const bytes = decodeKey(key, secret);
      if (!bytes) return `is not ${isHex ? 'hexadecimal' : `${prefix}… followed by base64`}; copy it again`;
      return bytes.length < minBytes
        ? `holds a key shorter than ${minBytes} bytes; copy it again`
        : undefined;
    },
    generate: () => {
      const bytes = randomBytes(32);
      return {
        secret: spec.generate?.() ?? (isHex ? bytes.toString('hex') : prefix + bytes.toString('base64')),
      };
    },
  };
}

/** A credential in a header or a URL, where only printable ASCII without blanks arrives unchanged. */
export function credentialSecret(spec: SecretText): SecretSpec {
  const plain = textSecret(spec);
  return {
    ...plain,
    check(secret) {
      const problem = plain.check(secret);
      if (problem) return problem;
      return /^[\x21-\x7e]+$/.test(secret)
        ? undefined
        : 'holds blanks or characters outside ASCII; choose another secret';
    },
  };
}

/** Finds common mistakes in a pasted secret: empty, quotes, line breaks, the wrong kind, too short. */
function checkText(secret: string, prefix: string, minBytes: number): string | undefined {
  if (secret.trim() === '') return 'is empty; set it, or remove the variable to turn the source off';
  if (/^(['"]).*\1$/s.test(secret)) return 'is in quotes; remove them';
  if (secret.includes('-----BEGIN')) return 'is a PEM; this provider needs the shared secret itself';
  if (hasControlCharacters(secret)) return 'holds a line break or a control character; copy it again';
  if (/^https?:\/\//i.test(secret)) return 'is a URL; copy the secret that belongs to it';
  if (isPlaceholder(secret)) return 'is a placeholder; replace it with the real secret';
  if (!secret.startsWith(prefix))
    return `does not begin with ${prefix}; copy the signing secret, not an API key`;
  if (prefix !== '' && /\s/.test(secret)) return 'holds a blank; copy it again';
  if (Buffer.byteLength(secret) < minBytes)
    return `is shorter than ${minBytes} bytes; use the whole secret, or choose a longer secret`;
  return undefined;
}

/** True for placeholders of documentation: `whsec_…`, `<your secret>`, `xxxxxxxx`. */
function isPlaceholder(text: string): boolean {
  return text.includes('…') || /^<.*>$/.test(text) || /^(?:\w*_)?([xX*.])\1*$/.test(text);
}

function hasControlCharacters(text: string): boolean {
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code < 32 || code === 127) return true;
  }
  return false;
}

/** Two values in one variable, with a colon between: `user:password`, `key:secret`. */
export function pairSecret(spec: SecretText & { names: readonly [string, string] }): SecretSpec {
  const [first, second] = spec.names;
  const plain = credentialSecret(spec);
  return {
    ...plain,
    format: `${first}:${second}`,
    check(secret) {
      const colon = secret.indexOf(':');
      if (secret.trim() !== '' && (colon < 1 || colon === secret.length - 1))
        return `must be the ${first}, a colon and the ${second}`;
      return plain.check(secret);
    },
    generate: () => ({ secret: `${randomBytes(6).toString('hex')}:${randomBytes(24).toString('hex')}` }),
  };
}

/** True for `whsec_…`: a Standard Webhooks secret, where a provider also has another kind. */
export function isSigningToken(secret: string): boolean {
  return secret.startsWith('whsec_');
}
