// Writes the file that wrk sends from: distinct Stripe events of 1 KB, signed, each request equally long.
import { createHmac, randomBytes } from 'node:crypto';
import { closeSync, openSync, writeSync } from 'node:fs';

export const stripeSecret = 'whsec_bench_0123456789abcdefghijklmnopqrstuv';
export const webhookPath = '/api/webhooks/stripe';
const bodyBytes = 1_024;
const idPlaceholder = 'evt_000000000000000000000000';

export interface RequestFile {
  path: string;
  recordBytes: number;
  count: number;
}

export interface SignedEvent {
  id: string;
  headers: Record<string, string>;
  body: Buffer;
}

/** A payment_intent.succeeded as Stripe sends it, filled up to 1,024 bytes. */
function bodyTemplate(createdSeconds: number): string {
  const text = (description: string) =>
    JSON.stringify({
      id: idPlaceholder,
      object: 'event',
      api_version: '2026-08-27.basil',
      created: createdSeconds,
      data: {
        object: {
          id: 'pi_3Pq7kR2eZvKYlo2C1d8FhX9a',
          object: 'payment_intent',
          amount: 4200,
          amount_received: 4200,
          capture_method: 'automatic',
          currency: 'eur',
          customer: 'cus_Q8vXg2nT5bLwYd',
          description,
          latest_charge: 'ch_3Pq7kR2eZvKYlo2C1Zx0mUwB',
          livemode: false,
          metadata: { order_id: '1001', cart: 'c-7f3d' },
          payment_method: 'pm_1Pq7kQ2eZvKYlo2CqF4sTgHj',
          payment_method_types: ['card', 'sepa_debit'],
          receipt_email: 'ada@example.com',
          shipping: {
            name: 'Ada Lovelace',
            address: { city: 'London', country: 'GB', postal_code: 'W1J 7NF' },
          },
          status: 'succeeded',
        },
      },
      livemode: false,
      pending_webhooks: 1,
      request: { id: 'req_Yx8Vn2LkQw0RsT', idempotency_key: null },
      type: 'payment_intent.succeeded',
    });
  return text('x'.repeat(bodyBytes - Buffer.byteLength(text(''))));
}

export function signedEvent(secret = stripeSecret): SignedEvent {
  const seconds = Math.floor(Date.now() / 1_000);
  const id = newId();
  const body = Buffer.from(bodyTemplate(seconds).replace(idPlaceholder, id));
  const signature = createHmac('sha256', secret).update(`${seconds}.`).update(body).digest('hex');
  return {
    id,
    headers: { 'content-type': 'application/json', 'stripe-signature': `t=${seconds},v1=${signature}` },
    body,
  };
}

/** @param secret another one than the receiver's makes forgeries */
export function writeRequests(path: string, count: number, secret = stripeSecret): RequestFile {
  const seconds = Math.floor(Date.now() / 1_000);
  const body = Buffer.from(bodyTemplate(seconds));
  const head = [
    `POST ${webhookPath} HTTP/1.1`,
    'host: 127.0.0.1',
    'user-agent: Stripe/1.0 (+https://stripe.com/docs/webhooks)',
    'accept: */*',
    'content-type: application/json; charset=utf-8',
    `content-length: ${bodyBytes}`,
    `stripe-signature: t=${seconds},v1=${'0'.repeat(64)}`,
    '\r\n',
  ].join('\r\n');
  const record = Buffer.concat([Buffer.from(head), body]);
  const signatureAt = head.indexOf('v1=') + 3;
  const idAt = head.length + body.indexOf(idPlaceholder);
  const signedFrom = Buffer.from(`${seconds}.`);

  const perWrite = 1_000;
  const chunk = Buffer.alloc(record.length * perWrite);
  const file = openSync(path, 'w');
  for (let written = 0; written < count; ) {
    const records = Math.min(perWrite, count - written);
    for (let index = 0; index < records; index++) {
      record.write(newId(), idAt, 'latin1');
      const signature = createHmac('sha256', secret).update(signedFrom).update(record.subarray(head.length));
      record.write(signature.digest('hex'), signatureAt, 'latin1');
      record.copy(chunk, index * record.length);
    }
    writeSync(file, chunk, 0, records * record.length);
    written += records;
  }
  closeSync(file);
  return { path, recordBytes: record.length, count };
}

function newId(): string {
  return `evt_${randomBytes(12).toString('hex')}`;
}
