// CloudEvents over HTTP: nothing is signed; a bearer token, an OPTIONS handshake, and three ways to write an event.
import { valueAt } from '../body/body.ts';
import { emptyAnswer } from '../handshake.ts';
import type { Delivery, HandshakeAnswer, Provider, SampleDraft } from '../provider.ts';
import { alternatives } from '../schemes/alternatives.ts';
import { credential } from '../schemes/credential.ts';
import { credentialSecret } from '../secrets.ts';
import { firstOf, header, json, query } from '../template/parts.ts';
import { randomId } from './sample.ts';

export const cloudevents: Provider = {
  name: 'cloudevents',
  title: 'CloudEvents',
  docsUrl: 'https://github.com/cloudevents/spec/blob/main/cloudevents/http-webhook.md',
  facts:
    'All D: cloudevents/spec, http-webhook.md (token, handshake) and the HTTP binding (binary, structured, batched); source and id together are unique.',
  scheme: alternatives(
    {
      headers: ['authorization'],
      scheme: credential({
        at: header('authorization'),
        expected: (secret) => `Bearer ${secret}`,
        name: 'bearer token',
      }),
    },
    { headers: [], scheme: credential({ at: query('access_token'), name: 'token' }) },
  ),
  secret: credentialSecret({
    label: 'Token',
    format: 'your own choice of at least 16 letters and digits',
    where:
      'Chosen by you: the access token in the settings of the sender, or ?access_token=… at the end of the URL',
  }),
  // A person with an old delivery has the token, too; and in binary mode equal bodies may be different events.
  idIsSigned: true,
  events: {
    id: firstOf([header('ce-source'), ':', header('ce-id')], [json('source'), ':', json('id')]),
    topic: firstOf(header('ce-type'), json('type')),
    occurredAt: { at: firstOf(header('ce-time'), json('time')), unit: 'iso' },
    items: batchOf,
  },
  headers: ['ce-id', 'ce-source', 'ce-type', 'ce-time', 'ce-subject', 'ce-specversion', 'ce-dataschema'],
  handshakes: [{ method: 'OPTIONS', phase: 'unsigned', answer: answerOptions }],
  retries: "The sender's choice; wants a 2xx.",
  sending: { newId: () => randomId(), contentType: 'application/cloudevents+json; charset=UTF-8' },
  answers: { failure: { 410: 'switches-off', 429: 'retried' } },
  samples: {
    'com.example.order.created': (draft) => event(draft, { orderId: '1001', total: 4200, currency: 'EUR' }),
    '*': (draft) => event(draft, {}),
  },
};

/** In binary mode the data may also be an array; a batch is an array of events only. */
function batchOf(body: unknown): unknown {
  const isEvent = (item: unknown) => typeof valueAt(item, ['specversion']) === 'string';
  return Array.isArray(body) && body.every(isEvent) ? body : undefined;
}

/** Allows every sender at any rate; the token is checked with each delivery. */
function answerOptions({ headers }: Delivery): HandshakeAnswer | undefined {
  const origins = headers['webhook-request-origin'] ?? [];
  const [origin = ''] = origins;
  if (origins.length !== 1 || !/^[A-Za-z0-9.-]{1,253}$/.test(origin)) return undefined;
  return {
    ...emptyAnswer(),
    headers: { 'webhook-allowed-origin': origin, 'webhook-allowed-rate': '*', allow: 'POST, OPTIONS' },
  };
}

function event({ id, topic, now }: SampleDraft, data: object): object {
  return {
    specversion: '1.0',
    id,
    source: 'https://shop.example.com/orders',
    type: topic,
    time: now.toISOString(),
    datacontenttype: 'application/json',
    data,
  };
}
