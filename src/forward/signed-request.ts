// Builds the request that the team's app gets: the event's body, signed by Standard Webhooks.
import { createHash, randomBytes } from 'node:crypto';
import type { HandlerEvent } from '../handlers/handler.ts';
import { standardWebhooks } from '../providers/catalogue/standard-webhooks.ts';
import type { OutgoingRequest } from '../providers/provider.ts';
import { activeTraceparent } from '../tracing.ts';
import type { Target } from './target.ts';

/** @param body sent unchanged */
export function signForward(event: HandlerEvent, body: Buffer, target: Target, now: Date): OutgoingRequest {
  const request: OutgoingRequest = {
    method: 'POST',
    url: target.url,
    headers: {
      'content-type': contentTypeOf(event),
      'user-agent': 'postbell',
      'webhook-id': signableId(event.id),
      'postbell-source': event.source,
      'postbell-topic': headerText(event.topic),
      'postbell-attempt': String(event.attempt),
      traceparent: activeTraceparent() ?? ownTraceparent(event),
    },
    body,
  };
  const source = { name: 'forward', provider: standardWebhooks, secrets: [target.secret] };
  standardWebhooks.scheme.sign(request, source, { now });
  return request;
}

/** Without the bytes as received the body is JSON, whatever it was. */
function contentTypeOf({ rawBody, headers }: HandlerEvent): string {
  const received = headers['content-type'] ?? '';
  return rawBody && /^[\x20-\x7e]+$/.test(received) ? received : 'application/json';
}

/** As it is, where all characters may stand in a header; the others, and `%`, as in a URL. */
function headerText(text: string): string {
  return text.toWellFormed().replaceAll(/[^\x21-\x24\x26-\x7e]/gu, encodeCharacter);
}

/** Standard Webhooks signs `id.time.body`: an id with a time in it could be read in two ways. */
function signableId(id: string): string {
  return headerText(id).replaceAll(/\.(?=\d{10}(?:\.|$))/g, '%2E');
}

function encodeCharacter(character: string): string {
  const bytes = [...Buffer.from(character)];
  return bytes.map((byte) => `%${byte.toString(16).toUpperCase().padStart(2, '0')}`).join('');
}

/** Without a tracer: all attempts of an event are one trace; each attempt is a span of its own, sampled. */
function ownTraceparent({ source, id }: HandlerEvent): string {
  const trace = createHash('sha256').update(`${source}/${id}`).digest('hex').slice(0, 32);
  return `00-${trace}-${randomBytes(8).toString('hex')}-01`;
}
