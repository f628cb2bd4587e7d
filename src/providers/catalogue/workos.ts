// WorkOS: `t=…, v1=…` with the time in milliseconds over `t.body`; event id and type in it.
import { header, item, json, rawBody, timestamp } from '../parts.ts';
import type { Provider, SampleDraft } from '../provider.ts';
import { hmac } from '../schemes/hmac.ts';
import { textSecret } from '../secrets.ts';
import { randomId } from './sample.ts';

export const workos: Provider = {
  name: 'workos',
  title: 'WorkOS',
  docsUrl: 'https://workos.com/docs/events/data-syncing/webhooks',
  facts:
    'Signature, milliseconds and 180 s for the past L: npm @workos-inc/node, webhooks.constructEvent. Body L, its types. Retries D: workos.com, webhooks.',
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
