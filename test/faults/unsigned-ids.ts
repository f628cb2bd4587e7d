// Senders whose signature covers the body and nothing else: id and topic are headers that anybody can change.
import { createHash, createHmac } from 'node:crypto';
import { clock, type Sent } from './sender.ts';

const secret = 'SECRET-OF-UNSIGNED-IDS-0001';
/** Turns the sources on. */
export const unsignedIdsEnvironment: Record<string, string> = {
  SHOPIFY_WEBHOOK_SECRET: secret,
  WOOCOMMERCE_WEBHOOK_SECRET: secret,
  GITHUB_WEBHOOK_SECRET: secret,
};

export const unsignedIdsSources = ['shopify', 'woocommerce', 'github'] as const;

export interface UnsignedDelivery {
  source: (typeof unsignedIdsSources)[number];
  id: string;
  /** Undefined: its header is left out. */
  topic: string | undefined;
  body: string;
}

export const sha256Of = (body: string) => createHash('sha256').update(body).digest('hex');

/** The id under which such a delivery is stored: WooCommerce's delivery id is not unique, so the body is added. */
export const storedIdOf = ({ source, id, body }: UnsignedDelivery) =>
  source === 'woocommerce' ? `${id}:${sha256Of(body)}` : id;

function headersOf({ source, id, topic, body }: UnsignedDelivery): Record<string, string> {
  const mac = createHmac('sha256', secret).update(body);
  if (source === 'github')
    return {
      'x-hub-signature-256': `sha256=${mac.digest('hex')}`,
      'x-github-delivery': id,
      ...(topic && { 'x-github-event': topic }),
    };
  if (source === 'shopify')
    return {
      'x-shopify-hmac-sha256': mac.digest('base64'),
      'x-shopify-webhook-id': id,
      ...(topic && { 'x-shopify-topic': topic }),
    };
  return {
    'x-wc-webhook-signature': mac.digest('base64'),
    'x-wc-webhook-delivery-id': id,
    ...(topic && { 'x-wc-webhook-topic': topic }),
  };
}

/** @param url of the web process; @returns a record for the books */
export async function sendUnsigned(url: string, delivery: UnsignedDelivery): Promise<Sent> {
  const sentAt = clock();
  const response = await fetch(`${url}/api/webhooks/${delivery.source}`, {
    method: 'POST',
    body: delivery.body,
    headers: { 'content-type': 'application/json', ...headersOf(delivery) },
  });
  const answer = await response.text();
  return {
    eventId: storedIdOf(delivery),
    sha256: sha256Of(delivery.body),
    sentAt,
    repliedAt: clock(),
    status: response.status,
    duplicate: (JSON.parse(answer) as { duplicate?: boolean }).duplicate ?? null,
    retryAfter: response.headers.get('retry-after'),
    answer,
  };
}
