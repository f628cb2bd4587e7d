// The only outgoing request of a scheme: one limited HTTPS request to an address from our code or the configuration.
export const fetchTimeoutMs = 3_000;
export const maxKeyBytes = 256 * 1024;
const maxErrorBytes = 4 * 1024;

/**
 * Resolves to the text at a URL. With a body, the request is a POST, as JSON unless the headers say otherwise. Rejects
 * with `HttpStatusError` for a status that is no 2xx, or with the network error.
 */
export type FetchText = (url: string, body?: string, headers?: Record<string, string>) => Promise<string>;

/** An answer that is no 2xx. Its body (the first part) may hold the reason, and must never be shown. */
export class HttpStatusError extends Error {
  readonly status: number;
  readonly body: string;
  constructor(status: number, body: string) {
    super(`answered ${status}`);
    this.name = 'HttpStatusError';
    this.status = status;
    this.body = body;
  }
}

/** Follows no redirects: an answer must not choose where a key comes from. */
export const fetchText: FetchText = async (url, body, headers = {}) => {
  if (!url.startsWith('https://')) throw new Error('only https:// URLs are fetched');
  const response = await fetch(url, {
    redirect: 'error',
    signal: AbortSignal.timeout(fetchTimeoutMs),
    ...(body === undefined
      ? { headers }
      : { method: 'POST', body, headers: { 'content-type': 'application/json', ...headers } }),
  });
  const text = await boundedText(response, response.ok ? maxKeyBytes : maxErrorBytes);
  if (!response.ok) throw new HttpStatusError(response.status, text);
  return text;
};

async function boundedText({ body, ok }: Response, maxBytes: number): Promise<string> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of body ?? []) {
    bytes += chunk.length;
    if (bytes > maxBytes && ok) throw new Error('the answer is too long');
    chunks.push(chunk);
    if (bytes > maxBytes) break;
  }
  return Buffer.concat(chunks).toString('utf8');
}
