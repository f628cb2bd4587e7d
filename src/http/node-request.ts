// Reads the parts of a Node request that the webhooks need.
import type { IncomingMessage } from 'node:http';
import type { WebhookRequest } from './webhook-core.ts';

/** Node's `headersDistinct`; made from the raw headers where a request has none (HTTP/2). */
export function headersOf({ headersDistinct, rawHeaders }: IncomingMessage): WebhookRequest['headers'] {
  if (headersDistinct) return headersDistinct;
  const headers: Record<string, string[]> = Object.create(null);
  for (let at = 0; at < rawHeaders.length; at += 2) {
    const name = rawHeaders[at]!.toLowerCase();
    headers[name] = [...(headers[name] ?? []), rawHeaders[at + 1]!];
  }
  return headers;
}

/** The Content-Length; NaN without this header. */
export function declaredBytesOf({ headers }: Pick<WebhookRequest, 'headers'>): number {
  return Number(headers['content-length']?.[0] ?? Number.NaN);
}

/** The last part of the path: the host decides which paths lead to Postbell. */
export function sourceNameIn(url: string): string {
  const [path = ''] = url.split(/[?#]/, 1);
  return path.slice(path.lastIndexOf('/') + 1);
}
