// WooCommerce: base64 HMAC over the body; id and topic are in unsigned headers.
import { emptyAnswer } from '../handshake.ts';
import type { Delivery, HandshakeAnswer, Provider, SampleDraft } from '../provider.ts';
import { hmac } from '../schemes/hmac.ts';
import { textSecret } from '../secrets.ts';
import { bodyHash, firstOf, header, json, rawBody } from '../template/parts.ts';
import { randomId, randomNumber } from './sample.ts';

export const woocommerce: Provider = {
  name: 'woocommerce',
  title: 'WooCommerce',
  docsUrl: 'https://woocommerce.com/document/webhooks/',
  facts:
    'All L: woocommerce/woocommerce, includes/class-wc-webhook.php (signature, headers, delivery id, ping, failures).',
  scheme: hmac({
    message: rawBody,
    signature: { at: header('x-wc-webhook-signature'), encoding: 'base64' },
  }),
  secret: textSecret({
    label: 'Secret',
    where: 'WooCommerce → Settings → Advanced → Webhooks → your webhook → Secret',
  }),
  idIsSigned: false,
  events: {
    // The delivery id is a hash of webhook and second. Two orders in one second share it, so the id also includes the body.
    id: [header('x-wc-webhook-delivery-id'), ':', bodyHash],
    topic: header('x-wc-webhook-topic'),
    occurredAt: { at: firstOf(json('date_modified_gmt'), json('date_created_gmt')), unit: 'iso-utc' },
  },
  headers: [
    'x-wc-webhook-topic',
    'x-wc-webhook-delivery-id',
    'x-wc-webhook-id',
    'x-wc-webhook-source',
    'x-wc-webhook-resource',
    'x-wc-webhook-event',
  ],
  handshakes: [{ method: 'POST', phase: 'unsigned', answer: answerPing }],
  retries: 'Wants a 2xx within 60 s; no retries; more than 5 failures in a row switch the webhook off.',
  sending: {
    newId: () => randomId(),
    headers: ({ topic, id }) => ({
      'x-wc-webhook-topic': topic,
      'x-wc-webhook-resource': topic.split('.')[0] ?? topic,
      'x-wc-webhook-event': topic.split('.')[1] ?? '',
      'x-wc-webhook-source': 'https://shop.example.com/',
      'x-wc-webhook-id': '1',
      'x-wc-webhook-delivery-id': id,
    }),
  },
  answers: { failure: { any: 'final' } },
  samples: {
    'order.created': (draft) => order(draft, 'processing'),
    'order.updated': (draft) => order(draft, 'completed'),
    'product.updated': (draft) =>
      resource(draft, { name: 'Bell', regular_price: '42.00', stock_status: 'instock', stock_quantity: 7 }),
    '*': (draft) => resource(draft, {}),
  },
};

/** Saving a webhook sends an unsigned form `webhook_id=7` and wants exactly 200. */
function answerPing({ headers, body }: Delivery): HandshakeAnswer | undefined {
  if (headers['x-wc-webhook-signature'] || body.length > 40) return undefined;
  return /^webhook_id=\d+$/.test(body.toString('latin1')) ? emptyAnswer() : undefined;
}

function resource({ now }: SampleDraft, more: object): object {
  const gmt = now.toISOString().slice(0, 19);
  return { id: randomNumber(12), date_created_gmt: gmt, date_modified_gmt: gmt, ...more };
}

function order(draft: SampleDraft, status: string): object {
  return resource(draft, {
    status,
    currency: 'EUR',
    total: '42.00',
    billing: { first_name: 'Ada', last_name: 'Lovelace', email: 'ada@example.com' },
    line_items: [{ id: 789, name: 'Bell', quantity: 1, price: 42 }],
  });
}
