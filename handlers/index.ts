// The example shop's handlers. The list is explicit; where two are for one event, they run in this order.
import loyaltyPoints from './loyalty-points.ts';
import orderAwaitingFunds from './order-awaiting-funds.ts';
import orderPaid from './order-paid.ts';
import orderRefunded from './order-refunded.ts';
import shipmentScanned from './shipment-scanned.ts';

export default [orderAwaitingFunds, orderPaid, orderRefunded, loyaltyPoints, shipmentScanned];
