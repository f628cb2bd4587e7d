// Public keys from X.509 certificates that a request names by URL: fetched, checked, cached.
import { type KeyObject, X509Certificate } from 'node:crypto';
import { rootCertificates } from 'node:tls';
import type { Source } from '../provider.ts';
import { fetchText, HttpStatusError } from './fetch-text.ts';
import { type FetchedKey, fetchedKeys } from './fetched-keys.ts';
import type { KeySource } from './key-source.ts';
import { isOfKind } from './public-key.ts';

export interface CertificateSpec {
  /** The certificate at this URL must have one of these names. An empty list: Postbell does not fetch the URL. */
  signersOf(url: string): readonly string[];
}

const maxCertificates = 6;
const pemPattern = /-----BEGIN CERTIFICATE-----[A-Za-z0-9+/=\s]+-----END CERTIFICATE-----/g;

/**
 * RSA keys by the URL of their certificate. Providers publish the signer's certificate alone (SNS) or with its issuers'.
 * A single certificate is trusted because it comes from a pinned host over TLS. Several certificates must form one chain
 * that ends at a trusted root. A self-signed certificate is never trusted.
 */
export function certificateKeys(spec: CertificateSpec, source: Source): KeySource {
  const fetchPem = source.fetchText ?? fetchText;
  let roots: X509Certificate[] | undefined;
  return fetchedKeys(async (url, nowMs) => {
    const signers = spec.signersOf(url);
    if (signers.length === 0) return { untrusted: 'its certificate is not at an address of the provider' };
    let pem: string;
    try {
      pem = await fetchPem(url);
    } catch (error) {
      if (isFinal(error)) return { untrusted: 'there is no such certificate' };
      throw error;
    }
    const chain = parseChain(pem);
    // Parsing all roots takes some 20 ms, so they are parsed once, and only for a chain.
    const trusted = () =>
      (roots ??= (source.trustedRoots ?? rootCertificates).map((text) => new X509Certificate(text)));
    const problem = chain && findProblem(chain, signers, nowMs, trusted);
    if (!chain || problem !== undefined)
      return { untrusted: `its certificate is rejected: ${problem ?? 'the text is no certificate'}` };
    return fetchedKey(chain);
  });
}

/** True for an answer that will not change: the host answered, and a retry is of no use. */
function isFinal(error: unknown): boolean {
  if (!(error instanceof HttpStatusError)) return false;
  return error.status >= 400 && error.status < 500 && error.status !== 408 && error.status !== 429;
}

function parseChain(pem: string): X509Certificate[] | undefined {
  const texts = pem.match(pemPattern) ?? [];
  if (texts.length === 0 || texts.length > maxCertificates) return undefined;
  try {
    return texts.map((text) => new X509Certificate(text));
  } catch {
    // The text holds no valid certificates; the caller reports that.
    return undefined;
  }
}

/** The first problem of the chain, which begins with the signer's certificate; undefined if the chain is trusted. */
function findProblem(
  chain: readonly X509Certificate[],
  signers: readonly string[],
  nowMs: number,
  trusted: () => readonly X509Certificate[],
): string | undefined {
  const [leaf] = chain as [X509Certificate];
  if (leaf.ca || isIssuedBy(leaf, leaf)) return 'it is not a signer certificate';
  if (!signers.some((name) => leaf.checkHost(name, { wildcards: false }) !== undefined))
    return `it is not for ${signers.join(' or ')}`;
  if (!isOfKind(leaf.publicKey, 'rsa-sha256')) return 'its key is no RSA key of 2048 bits or more';
  if (chain.some((certificate) => !isCurrent(certificate, nowMs))) return 'it is not valid at this time';
  if (chain.length === 1) return undefined;
  for (let i = 1; i < chain.length; i++) {
    const issuer = chain[i];
    if (!issuer?.ca || !isIssuedBy(chain[i - 1], issuer)) return 'the certificates form no chain';
  }
  const last = chain.at(-1);
  const isAnchored = trusted().some((root) => isCurrent(root, nowMs) && isIssuedBy(last, root));
  return isAnchored ? undefined : 'its chain does not end at a trusted root';
}

export function isIssuedBy(certificate: X509Certificate | undefined, issuer: X509Certificate): boolean {
  return certificate?.checkIssued(issuer) === true && certificate.verify(issuer.publicKey);
}

export function isCurrent({ validFromDate, validToDate }: X509Certificate, nowMs: number): boolean {
  return nowMs >= validFromDate.getTime() && nowMs <= validToDate.getTime();
}

function fetchedKey(chain: readonly X509Certificate[]): FetchedKey {
  const { publicKey } = chain[0] as { publicKey: KeyObject };
  return {
    key: publicKey,
    validFromMs: Math.max(...chain.map(({ validFromDate }) => validFromDate.getTime())),
    validToMs: Math.min(...chain.map(({ validToDate }) => validToDate.getTime())),
  };
}
