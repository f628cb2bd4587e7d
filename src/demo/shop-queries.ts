// Compares the shop's tables at the end of the day with the expected rows.
import type { Queryable } from '../database/database.ts';
import type { ExpectedShop } from './expected-shop.ts';

export interface ShopFigures {
  awaiting: number;
  paid: number;
  refunded: number;
  /** Orders that are missing, unexpected, or have a wrong state or amount. */
  wrongOrders: number;
  payments: number;
  amountBooked: number;
  pointRows: number;
  points: number;
  /** Orders whose points are missing, double, wrong or unexpected. */
  wrongPoints: number;
  balances: number;
  scans: number;
  /** Parcels whose status is not their newest scan, or whose number of scans is wrong. */
  wrongShipments: number;
}

export async function readShopFigures(database: Queryable, expected: ExpectedShop): Promise<ShopFigures> {
  const { rows } = await database.query<ShopFigures & Record<string, unknown>>({
    text: `
      WITH expected_orders AS (
        SELECT * FROM jsonb_to_recordset($1::jsonb->'orders')
          AS o ("paymentIntent" text, status text, paid bigint, refunded bigint)
      ), expected_points AS (
        SELECT * FROM jsonb_to_recordset($1::jsonb->'points')
          AS p ("orderId" bigint, "customerId" bigint, points int)
      ), expected_shipments AS (
        SELECT * FROM jsonb_to_recordset($1::jsonb->'shipments')
          AS s ("trackingNumber" text, status text, scans int)
      )
      SELECT
        (SELECT count(*) FROM example_shop.orders WHERE status = 'awaiting funds')::int AS awaiting,
        (SELECT count(*) FROM example_shop.orders WHERE status = 'paid')::int AS paid,
        (SELECT count(*) FROM example_shop.orders WHERE status = 'refunded')::int AS refunded,
        (SELECT count(*) FROM expected_orders e FULL JOIN example_shop.orders o ON o.payment_intent = e."paymentIntent"
         WHERE (e.status, e.paid, e.refunded) IS DISTINCT FROM (o.status, o.amount_paid, o.amount_refunded)
        )::int AS "wrongOrders",
        (SELECT count(*) FROM example_shop.payments)::int AS payments,
        (SELECT coalesce(sum(amount), 0) FROM example_shop.payments)::float8 AS "amountBooked",
        (SELECT count(*) FROM example_shop.loyalty_points)::int AS "pointRows",
        (SELECT coalesce(sum(points), 0) FROM example_shop.loyalty_points)::int AS points,
        (SELECT count(*) FROM expected_points e FULL JOIN (
           SELECT order_id, min(customer_id) AS customer_id, sum(points) AS points, count(*) AS times
           FROM example_shop.loyalty_points GROUP BY order_id
         ) l ON l.order_id = e."orderId"
         WHERE (l.times, l.customer_id, l.points) IS DISTINCT FROM (1, e."customerId", e.points)
        )::int AS "wrongPoints",
        (SELECT coalesce(sum(points), 0) FROM example_shop.customers)::int AS balances,
        (SELECT count(*) FROM example_shop.tracking_scans)::int AS scans,
        (SELECT count(*) FROM expected_shipments e FULL JOIN (
           SELECT s.tracking_number, s.status, (SELECT count(*) FROM example_shop.tracking_scans t
             WHERE t.tracking_number = s.tracking_number) AS scans FROM example_shop.shipments s
         ) s ON s.tracking_number = e."trackingNumber"
         WHERE (s.status, s.scans) IS DISTINCT FROM (e.status, e.scans)
        )::int AS "wrongShipments"`,
    values: [JSON.stringify(expected)],
  });
  return rows[0]!;
}

export interface ShopTables {
  orders: { status: string; count: number; paid: string; refunded: string }[];
  customers: { customer: string; orders: number; points: string; balance: string }[];
  shipments: { parcel: string; status: string; scans: number; newest_scan: Date }[];
}

/** The rows that the demo prints. */
export async function readShopTables(database: Queryable): Promise<ShopTables> {
  const rowsOf = async <R extends Record<string, unknown>>(text: string) =>
    (await database.query<R>(text)).rows;
  return {
    orders: await rowsOf(
      `SELECT status, count(*)::int AS count, sum(amount_paid)::text AS paid, sum(amount_refunded)::text AS refunded
       FROM example_shop.orders GROUP BY status ORDER BY status`,
    ),
    customers: await rowsOf(
      `SELECT c.id::text AS customer, count(l.*)::int AS orders, coalesce(sum(l.points), 0)::text AS points,
         c.points::text AS balance
       FROM example_shop.customers c LEFT JOIN example_shop.loyalty_points l ON l.customer_id = c.id GROUP BY c.id ORDER BY c.id`,
    ),
    shipments: await rowsOf(
      `SELECT s.tracking_number AS parcel, s.status, s.last_scan_at AS newest_scan, count(t.*)::int AS scans
       FROM example_shop.shipments s LEFT JOIN example_shop.tracking_scans t USING (tracking_number)
       GROUP BY s.tracking_number ORDER BY s.tracking_number`,
    ),
  };
}

/** Fixes the cause of the poison order's failure. @returns the statement */
export async function addLoyaltyRate(database: Queryable): Promise<string> {
  const statement = `INSERT INTO example_shop.loyalty_rates (currency, points_per_unit) VALUES ('SEK', 1)`;
  await database.query(statement);
  return statement;
}
