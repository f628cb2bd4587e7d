// The only way out of a scheme: one bounded HTTPS request to an address that our code or the configuration chose.
export const fetchTimeoutMs = 3_000;
export const maxKeyBytes = 256 * 1024;
const maxErrorBytes = 4 * 1024;

/**
 * Answers the text of a URL; with a body it is asked by POST, as JSON unless the headers say otherwise. Rejects with
 * `HttpStatusError` or whatever went wrong.
 */
export type FetchText = (url: string, body?: string, headers?: Record<string, string>) => Promise<string>;

/** An answer that is no 2xx. The beginning of its body says more, and must not be shown. */
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

/** No redirects: where a key comes from is decided here, not by an answer. */
export const fetchText: FetchText = async (url, body, headers = {}) => {
  if (!url.startsWith('https://')) throw new Error('only HTTPS is asked');
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
