// Mollie's next-generation webhooks: `sha256=` HMAC over the body, sent under two secrets while they change.
import { header, json, rawBody } from '../parts.ts';
import type { Provider, SampleDraft } from '../provider.ts';
import { hmac } from '../schemes/hmac.ts';
import { textSecret } from '../secrets.ts';
import { randomId } from './sample.ts';

export const mollie: Provider = {
  name: 'mollie',
  title: 'Mollie (next-generation webhooks)',
  docsUrl: 'https://docs.mollie.com/reference/webhooks-best-practices',
  facts:
    'Signature, several of them, id, type and createdAt L: mollie/mollie-api-php, SignatureValidator and webhook-event.json. Two headers for 24 h after a change of secret T: Hookdeck. Classic webhooks (a form with an id) are unsigned and not accepted.',
  scheme: hmac({
    message: rawBody,
    signature: { at: header('x-mollie-signature'), encoding: 'hex', prefix: 'sha256=', repeats: true },
  }),
  secret: textSecret({
    label: 'Signing secret',
    where: 'Dashboard → Developers → Webhooks → your webhook → Signing secret',
  }),
  idIsSigned: true,
  events: {
    id: json('id'),
    topic: json('type'),
    occurredAt: { at: json('createdAt'), unit: 'iso' },
  },
  retries: 'Wants a 2xx; tries again with growing gaps for about a day.',
  sending: { newId: () => randomId('event_') },
  answers: { failure: { '5xx': 'retried' } },
  samples: {
    'payment-link.paid': (draft) =>
      event(draft, {
        resource: 'payment-link',
        id: randomId('pl_'),
        amount: { value: '42.00', currency: 'EUR' },
      }),
    'balance-transaction.created': (draft) =>
      event(draft, { resource: 'balance-transaction', id: randomId('baltr_') }),
    '*': (draft) => event(draft, { resource: 'payment', id: randomId('tr_'), status: 'paid' }),
  },
};

function event({ topic, id, now }: SampleDraft, entity: { id: string } & Record<string, unknown>): object {
  return {
    resource: 'event',
    id,
    type: topic,
    entityId: entity.id,
    createdAt: now.toISOString(),
    _embedded: { entity },
  };
}
