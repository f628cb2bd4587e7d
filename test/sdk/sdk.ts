// What a provider's own package is asked here: does it believe a request, and what would it have signed.
import type { GeneratedSecret } from '../../src/providers/provider.ts';

/** A request as the provider's package would meet it. */
export interface Arrived {
  /** Absolute, as configured at the provider. */
  url: string;
  /** Lower-case names. */
  headers: Readonly<Record<string, string>>;
  body: Buffer;
  /** The same, as text. */
  text: string;
}

export interface Sdk {
  /** Name of the npm package. */
  package: string;
  /** Throws, or answers false or null, for a request that it does not believe. */
  accepts(request: Arrived, secret: string): unknown;
  /** The proof headers that the provider's own signer makes for the request, where it has one. */
  sign?(request: Arrived, key: GeneratedSecret): Record<string, string> | Promise<Record<string, string>>;
  /** What it can take its verdict from is not in these, so that altering them shows nothing. */
  ignoresBody?: true;
}

export type Sdks = Readonly<Record<string, Sdk>>;

export const header = (request: Arrived, name: string): string => request.headers[name] ?? '';

export const json = (request: Arrived): Record<string, unknown> => JSON.parse(request.text);

/** For packages that take the platform's own request. */
export const webRequest = ({ url, headers, body }: Arrived): Request =>
  new Request(url, { method: 'POST', headers, body: new Uint8Array(body) });
