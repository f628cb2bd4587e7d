// Hides credentials of a whole request before operators see it: a reader of requests must not be able to send new ones.
import { decodeBody } from './body/body.ts';
import { withoutCredentials } from './credentials.ts';
import type { Delivery, Provider, Source } from './provider.ts';
import { providers } from './registry.ts';
import { provesInBody } from './schemes/needs.ts';

export interface MaskedRequest {
  url: string;
  headers: Record<string, string[]>;
  /** null: it may hold a credential that cannot be removed. */
  body: Buffer | null;
}

export const hidden = '[hidden]';

/** Texts that no masked request holds: the secrets of all sources, and one that a provider hands over. */
export type KnownSecrets = readonly string[];

/** Shorter texts are no secrets: they would hide parts of other words. */
const minSecretChars = 8;

const credentialHeader =
  /auth|cookie|token|secret|passw|credential|session|api-?key|access-?key|^x-(.+-)?key$/i;
const credentialParam =
  /token|secret|key|auth|pass|sig|hmac|hash|code|setup|credential|session|^(user|username)$/i;
const signatureHeader = /signature|hmac|digest|-mac$|-sig\b/i;

const proofHeaders = (isCredential: boolean) =>
  new Set(
    Object.values<Provider>(providers)
      .filter(({ scheme }) => Boolean(scheme.isCredential) === isCredential)
      .flatMap(({ scheme }) => scheme.proofHeaders),
  );
const signatures = proofHeaders(false);
const credentials = proofHeaders(true);

/** True for a header that carries a signature: only those who may send events see its value. */
export function isSignatureHeader(name: string): boolean {
  return signatures.has(name) || signatureHeader.test(name);
}

/** True where a body may hold a signature: only those who may send events see it. Credentials are removed from it for everyone. */
export function hasSignatureInBody({ scheme, body }: Provider): boolean {
  return provesInBody(scheme) && !body?.credentials;
}

export function secretsOf(sources: Iterable<Source>): KnownSecrets {
  const texts = [...sources].flatMap(({ secrets, verifyToken }) => [
    ...secrets,
    ...secrets.map((secret) => secret.slice(secret.lastIndexOf('_') + 1)),
    ...(verifyToken ? [verifyToken] : []),
  ]);
  return allSpellings(texts);
}

/** A secret may stand in a URL, or in JSON whose slashes are escaped. Longest first: one may be a part of another. */
function allSpellings(texts: readonly string[]): string[] {
  const spellings = texts
    .map((text) => text.toWellFormed())
    .filter((text) => text.length >= minSecretChars)
    .flatMap((text) => [text, encodeURIComponent(text), text.replaceAll('/', String.raw`\/`)]);
  return [...new Set(spellings)].sort((a, b) => b.length - a.length);
}

/** @param source its secrets need not be known @returns copies: the delivery itself stays as it is */
export function maskRequest(
  delivery: Delivery,
  source: Source | undefined,
  known: KnownSecrets,
): MaskedRequest {
  const handedOver = source?.provider.handover?.read(delivery);
  const secrets = handedOver === undefined ? known : [...allSpellings([handedOver]), ...known];
  const headers: Record<string, string[]> = {};
  for (const [name, values = []] of Object.entries(delivery.headers))
    headers[cleaned(name)] = values.map((value) => maskHeader(name, value, source, secrets));
  return { url: maskUrl(delivery.url, source, secrets), headers, body: maskBody(delivery, source, secrets) };
}

function maskHeader(name: string, value: string, source: Source | undefined, secrets: KnownSecrets): string {
  const isCredential =
    credentialHeader.test(name) ||
    credentials.has(name) ||
    (source?.provider.scheme.isCredential && source.provider.scheme.proofHeaders.includes(name));
  if (!isCredential) return maskText(cleaned(value), secrets);
  const [, kind] = /^(basic|bearer|digest|token) /i.exec(value) ?? [];
  return kind ? `${kind} ${hidden}` : hidden;
}

function maskUrl(url: string, source: Source | undefined, secrets: KnownSecrets): string {
  const start = url.indexOf('?');
  if (start < 0) return maskText(cleaned(url), secrets);
  const proofs = new Set(source?.provider.scheme.proofParams);
  const fields = url
    .slice(start + 1)
    .split('&')
    .map((field) => {
      const [name = '', ...value] = field.split('=');
      const isCredential = proofs.has(name) || credentialParam.test(name);
      return isCredential && value.length > 0 ? `${name}=${hidden}` : field;
    });
  return maskText(cleaned(`${url.slice(0, start)}?${fields.join('&')}`), secrets);
}

/** What Postgres can store. */
const cleaned = (text: string) => text.replaceAll('\0', '').toWellFormed();

function maskText(text: string, secrets: KnownSecrets): string {
  let masked = text;
  for (const secret of secrets) masked = masked.replaceAll(secret, hidden);
  return masked;
}

function maskBody(delivery: Delivery, source: Source | undefined, secrets: KnownSecrets): Buffer | null {
  const paths = source?.provider.body?.credentials;
  if (!source || !paths || delivery.body.length === 0) return maskBytes(delivery.body, secrets);
  try {
    const decoded = withoutCredentials(decodeBody(delivery, source), paths);
    return decoded.value === undefined ? null : maskBytes(decoded.bytes ?? delivery.body, secrets);
  } catch {
    return null;
  }
}

/** Each secret becomes as many stars, so that every other byte keeps its place. */
function maskBytes(body: Buffer, secrets: KnownSecrets): Buffer {
  let masked = body;
  for (const secret of secrets) {
    const length = Buffer.byteLength(secret);
    for (let at = masked.indexOf(secret); at >= 0; at = masked.indexOf(secret, at + length)) {
      if (masked === body) masked = Buffer.from(body);
      masked.fill('*', at, at + length);
    }
  }
  return masked;
}
