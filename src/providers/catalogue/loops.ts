// Loops: Standard Webhooks; the kind of event is `eventName`, its time in seconds.

import type { SampleDraft } from '../provider.ts';
import { json } from '../template/parts.ts';
import { randomId, unixSeconds } from './sample.ts';
import { standardSender } from './standard-family.ts';

export const loops = standardSender({
  name: 'loops',
  title: 'Loops',
  docsUrl: 'https://loops.so/docs/webhooks',
  facts:
    'Signature, secret, id of the event, eventName and eventTime, 10 events a second at most D: loops.so/docs/webhooks. Retries: not found.',
  secret: { where: 'app.loops.so → Settings → Webhooks → Signing secret' },
  topic: json('eventName'),
  occurredAt: { at: json('eventTime'), unit: 's' },
  retries: 'Wants a 2xx; duration of retries unknown; the history goes back 30 days.',
  answers: 'unknown',
  samples: {
    'email.delivered': (draft) =>
      event(draft, {
        sourceType: 'campaign',
        campaignId: randomId(),
        email: { id: randomId(), subject: 'Ring' },
      }),
    'contact.created': (draft) => event(draft, { contact: { email: 'ada@example.com', subscribed: true } }),
    '*': (draft) => event(draft, {}),
  },
});

function event({ topic, now }: SampleDraft, more: object): object {
  return {
    eventName: topic,
    eventTime: unixSeconds(now),
    webhookSchemaVersion: '1.0.0',
    contactIdentity: { id: randomId(), email: 'ada@example.com', userId: null },
    ...more,
  };
}
