// Makes the event of a test, as the receiver makes events of deliveries.
import { hash, randomUUID } from 'node:crypto';
import type { EventWithJob } from '../events/event.ts';
import type { Handler } from '../handlers/handler.ts';
import { asDelivery, findProvider, keptHeaders, readDrafts, type Source } from '../providers/index.ts';
import { newJobId } from '../queue/queue.ts';
import type { TrialBody, TrialEvent, TrialPayload } from './types.ts';

/** @throws TypeError for options that make no event */
export function makeTrialEvent(handler: Handler, options: TrialEvent): EventWithJob {
  const source = options.source ?? handler.source ?? handler.provider;
  const facts = {
    source,
    provider: handler.provider,
    jobId: newJobId(),
    uniqueBody: false,
    traceparent: null,
  };
  const event = options.body === undefined ? ofPayload(options) : ofBody(handler, source, options);
  return {
    ...{ ...event, ...facts },
    eventId: options.id ?? event.eventId,
    topic: options.topic ?? event.topic,
    occurredAt: options.occurredAt ?? event.occurredAt,
  };
}

function ofPayload({ topic, payload, headers = {} }: TrialPayload) {
  const payloadText = JSON.stringify(payload);
  if (typeof topic !== 'string' || payloadText === undefined)
    throw new TypeError('an event needs { topic, payload }, or { body } as the provider sends it');
  return {
    ...{ eventId: `test_${randomUUID()}`, topic, occurredAt: null, headers },
    ...{ payloadText, payloadError: null, rawBody: null, topicsShareBody: true },
    bodySha256: hash('sha256', payloadText, 'buffer'),
  };
}

function ofBody(handler: Handler, name: string, { body, headers = {} }: TrialBody) {
  const source: Source = { name, provider: findProvider(handler.provider)!, secrets: [] };
  const url = `https://localhost/api/webhooks/${name}`;
  const delivery = asDelivery({ method: 'POST', url, headers, body: Buffer.from(body) }, new Date());
  const [draft, ...others] = readDrafts(source, delivery);
  if (others.length > 0)
    throw new TypeError(`the body has ${others.length + 1} events: give one as { topic, payload }`);
  return { ...draft!, headers: keptHeaders(source, delivery) };
}
