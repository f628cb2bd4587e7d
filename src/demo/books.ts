// The ledger: each line compares a number of the client's journal with the receiver's metrics or the database.
import type { EventFigures } from './event-queries.ts';
import { expectedShop } from './expected-shop.ts';
import type { Journal } from './journal.ts';
import type { ShopFigures } from './shop-queries.ts';

export interface BookLine {
  what: string;
  /** Number from the client's journal. */
  expected: number;
  /** Number from the answers, the receiver's metrics or the database. */
  found: number;
}

export interface Found {
  events: EventFigures;
  shop: ShopFigures;
  /** Rejected deliveries by reason, as the receiver's metrics count them. */
  rejections: ReadonlyMap<string, number>;
}

/** The ledger balances when both numbers of every line are equal. */
export function unbalancedLines(lines: readonly BookLine[]): BookLine[] {
  return lines.filter(({ expected, found }) => expected !== found);
}

export function makeBooks(journal: Journal, found: Found): BookLine[] {
  return [
    ...answerLines(journal),
    ...rejectionLines(journal, found),
    ...eventLines(journal, found),
    ...shopLines(journal, found),
  ];
}

function answerLines(journal: Journal): BookLine[] {
  const { genuine, accepted, duplicates, toReject, rejected, wrong } = journal.answers();
  const events = journal.events().length;
  const sent = journal.deliveries.length;
  return [
    { what: 'deliveries sent, and answered', expected: sent, found: accepted + duplicates + rejected },
    { what: 'deliveries answered 200: a new event', expected: events, found: accepted },
    { what: 'deliveries answered 200: a duplicate', expected: genuine - events, found: duplicates },
    { what: 'deliveries answered 401: rejected', expected: sum(toReject.values()), found: rejected },
    { what: 'deliveries with a wrong answer', expected: 0, found: wrong },
  ];
}

function rejectionLines(journal: Journal, { rejections }: Found): BookLine[] {
  const { toReject } = journal.answers();
  const reasons = [...new Set<string>([...toReject.keys(), ...rejections.keys()])].sort();
  return reasons.map((reason) => ({
    what: `rejections counted by the receiver: ${reason}`,
    expected: new Map<string, number>(toReject).get(reason) ?? 0,
    found: rejections.get(reason) ?? 0,
  }));
}

function eventLines(journal: Journal, { events }: Found): BookLine[] {
  const sent = journal.events();
  const answers = journal.answers();
  const ended = (fate: string) => sent.filter((event) => event.fate === fate).length;
  return [
    { what: 'events stored', expected: answers.accepted, found: events.stored },
    { what: 'events answered 200 and lost', expected: 0, found: events.lost },
    { what: 'events stored and never answered 200', expected: 0, found: events.unknown },
    { what: 'duplicates counted on their events', expected: answers.duplicates, found: events.duplicates },
    { what: 'events PROCESSED', expected: ended('PROCESSED'), found: events.processed },
    {
      what: 'events IGNORED (stale, no handler, suspected replay)',
      expected: ended('IGNORED'),
      found: events.ignored,
    },
    { what: 'events FAILED (dead letters)', expected: ended('FAILED'), found: events.failed },
    { what: 'events still PENDING', expected: 0, found: events.pending },
    { what: 'events with a wrong status or number of failures', expected: 0, found: events.otherwise },
    {
      what: 'failed attempts recorded',
      expected: sum(sent.map((event) => event.failures)),
      found: events.failures,
    },
  ];
}

function shopLines(journal: Journal, { shop }: Found): BookLine[] {
  const { orders, points, shipments } = expectedShop(journal.events());
  const inState = (status: string) => orders.filter((order) => order.status === status).length;
  const booked = orders.filter((order) => order.paid > 0);
  const givenPoints = sum(points.map((given) => given.points));
  return [
    { what: 'orders paid', expected: inState('paid'), found: shop.paid },
    { what: 'orders awaiting funds', expected: inState('awaiting funds'), found: shop.awaiting },
    { what: 'orders refunded', expected: inState('refunded'), found: shop.refunded },
    { what: 'orders in a wrong state', expected: 0, found: shop.wrongOrders },
    { what: 'payments booked', expected: booked.length, found: shop.payments },
    {
      what: 'payments booked, cents',
      expected: sum(booked.map((order) => order.paid)),
      found: shop.amountBooked,
    },
    { what: 'orders that gave loyalty points', expected: points.length, found: shop.pointRows },
    { what: 'loyalty points given', expected: givenPoints, found: shop.points },
    { what: 'loyalty points on the balances', expected: givenPoints, found: shop.balances },
    { what: 'orders with missing, double or wrong points', expected: 0, found: shop.wrongPoints },
    { what: 'tracking scans', expected: sum(shipments.map((parcel) => parcel.scans)), found: shop.scans },
    { what: 'parcels whose status is not their newest scan', expected: 0, found: shop.wrongShipments },
  ];
}

function sum(numbers: Iterable<number>): number {
  let total = 0;
  for (const number of numbers) total += number;
  return total;
}
