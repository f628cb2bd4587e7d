// The demo's ledger: it balances for what was sent, and for nothing else.
import t from 'tap';
import { type BookLine, type Found, makeBooks, unbalancedLines } from '../../src/demo/books.ts';
import { createJournal, type ExpectedRejection, type Journal } from '../../src/demo/journal.ts';
import { createShopEvents, type ShopEvent } from '../../src/demo/shop-events.ts';

const now = new Date('2026-03-04T12:00:00Z');

/** A small day: a paid transfer, one that is awaited, a stale one, a refund, two orders, a poisoned one, two scans. */
function smallDay(): { journal: Journal; found: Found; order: ShopEvent; poison: ShopEvent } {
  const make = createShopEvents(() => now);
  const journal = createJournal();
  const send = (event: ShopEvent, times = 1, expectedRejection?: ExpectedRejection) => {
    for (let time = 0; time < times; time++) {
      const status = expectedRejection ? 401 : 200;
      journal.record({
        event,
        expectedRejection,
        status,
        duplicate: expectedRejection ? undefined : time > 0,
      });
    }
    return event;
  };
  send(make.chargePending('pi_1', now));
  send(make.paid('pi_1', 1_000, now), 3);
  send(make.chargePending('pi_2', now));
  send(make.paid('pi_3', 500, now));
  send(make.chargePending('pi_3', now, 'IGNORED'));
  send(make.paid('pi_4', 700, now));
  send(make.refunded('pi_4', 700, now));
  const order = send(make.order(1, 1_250), 2);
  send(make.order(0, 9_900));
  const poison = send(make.poisonOrder(2, 4_000, 5));
  send(make.scan('p', now, 'OD', 'On its way'));
  send(make.scan('p', new Date(now.getTime() - 1_000), 'PU', 'Picked up'));
  send(make.paid('pi_9', 1, now), 1, 'wrong_signature');
  send(make.paid('pi_9', 1, now), 2, 'too_old');
  const found: Found = {
    events: {
      ...{ stored: 12, lost: 0, unknown: 0, duplicates: 3, pending: 0, processed: 10, ignored: 1, failed: 1 },
      ...{ otherwise: 0, failures: 5 },
    },
    shop: {
      ...{ awaiting: 1, paid: 2, refunded: 1, wrongOrders: 0, payments: 3, amountBooked: 2_200 },
      ...{ pointRows: 1, points: 12, wrongPoints: 0, balances: 12, scans: 2, wrongShipments: 0 },
    },
    rejections: new Map([
      ['wrong_signature', 1],
      ['too_old', 2],
    ]),
  };
  return { journal, found, order, poison };
}

const names = (lines: readonly BookLine[]) => lines.map(({ what }) => what);

t.test('the books of a day without a fault balance', async (t) => {
  const { journal, found } = smallDay();
  t.same(unbalancedLines(makeBooks(journal, found)), []);
});

t.test('every figure that is one off makes exactly its own line unbalanced', async (t) => {
  const { journal, found } = smallDay();
  const lines = makeBooks(journal, found);
  for (const part of ['events', 'shop'] as const) {
    for (const [name, value] of Object.entries(found[part])) {
      for (const wrong of [value + 1, value - 1]) {
        const wrongFound = { ...found, [part]: { ...found[part], [name]: wrong } };
        const unbalanced = unbalancedLines(makeBooks(journal, wrongFound));
        t.equal(unbalanced.length, 1, `${part}.${name}`);
        t.equal(unbalanced[0]?.found, wrong);
        t.ok(names(lines).includes(unbalanced[0]!.what));
      }
    }
  }
});

t.test('a rejection that is missing, too many, or for another reason does not balance', async (t) => {
  const { journal, found } = smallDay();
  const unbalanced = (rejections: Found['rejections']) =>
    names(unbalancedLines(makeBooks(journal, { ...found, rejections })));
  t.same(unbalanced(new Map([['too_old', 2]])), ['rejections counted by the receiver: wrong_signature']);
  t.same(unbalanced(new Map([...found.rejections, ['too_new', 1]])), [
    'rejections counted by the receiver: too_new',
  ]);
});

t.test('a duplicate that was answered as new shows, although the tables look right', async (t) => {
  const { journal, found, order } = smallDay();
  journal.record({ event: order, expectedRejection: undefined, status: 200, duplicate: false });
  t.same(names(unbalancedLines(makeBooks(journal, found))), [
    'deliveries answered 200: a new event',
    'deliveries answered 200: a duplicate',
    'events stored',
  ]);
});

t.test('an answer that was not as it must be shows: none, a 503, a forgery taken for genuine', async (t) => {
  for (const wrong of [
    { expectedRejection: undefined, status: 0, duplicate: undefined },
    { expectedRejection: undefined, status: 503, duplicate: undefined },
    { expectedRejection: undefined, status: 401, duplicate: undefined },
    { expectedRejection: 'too_new' as const, status: 200, duplicate: true },
  ]) {
    const { journal, found, order } = smallDay();
    journal.record({ event: order, ...wrong });
    const unbalanced = names(unbalancedLines(makeBooks(journal, found)));
    t.ok(unbalanced.includes('deliveries with a wrong answer'), `status ${wrong.status}`);
  }
});

t.test('a dead letter that was replayed counts as handled, with its effect', async (t) => {
  const { journal, found, poison } = smallDay();
  poison.fate = 'PROCESSED';
  t.equal(unbalancedLines(makeBooks(journal, found)).length, 5, 'status twice, and its points');
  const { events, shop } = found;
  const after: Found = {
    ...found,
    events: { ...events, processed: 11, failed: 0 },
    shop: { ...shop, pointRows: 2, points: 52, balances: 52 },
  };
  t.same(unbalancedLines(makeBooks(journal, after)), []);
});
