// Wise: RSA-SHA256 over the body with a key that Wise publishes in its documentation.
import { hash } from 'node:crypto';
import { valueAt } from '../body/body.ts';
import type { Provider, SampleDraft } from '../provider.ts';
import { publicKeySecret } from '../public-key-secrets.ts';
import { publicKey } from '../schemes/public-key.ts';
import { computed, firstOf, header, json, type Reading, rawBody } from '../template/parts.ts';
import { randomNumber } from './sample.ts';

const rsa = { kind: 'rsa-sha256', key: { format: 'spki' } } as const;

export const wise: Provider = {
  name: 'wise',
  title: 'Wise',
  docsUrl: 'https://docs.wise.com/guides/developer/webhooks/event-handling',
  facts:
    'Signature, keys, headers, common fields, deadline and retries D: docs.wise.com, event handling. Signature L: transferwise/digital-signatures-examples. Whether a retry keeps X-Delivery-Id and sent_at is not documented: an event is known by all that it says but sent_at.',
  scheme: publicKey({
    ...rsa,
    message: rawBody,
    signature: { at: header('x-signature-sha256'), encoding: 'base64' },
  }),
  secret: publicKeySecret({
    ...rsa,
    label: 'Public key',
    format: 'the public key (PEM) of production or sandbox, as published (no secret)',
    where: 'docs.wise.com → Guides → Webhooks → Event handling → Production or Sandbox public key',
  }),
  idIsSigned: true,
  events: {
    id: computed(idOfContent),
    topic: json('event_type'),
    occurredAt: { at: firstOf(json('data.occurred_at'), json('sent_at')), unit: 'iso' },
  },
  headers: ['x-delivery-id', 'x-test-notification'],
  retries: 'Wants a 2xx within 5 s; up to 25 tries with growing gaps over two weeks.',
  sending: { headers: () => ({ 'x-delivery-id': crypto.randomUUID() }) },
  answers: { failure: { any: 'retried' } },
  samples: {
    'transfers#state-change': (draft) =>
      event(draft, {
        resource: {
          id: randomNumber(9),
          profile_id: randomNumber(8),
          account_id: randomNumber(8),
          type: 'transfer',
        },
        current_state: 'outgoing_payment_sent',
        previous_state: 'funds_converted',
      }),
    'balances#credit': (draft) =>
      event(draft, {
        resource: { id: randomNumber(6), profile_id: randomNumber(8), type: 'balance-account' },
        transaction_type: 'credit',
        amount: 70,
        currency: 'GBP',
        post_transaction_balance_amount: 170,
      }),
    '*': (draft) => event(draft, { resource: { id: randomNumber(9) } }),
  },
};

function idOfContent(reading: Reading): string | undefined {
  const content = ['subscription_id', 'event_type', 'data'].map((name) =>
    valueAt(reading.decoded?.exact(), [name]),
  );
  if (content.includes(undefined)) return undefined;
  return `sha256:${hash('sha256', JSON.stringify(content), 'hex')}`;
}

function event({ topic, now }: SampleDraft, data: object): object {
  return {
    data: { ...data, occurred_at: now.toISOString() },
    subscription_id: crypto.randomUUID(),
    event_type: topic,
    schema_version: '2.0.0',
    sent_at: now.toISOString(),
  };
}
