// Shipments of the example shop: scans in any order, the newest says where the parcel is.
import t from 'tap';
import { openShop, tablesSql } from './shop.ts';

const shop = await openShop(t);

function ringScans(trackingNumber: string, scans: [date: string, code: string, description: string][]) {
  const scanEvents = scans.map(([date, eventType, eventDescription]) => ({
    date,
    eventType,
    eventDescription,
  }));
  const output = { completeTrackResults: [{ trackingNumber, trackResults: [{ scanEvents }] }] };
  return shop.ring('fedex', scans[0]![1], { output });
}

const shipment = (trackingNumber: string) =>
  shop.sql('SELECT status, last_scan_at FROM example_shop.shipments WHERE tracking_number = $1', [
    trackingNumber,
  ]);
const history = (trackingNumber: string) =>
  shop.sql('SELECT code FROM example_shop.tracking_scans WHERE tracking_number = $1 ORDER BY scanned_at', [
    trackingNumber,
  ]);

t.test('late scans join the history, and the newest stays the status', async (t) => {
  const scans = [
    ['2026-03-03T10:00:00-06:00', 'OD', 'Out for delivery'],
    ['2026-03-01T08:00:00Z', 'PU', 'Picked up'],
    ['2026-03-03T15:59:59Z', 'AR', 'At local facility'], // a second before the first one, in another zone
  ] as const;
  for (const scan of scans) {
    const row = await shop.becomes(await ringScans('111', [[...scan]]), 'PROCESSED');
    t.equal(row.entity, '111');
  }
  t.same(await shipment('111'), [
    { status: 'Out for delivery', last_scan_at: new Date('2026-03-03T16:00:00Z') },
  ]);
  t.same(await history('111'), [{ code: 'PU' }, { code: 'AR' }, { code: 'OD' }]);
});

t.test('scans that come all at once are all kept, whoever is first', async (t) => {
  const rungs = await Promise.all(
    Array.from({ length: 20 }, (_, hour) =>
      ringScans('222', [[`2026-03-01T${String(hour).padStart(2, '0')}:00:00Z`, 'IT', `Hour ${hour}`]]),
    ),
  );
  for (const rung of rungs) await shop.becomes(rung, 'PROCESSED');
  t.match(await shipment('222'), [{ status: 'Hour 19' }]);
  t.equal((await history('222')).length, 20);
});

t.test('one notification may hold several scans; delivered again, it counts once', async (t) => {
  const scans: Parameters<typeof ringScans>[1] = [
    ['2026-03-02T00:00:00Z', 'DL', 'Delivered'],
    ['2026-03-01T00:00:00Z', 'PU', 'Picked up'],
  ];
  await shop.becomes(await ringScans('333', scans), 'PROCESSED');
  t.equal((await ringScans('333', scans)).duplicate, true);
  t.match(await shipment('333'), [{ status: 'Delivered' }]);
  t.same(await history('333'), [{ code: 'PU' }, { code: 'DL' }]);
});

t.test('a scan without a zone is a dead letter: nobody could tell which is newer', async (t) => {
  const rung = await ringScans('444', [['2026-03-02T00:00:00', 'DL', 'Delivered']]);
  t.match(await shop.becomes(rung, 'FAILED'), { attempts: 1, last_error: /scanEvents\.0\.date/ });
  t.same(await shipment('444'), []);
});

t.test('the tables may be made again and again, and keep what they hold', async (t) => {
  const before = await shop.sql('SELECT * FROM example_shop.shipments ORDER BY 1');
  await shop.sql(tablesSql);
  await shop.sql(tablesSql);
  t.same(await shop.sql('SELECT * FROM example_shop.shipments ORDER BY 1'), before);
  t.ok(before.length > 0);
});
