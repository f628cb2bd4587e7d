// Resend: Standard Webhooks under the svix-… names.
import { json } from '../parts.ts';
import type { SampleDraft } from '../provider.ts';
import { standardSender } from './standard-family.ts';

export const resend = standardSender({
  name: 'resend',
  title: 'Resend',
  docsUrl: 'https://resend.com/docs/webhooks/introduction',
  facts:
    'Signature, types and created_at L: npm resend, webhooks.verify and its types. That retries are those of Svix M; theirs L, see svix. Replay D: resend.com/docs, replay event.',
  family: 'svix',
  secret: { where: 'resend.com/webhooks → your webhook → Signing Secret' },
  occurredAt: { at: json('created_at'), unit: 'iso' },
  retries: 'Wants a 2xx; tries again over about a day, as Svix does.',
  answers: { failure: { '5xx': 'retried' } },
  redelivery: 'by API (webhooks.events.replay)',
  samples: {
    'email.delivered': (draft) => event(draft, {}),
    'email.bounced': (draft) =>
      event(draft, { bounce: { type: 'Permanent', subType: 'General', message: 'No such user' } }),
    'email.opened': (draft) => event(draft, {}),
    '*': (draft) => event(draft, {}),
  },
});

function event({ topic, now }: SampleDraft, more: object): object {
  return {
    type: topic,
    created_at: now.toISOString(),
    data: {
      email_id: crypto.randomUUID(),
      created_at: now.toISOString(),
      from: 'Shop <shop@example.com>',
      to: ['ada@example.com'],
      subject: 'Ring',
      ...more,
    },
  };
}
