// Computes the expected rows of the shop's tables from the sent events; shop-queries.ts reads the actual rows.
import type { ShopEvent } from './shop-events.ts';

export interface ExpectedShop {
  orders: { paymentIntent: string; status: string; paid: number; refunded: number }[];
  points: { orderId: number; customerId: number; points: number }[];
  shipments: { trackingNumber: string; status: string; scans: number }[];
}

/** Only events that must end PROCESSED have an effect. */
export function expectedShop(events: readonly ShopEvent[]): ExpectedShop {
  const orders = new Map<string, ExpectedShop['orders'][number]>();
  const points: ExpectedShop['points'] = [];
  const shipments = new Map<string, ExpectedShop['shipments'][number] & { newest: Date }>();
  const orderOf = (paymentIntent: string) => {
    const order = orders.get(paymentIntent) ?? {
      paymentIntent,
      status: 'awaiting funds',
      paid: 0,
      refunded: 0,
    };
    orders.set(paymentIntent, order);
    return order;
  };
  for (const { effect, fate } of events) {
    if (!effect || fate !== 'PROCESSED') continue;
    if (effect.kind === 'points') points.push(effect);
    else if (effect.kind === 'scan') {
      const { trackingNumber, at, description } = effect;
      const known = shipments.get(trackingNumber);
      const isNewest = !known || at > known.newest;
      shipments.set(trackingNumber, {
        trackingNumber,
        scans: (known?.scans ?? 0) + 1,
        status: isNewest ? description : known.status,
        newest: isNewest ? at : known.newest,
      });
    } else {
      const order = orderOf(effect.paymentIntent);
      if (effect.kind === 'paid') order.paid += effect.amount;
      if (effect.kind === 'refunded') order.refunded = effect.amount;
      // The order of the events does not matter: a later state wins.
      if (order.paid > 0) order.status = order.refunded === order.paid ? 'refunded' : 'paid';
    }
  }
  return {
    orders: [...orders.values()],
    points,
    shipments: [...shipments.values()].map(({ newest: _, ...shipment }) => shipment),
  };
}
