// Builds a signed delivery as the provider would send it: for `postbell send`, the demo and the tests.
import { randomBytes } from 'node:crypto';
import type { OutgoingRequest, SampleDraft, SigningOptions, Source } from './provider.ts';

export interface DeliveryOptions extends SigningOptions {
  topic: string;
  /** Sent unchanged; default: a sample of the topic. */
  body?: string | Buffer;
  id?: string;
  /** The absolute URL to send to. */
  url: string;
}

/** A correctly signed request. Throws an Error with the remedy where a sample or a key is missing. */
export function signDelivery(source: Source, options: DeliveryOptions): OutgoingRequest {
  const { provider } = source;
  const draft: SampleDraft = { topic: options.topic, id: options.id ?? newId(source), now: options.now };
  const { body, contentType } =
    options.body === undefined ? sampleBody(source, draft) : ownBody(source, options.body);
  const request: OutgoingRequest = {
    method: 'POST',
    url: options.url,
    headers: {
      'content-type': contentType,
      'user-agent': 'postbell-send',
      ...provider.sending?.headers?.(draft),
    },
    body,
  };
  provider.scheme.sign(request, source, options);
  return request;
}

function newId(source: Source): string {
  return source.provider.sending?.newId?.() ?? `evt_${randomBytes(12).toString('hex')}`;
}

function sampleBody(source: Source, draft: SampleDraft): { body: Buffer; contentType: string } {
  const { provider } = source;
  const sample = Object.hasOwn(provider.samples, draft.topic)
    ? provider.samples[draft.topic]
    : provider.samples['*'];
  if (!sample) {
    const known = Object.keys(provider.samples).join(', ');
    throw new Error(`no sample for ${provider.name} ${draft.topic}: give a body, or use one of ${known}`);
  }
  const made = sample(draft);
  const json = provider.sending?.contentType ?? 'application/json';
  if (made instanceof URLSearchParams)
    return { body: Buffer.from(made.toString()), contentType: 'application/x-www-form-urlencoded' };
  return { body: Buffer.from(typeof made === 'string' ? made : JSON.stringify(made)), contentType: json };
}

function ownBody(source: Source, given: string | Buffer): { body: Buffer; contentType: string } {
  const { provider } = source;
  const body = Buffer.from(given);
  const isJson = body[0] === 123 || body[0] === 91;
  if (provider.body?.form && !isJson) return { body, contentType: 'application/x-www-form-urlencoded' };
  return { body, contentType: provider.sending?.contentType ?? 'application/json' };
}
