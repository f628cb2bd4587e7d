// Clerk: Standard Webhooks under the svix-… names only; the body's timestamp is in milliseconds.
import { json } from '../parts.ts';
import type { SampleDraft } from '../provider.ts';
import { randomId } from './sample.ts';
import { standardSender } from './standard-family.ts';

export const clerk = standardSender({
  name: 'clerk',
  title: 'Clerk',
  docsUrl: 'https://clerk.com/docs/webhooks/overview',
  facts:
    'Signature and svix-… names L: npm @clerk/backend, verifyWebhook. Body L: its types; milliseconds T: Hookdeck. That retries are those of Svix M; theirs L, see svix.',
  family: 'svix',
  secret: { where: 'Clerk Dashboard → Configure → Webhooks → your endpoint → Signing Secret' },
  occurredAt: { at: json('timestamp'), unit: 'ms' },
  retries: 'Wants a 2xx; tries again over about a day, as Svix does.',
  answers: { failure: { '5xx': 'retried' } },
  redelivery: 'in the Dashboard, whose webhooks page is Svix: your endpoint → Recover Failed Messages',
  samples: {
    'user.created': (draft) => event(draft, { object: 'user', ...user(draft) }),
    'user.deleted': (draft) => event(draft, { object: 'user', id: randomId('user_'), deleted: true }),
    'session.created': (draft) =>
      event(draft, {
        object: 'session',
        id: randomId('sess_'),
        user_id: randomId('user_'),
        status: 'active',
      }),
    '*': (draft) => event(draft, { id: randomId() }),
  },
});

function user({ now }: SampleDraft): object {
  return {
    id: randomId('user_'),
    first_name: 'Ada',
    last_name: 'Lovelace',
    email_addresses: [{ id: randomId('idn_'), object: 'email_address', email_address: 'ada@example.com' }],
    created_at: now.getTime(),
    updated_at: now.getTime(),
  };
}

function event({ topic, now }: SampleDraft, data: object): object {
  return {
    type: topic,
    object: 'event',
    data,
    event_attributes: { http_request: { client_ip: '203.0.113.7', user_agent: 'curl' } },
    timestamp: now.getTime(),
    instance_id: 'ins_1',
  };
}
