// Revolut (Merchant and Business): `v1=` hex HMAC over `v1.time.body`, once per active secret.
import { hash } from 'node:crypto';
import type { Provider, SampleDraft } from '../provider.ts';
import { hmac } from '../schemes/hmac.ts';
import { textSecret } from '../secrets.ts';
import { computed, firstOf, header, json, type Reading, rawBody, timestamp } from '../template/parts.ts';
import { readText } from '../template/reading.ts';

const timeHeader = 'revolut-request-timestamp';

export const revolut: Provider = {
  name: 'revolut',
  title: 'Revolut (Merchant and Business)',
  docsUrl:
    'https://developer.revolut.com/docs/guides/merchant/monitor-and-observe/webhooks/verify-the-payload-signature',
  facts:
    'Signature, milliseconds, several signatures, bodies and retries D: developer.revolut.com, verify the payload signature (Merchant and Business), using webhooks, rotate a webhook signing secret. The time is that of the delivery D; whether a retry has another is not documented: as long as it retries is accepted. No id is sent. An order can be declined more than once with one body own judgement: the signed time tells ORDER_PAYMENT_… apart.',
  scheme: hmac({
    message: ['v1.', timestamp, '.', rawBody],
    signature: { at: header('revolut-signature'), encoding: 'hex', separator: ',', prefix: 'v1=' },
    timestamp: { at: header(timeHeader), unit: 'ms', pastSeconds: 3600 },
  }),
  secret: textSecret({
    label: 'Signing secret',
    prefix: 'wsk_',
    where: 'From the API: signing_secret in the answer to Create a webhook, or Retrieve a webhook',
  }),
  idIsSigned: true,
  events: {
    id: firstOf(computed(idOfSingleEvent), [json('event'), ':', json('order_id'), ':', header(timeHeader)]),
    topic: json('event'),
    occurredAt: { at: json('timestamp'), unit: 'iso' },
  },
  headers: [timeHeader],
  retries:
    'Wants a 2xx; 3 more tries, 10 minutes apart. A repeated ORDER_PAYMENT_… delivery looks like a second event.',
  answers: { failure: { '4xx': 'retried', '5xx': 'retried' } },
  redelivery: 'Business only: by API, Retrieve failed webhook events; Merchant: ask for the order',
  samples: {
    ORDER_COMPLETED: order,
    ORDER_PAYMENT_DECLINED: order,
    TransactionStateChanged: ({ topic, now }) => ({
      event: topic,
      timestamp: now.toISOString(),
      data: {
        id: crypto.randomUUID(),
        request_id: crypto.randomUUID(),
        old_state: 'pending',
        new_state: 'completed',
      },
    }),
    '*': order,
  },
};

/** Only events of a payment may come several times with equal bodies. */
function idOfSingleEvent(reading: Reading): string | undefined {
  const event = readText(json('event'), reading) ?? '';
  if (event.startsWith('ORDER_PAYMENT_') && readText(json('order_id'), reading) !== undefined)
    return undefined;
  return `sha256:${hash('sha256', reading.delivery.body, 'hex')}`;
}

function order({ topic }: SampleDraft): object {
  return { event: topic, order_id: crypto.randomUUID(), merchant_order_ext_ref: 'bell-1042' };
}
