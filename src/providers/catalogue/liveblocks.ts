// Liveblocks: Standard Webhooks; the time of an event stands under another name in each type.
import { firstOf, json } from '../parts.ts';
import type { SampleDraft } from '../provider.ts';
import { randomId } from './sample.ts';
import { standardSender } from './standard-family.ts';

export const liveblocks = standardSender({
  name: 'liveblocks',
  title: 'Liveblocks',
  docsUrl: 'https://liveblocks.io/docs/platform/webhooks',
  facts:
    'Signature, types and their fields L: npm @liveblocks/node, WebhookHandler.verifyRequest and its types. Retries unknown.',
  secret: { where: 'Liveblocks dashboard → your project → Webhooks → your endpoint → Signing Secret' },
  occurredAt: {
    at: firstOf(
      json('data.updatedAt'),
      json('data.deletedAt'),
      json('data.createdAt'),
      json('data.enteredAt'),
      json('data.leftAt'),
    ),
    unit: 'iso',
  },
  retries: 'Wants a 2xx; schedule unknown.',
  answers: 'unknown',
  samples: {
    storageUpdated: (draft) => event(draft, { updatedAt: draft.now.toISOString() }),
    roomCreated: (draft) => event(draft, { createdAt: draft.now.toISOString() }),
    userEntered: (draft) =>
      event(draft, {
        connectionId: 4,
        userId: 'ada',
        userInfo: { name: 'Ada' },
        enteredAt: draft.now.toISOString(),
        numActiveUsers: 2,
      }),
    '*': (draft) => event(draft, { createdAt: draft.now.toISOString() }),
  },
});

function event({ topic }: SampleDraft, data: object): object {
  return { type: topic, data: { projectId: randomId('pr_'), roomId: randomId('room-'), ...data } };
}
