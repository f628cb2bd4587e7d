// Auth0 Event Streams: nothing is signed; one CloudEvent with a bearer token of your choice.

import type { Provider, SampleDraft } from '../provider.ts';
import { credential } from '../schemes/credential.ts';
import { credentialSecret } from '../secrets.ts';
import { header, json } from '../template/parts.ts';
import { randomId } from './sample.ts';

export const auth0Events: Provider = {
  name: 'auth0-events',
  title: 'Auth0 Event Streams',
  docsUrl: 'https://auth0.com/docs/customize/events',
  facts:
    'Bearer token, body, id against duplicates, time against other orders, retries and what switches a stream off D: auth0.com, create an event stream, event testing and events best practices. Log streams are auth0.',
  scheme: credential({
    at: header('authorization'),
    expected: (secret) => `Bearer ${secret}`,
    name: 'bearer token',
  }),
  secret: credentialSecret({
    label: 'Authorization token',
    format: 'your own choice of at least 16 letters and digits, without `Bearer `',
    where: 'Chosen by you: Auth0 Dashboard → Event Streams → your webhook → Authorization, bearer',
  }),
  idIsSigned: true,
  events: {
    id: json('id'),
    topic: json('type'),
    occurredAt: { at: json('time'), unit: 'iso' },
  },
  retries:
    'Wants a 2xx; 3 more tries after 1, 2 and 4 s, none after a 4xx; 3 failed deliveries in a row, 500 failures or 5,000 in total switch the stream off.',
  sending: { newId: () => randomId('evt_') },
  answers: { failure: { '4xx': 'final', any: 'retried' } },
  setup: { url: 'Auth0 Dashboard → Event Streams → Create → Webhook → Endpoint URL' },
  samples: {
    'user.created': event,
    'user.updated': event,
    '*': event,
  },
};

function event({ topic, id, now }: SampleDraft): object {
  return {
    id,
    source: 'urn:auth0:bells',
    specversion: '1.0',
    type: topic,
    time: now.toISOString(),
    data: {
      object: {
        user_id: `auth0|${randomId()}`,
        email: 'ada@example.com',
        email_verified: true,
        created_at: now.toISOString(),
        updated_at: now.toISOString(),
      },
    },
    a0tenant: 'bells',
    a0stream: randomId('est_'),
  };
}
