// WorkOS: `t=…, v1=…` with the time in milliseconds over `t.body`; event id and type in it.

import type { Provider, SampleDraft } from '../provider.ts';
import { bearer, listAt, type RecoverSpec, textAt } from '../recover.ts';
import { hmac } from '../schemes/hmac.ts';
import { textSecret } from '../secrets.ts';
import { header, item, json, rawBody, timestamp } from '../template/parts.ts';
import { randomId } from './sample.ts';

const recover: RecoverSpec = {
  key: 'API key of the environment (sk_…); WorkOS has none with fewer rights',
  url: 'https://api.workos.com',
  // The list wants the types by name.
  wants: {
    setting: 'TOPICS',
    example: 'the event types of your webhook, e.g. user.created,user.updated',
    pattern: /^[\w.]+(?:,[\w.]+)*$/,
  },
  keptHours: 30 * 24,
  authorize: bearer,
  pull: {
    endpoint: 'GET /events',
    page: ({ since, cursor, wanted }) => ({
      path: '/events',
      query: {
        limit: '100',
        order: 'asc',
        events: wanted.split(','),
        // The API takes one of the two.
        ...(cursor === undefined ? { range_start: since.toISOString() } : { after: cursor }),
      },
    }),
    read: ({ json: answer }) => ({
      items: listAt(answer, 'data'),
      next: textAt(answer, 'list_metadata.after'),
    }),
  },
  lost: 'types that WORKOS_API_TOPICS does not name',
};

export const workos: Provider = {
  name: 'workos',
  title: 'WorkOS',
  docsUrl: 'https://workos.com/docs/events/data-syncing/webhooks',
  facts:
    'List of events, its types, cursor and range L: npm @workos-inc/node, events.listEvents; that a range and a cursor exclude each other T: docs.rs, crate workos 0.8.1; 30 days D: workos.com, events. Signature, milliseconds and 180 s for the past L: npm @workos-inc/node, webhooks.constructEvent. Body L, its types. Retries D: workos.com, webhooks.',
  scheme: hmac({
    message: [timestamp, '.', rawBody],
    signature: { at: header('workos-signature'), encoding: 'hex', separator: ',', prefix: 'v1=' },
    timestamp: { at: item('t'), unit: 'ms', pastSeconds: 180 },
  }),
  secret: textSecret({
    label: 'Signing secret',
    where: 'dashboard.workos.com → Webhooks → your endpoint → Signing secret',
  }),
  idIsSigned: true,
  events: { id: json('id'), topic: json('event'), occurredAt: { at: json('created_at'), unit: 'iso' } },
  retries: 'Wants a 2xx; up to 12 retries over 3 days, outside production for some minutes.',
  sending: { newId: () => randomId('event_') },
  answers: { failure: { '5xx': 'retried' } },
  recover,
  samples: {
    'user.created': (draft) =>
      event(draft, { object: 'user', id: randomId('user_'), email: 'ada@example.com' }),
    'dsync.user.updated': (draft) =>
      event(draft, { id: randomId('directory_user_'), state: 'active', username: 'ada@example.com' }),
    'connection.activated': (draft) =>
      event(draft, { object: 'connection', id: randomId('conn_'), state: 'active' }),
    '*': (draft) => event(draft, { id: randomId() }),
  },
};

function event({ topic, id, now }: SampleDraft, data: object): object {
  return { id, event: topic, data, created_at: now.toISOString() };
}
