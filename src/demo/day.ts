// The day of the demo: the events, their order and repetitions, and the failures.
import type { Queryable } from '../database/database.ts';
import type { DemoClient } from './client.ts';
import { countUnfinished, isDeferred } from './event-queries.ts';
import type { Patience } from './patience.ts';
import { createShopEvents, type ShopEvent } from './shop-events.ts';

export interface DayOptions {
  client: DemoClient;
  database: Queryable;
  /** As the worker's MAX_ATTEMPTS. */
  maxAttempts: number;
  patience: Patience;
  /** One line of progress. */
  say(text: string): void;
}

const concurrentDeliveries = 50;
const cardPayments = 12;
const shopOrders = 30;
const parcels = ['794600000011', '794600000022', '794600000033', '794600000044'];
const scansOfAParcel = [
  ['PU', 'Picked up', 50],
  ['AR', 'Arrived at FedEx hub', 38],
  ['IT', 'In transit', 26],
  ['OD', 'On FedEx vehicle for delivery', 4],
  ['DL', 'Delivered', 1],
] as const;

/** @returns an event that is a dead letter now, and succeeds in a replay once its cause is fixed */
export async function playDay({
  client,
  database,
  maxAttempts,
  patience,
  say,
}: DayOptions): Promise<ShopEvent> {
  const { deliver, forge } = client;
  const make = createShopEvents(() => new Date());
  const hoursAgo = (hours: number) => new Date(Date.now() - hours * 3_600_000);
  const finished = (events: readonly ShopEvent[]) =>
    patience.waitForNone(() => countUnfinished(database, events));
  const deliverAll = (events: readonly ShopEvent[]) => Promise.all(events.map(deliver));

  say('an order in SEK, for which there is no loyalty rate: its handler throws, every time');
  const poison = make.poisonOrder(7007, 99_000, maxAttempts);
  await deliver(poison);

  say(
    'a refund arrives before its payment: the handler throws Later, and the event is deferred without a failure',
  );
  const refund = make.refunded('pi_1900', 2_500, hoursAgo(0.5));
  await deliver(refund);

  say('three bank transfers are announced, three days ago: the orders await their funds');
  const transfers = ['pi_1001', 'pi_1002', 'pi_1003'];
  const announced = transfers.map((intent, index) => make.chargePending(intent, hoursAgo(72 + index)));
  await deliverAll(announced);
  await finished(announced);

  say(`${cardPayments} card payments`);
  const cards = Array.from({ length: cardPayments }, (_, index) =>
    make.paid(`pi_${1100 + index}`, 1_990 + index * 350, hoursAgo(20 - index)),
  );
  await deliverAll(cards);

  say(`${shopOrders} Shopify orders of six customers and some guests: loyalty points`);
  const orders = Array.from({ length: shopOrders }, (_, index) =>
    make.order(index % 7 === 0 ? 0 : 7_000 + (index % 6) + 1, 1_250 + index * 333),
  );
  await deliverAll(orders);

  say('four parcels: their scans arrive in any order; the newest scan is the status');
  const scans = parcels.flatMap((parcel, index) =>
    scansOfAParcel
      .slice(0, scansOfAParcel.length - index)
      .map(([code, description, hours]) => make.scan(parcel, hoursAgo(hours), code, description)),
  );
  await deliverAll(shuffled(scans));

  say('two of the bank transfers arrive, three days after their announcement; the third is still missing');
  await deliverAll([make.paid('pi_1001', 48_000, hoursAgo(2)), make.paid('pi_1002', 125_000, hoursAgo(1))]);

  say('two pairs in the wrong order: the older event comes last and is IGNORED as stale');
  const firsts = ['pi_1201', 'pi_1202'].map((intent) => make.paid(intent, 7_700, hoursAgo(3)));
  await deliverAll(firsts);
  await finished(firsts);
  await deliverAll(
    ['pi_1201', 'pi_1202'].map((intent) => make.chargePending(intent, hoursAgo(75), 'IGNORED')),
  );

  say('providers deliver again: 25 deliveries arrive a second and a third time');
  const repeated = [...cards.slice(0, 10), ...orders.slice(0, 10), ...scans.slice(0, 5)];
  for (const event of repeated) await deliver(event);
  await deliverAll(repeated);

  say(`one order and one payment, each in ${concurrentDeliveries} concurrent deliveries`);
  const contested = [make.order(7_001, 9_900), make.paid('pi_1300', 3_300, hoursAgo(1))];
  for (const event of contested) {
    await Promise.all(Array.from({ length: concurrentDeliveries }, () => deliver(event)));
  }

  say('forgeries: a changed body, a wrong secret, no signature, ten minutes old, ten minutes ahead');
  const neverPaid = make.paid('pi_6666', 1, hoursAgo(1));
  for (const forgery of ['changed body', 'wrong secret', 'unsigned', 'too old', 'too new'] as const) {
    await forge(neverPaid, forgery);
  }
  await forge(make.order(7_002, 100_000), 'changed body');
  await forge(make.scan('794600000099', hoursAgo(1), 'DL', 'Delivered'), 'wrong secret');
  say(
    'an old, correctly signed order under a new id (Shopify does not sign the id): stored as a suspected replay',
  );
  await deliver(make.replayOf(orders[1]!, 'shopify-replayed'));

  say('an event without a handler, a body that is cut off, a refund in the wrong currency');
  await deliverAll([make.unknownTopic(), make.unparsable()]);
  await finished(cards);
  await deliver(make.impossibleRefund('pi_1100', 1_990, hoursAgo(0.2)));

  say('the payment of the early refund arrives');
  await patience.waitForNone(async () => ((await isDeferred(database, refund)) ? 0 : 1));
  await deliver(make.paid('pi_1900', 2_500, hoursAgo(1)));

  say('waiting for the worker: the deferred refund runs again, the order in SEK fails five times');
  await finished([poison, refund]);
  return poison;
}

/** Another order of the items, the same in every run. */
function shuffled<T>(items: readonly T[]): T[] {
  return items
    .map((item, index) => ({ item, key: (index * 7 + 3) % items.length }))
    .sort((a, b) => a.key - b.key)
    .map(({ item }) => item);
}
