// Help Scout: base64 HMAC-SHA1 over the body; the event's name is in an unsigned header.
import { hash } from 'node:crypto';
import type { Provider } from '../provider.ts';
import { hmac } from '../schemes/hmac.ts';
import { textSecret } from '../secrets.ts';
import { computed, header, rawBody } from '../template/parts.ts';
import { randomNumber } from './sample.ts';

const eventHeader = 'x-helpscout-event';

export const helpScout: Provider = {
  name: 'help-scout',
  title: 'Help Scout',
  docsUrl: 'https://developer.helpscout.com/webhooks/',
  facts:
    'Signature, headers, events and bodies D: developer.helpscout.com, webhooks. Signature T as well: n8n, Activepieces. No id is sent. Retries: not found.',
  scheme: hmac({
    hash: 'sha1',
    message: rawBody,
    signature: { at: header('x-helpscout-signature'), encoding: 'base64' },
  }),
  secret: textSecret({
    label: 'Secret key',
    format: 'text, your own choice of at most 40 characters',
    where: 'Chosen by you: Help Scout → Manage → Apps → Webhooks → Secret key',
  }),
  idIsSigned: false,
  events: {
    id: [header(eventHeader), ':', computed(({ delivery }) => hash('sha256', delivery.body, 'hex'))],
    topic: header(eventHeader),
  },
  headers: [eventHeader],
  retries: 'Unknown.',
  sending: { headers: ({ topic }) => ({ [eventHeader]: topic }) },
  answers: 'unknown',
  setup: { url: 'Help Scout → Manage → Apps → Webhooks → Callback URL' },
  samples: {
    'convo.created': conversation,
    'convo.customer.reply.created': conversation,
    'convo.deleted': () => ({ id: randomNumber(12) }),
    '*': conversation,
  },
};

function conversation({ now }: { now: Date }): object {
  return {
    id: randomNumber(12),
    number: randomNumber(12),
    type: 'email',
    status: 'active',
    subject: 'The bell is silent',
    createdAt: now.toISOString(),
    primaryCustomer: { id: randomNumber(12), email: 'ada@example.com' },
  };
}
