// The events of the demo's day: bodies as the providers send them, and the expected result of each.
import { createHash } from 'node:crypto';

/** The change that a PROCESSED event must make in the shop's tables, once. */
export type Effect =
  | { kind: 'awaiting'; paymentIntent: string }
  | { kind: 'paid'; paymentIntent: string; amount: number }
  | { kind: 'refunded'; paymentIntent: string; amount: number }
  | { kind: 'points'; orderId: number; customerId: number; points: number }
  | { kind: 'scan'; trackingNumber: string; at: Date; description: string };

export interface ShopEvent {
  source: 'stripe' | 'shopify' | 'fedex';
  topic: string;
  /** The id under which the receiver must store the event. */
  eventId: string;
  body: string;
  /** The expected final status. */
  fate: 'PROCESSED' | 'IGNORED' | 'FAILED';
  /** The expected number of failed attempts. */
  failures: number;
  effect?: Effect;
}

type Outcome = Pick<ShopEvent, 'fate'> & Partial<Pick<ShopEvent, 'failures' | 'effect'>>;

export interface ShopEvents {
  /** A bank transfer was announced. */
  chargePending(paymentIntent: string, created: Date, fate?: 'IGNORED'): ShopEvent;
  paid(paymentIntent: string, amount: number, created: Date): ShopEvent;
  refunded(paymentIntent: string, amount: number, created: Date): ShopEvent;
  /** In another currency than the payment: can never succeed. */
  impossibleRefund(paymentIntent: string, amount: number, created: Date): ShopEvent;
  /** In EUR; customer 0 is a guest. */
  order(customerId: number, cents: number): ShopEvent;
  /** In a currency without a loyalty rate: its handler throws every time, until an operator adds the rate. */
  poisonOrder(customerId: number, cents: number, maxAttempts: number): ShopEvent;
  scan(trackingNumber: string, at: Date, code: string, description: string): ShopEvent;
  /** Makes an event whose topic has no handler. */
  unknownTopic(): ShopEvent;
  /** Correctly signed, but not JSON. */
  unparsable(): ShopEvent;
  /** An old body, correctly signed, under a new id, where the provider's signature does not cover the id. */
  replayOf(event: ShopEvent, newId: string): ShopEvent;
}

const dollarsInstead = 'usd';
const currency = 'eur';
const poisonCurrency = 'SEK';

/** Numbers the ids, so that a reader can follow them; the database is new in each run. */
export function createShopEvents(now: () => Date): ShopEvents {
  let count = 0;
  const nextNumber = () => ++count;

  function stripe(topic: string, object: object, created: Date, outcome: Outcome): ShopEvent {
    const eventId = `evt_${String(nextNumber()).padStart(4, '0')}`;
    const seconds = Math.floor(created.getTime() / 1_000);
    const body = { id: eventId, object: 'event', type: topic, created: seconds, data: { object } };
    return { source: 'stripe', topic, eventId, body: JSON.stringify(body), failures: 0, ...outcome };
  }

  function charge(paymentIntent: string, fields: object): object {
    return {
      id: paymentIntent.replace('pi_', 'ch_'),
      object: 'charge',
      currency,
      payment_intent: paymentIntent,
      metadata: { order_id: orderIdOf(paymentIntent) },
      ...fields,
    };
  }

  function shopifyOrder(
    customerId: number,
    cents: number,
    currencyCode: string,
    outcome: (orderId: number) => Outcome,
  ): ShopEvent {
    const number = nextNumber();
    const orderId = 5_500_000_000_000 + number;
    const body = {
      id: orderId,
      name: `#${number}`,
      currency: currencyCode,
      total_price: (cents / 100).toFixed(2),
      customer: customerId === 0 ? null : { id: customerId, email: `customer-${customerId}@example.com` },
      updated_at: now().toISOString(),
    };
    const eventId = `shopify-${String(number).padStart(4, '0')}`;
    const source = 'shopify';
    return {
      ...{ source, topic: 'orders/create', eventId, body: JSON.stringify(body), failures: 0 },
      ...outcome(orderId),
    };
  }

  /** One point per euro, cents do not count: as in handlers/tables.sql. */
  const points = (orderId: number, customerId: number, cents: number): Effect => ({
    kind: 'points',
    orderId,
    customerId,
    points: Math.floor(cents / 100),
  });

  return {
    chargePending: (paymentIntent, created, fate) =>
      stripe('charge.pending', charge(paymentIntent, { status: 'pending' }), created, {
        fate: fate ?? 'PROCESSED',
        effect: { kind: 'awaiting', paymentIntent },
      }),
    paid: (paymentIntent, amount, created) => {
      const metadata = { order_id: orderIdOf(paymentIntent) };
      const object = {
        id: paymentIntent,
        object: 'payment_intent',
        amount_received: amount,
        currency,
        metadata,
      };
      return stripe('payment_intent.succeeded', object, created, {
        fate: 'PROCESSED',
        effect: { kind: 'paid', paymentIntent, amount },
      });
    },
    refunded: (paymentIntent, amount, created) =>
      stripe('charge.refunded', charge(paymentIntent, { amount_refunded: amount }), created, {
        fate: 'PROCESSED',
        effect: { kind: 'refunded', paymentIntent, amount },
      }),
    impossibleRefund: (paymentIntent, amount, created) => {
      const object = charge(paymentIntent, { amount_refunded: amount, currency: dollarsInstead });
      return stripe('charge.refunded', object, created, { fate: 'FAILED', failures: 1 });
    },
    order: (customerId, cents) =>
      shopifyOrder(customerId, cents, 'EUR', (orderId) => ({
        fate: 'PROCESSED',
        ...(customerId === 0 ? {} : { effect: points(orderId, customerId, cents) }),
      })),
    poisonOrder: (customerId, cents, maxAttempts) =>
      shopifyOrder(customerId, cents, poisonCurrency, (orderId) => ({
        fate: 'FAILED',
        failures: maxAttempts,
        effect: points(orderId, customerId, cents), // after the fix and a replay
      })),
    scan: (trackingNumber, at, code, description) => {
      const scanEvents = [{ date: at.toISOString(), eventType: code, eventDescription: description }];
      const output = { completeTrackResults: [{ trackingNumber, trackResults: [{ scanEvents }] }] };
      const body = JSON.stringify({ output });
      return {
        ...{ source: 'fedex', topic: code, body, fate: 'PROCESSED', failures: 0 },
        // FedEx sends no id: the body's hash is the id.
        eventId: `sha256:${createHash('sha256').update(body).digest('hex')}`,
        effect: { kind: 'scan', trackingNumber, at, description },
      };
    },
    unknownTopic: () =>
      stripe('customer.created', { id: 'cus_1', object: 'customer' }, now(), { fate: 'IGNORED' }),
    unparsable: () => {
      const body = `{"id":"evt_cut_off","type":"payment_intent.succeeded","data":{"obj`;
      return {
        ...{ source: 'stripe', topic: 'unknown', body, fate: 'FAILED', failures: 1 },
        eventId: `sha256:${createHash('sha256').update(body).digest('hex')}`,
      };
    },
    replayOf: ({ effect: _, ...event }, eventId) => ({ ...event, eventId, fate: 'IGNORED', failures: 0 }),
  };
}

/** `pi_1001` pays order 1001. */
function orderIdOf(paymentIntent: string): string {
  return paymentIntent.replace('pi_', '');
}
