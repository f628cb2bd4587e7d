-- The example shop's own tables. `postbell migrate` runs this file after Postbell's migrations, on every deploy:
-- so every statement is idempotent. In a schema of its own: your database may have a table `orders`, too.
--
-- payments, loyalty_points and tracking_scans have no key that would hide a double. None is needed: a handler's
-- writes and the event's PROCESSED are one commit.

CREATE SCHEMA IF NOT EXISTS example_shop;
COMMENT ON SCHEMA example_shop IS 'The example shop of Postbell''s repository (handlers/): may be dropped, and so may its handlers.';

CREATE TABLE IF NOT EXISTS example_shop.orders (
  payment_intent text PRIMARY KEY,
  order_id text NOT NULL,
  status text NOT NULL,
  currency text NOT NULL,
  amount_paid bigint NOT NULL DEFAULT 0,
  amount_refunded bigint NOT NULL DEFAULT 0,
  awaiting_since timestamptz,
  paid_at timestamptz,
  CONSTRAINT status_is_known CHECK (status IN ('awaiting funds', 'paid', 'refunded')),
  CONSTRAINT paid_has_time CHECK ((status = 'awaiting funds') = (paid_at IS NULL)),
  CONSTRAINT refund_was_paid CHECK (amount_refunded BETWEEN 0 AND amount_paid)
);
COMMENT ON TABLE example_shop.orders IS 'One row per payment intent. Amounts are in the currency''s smallest unit, as Stripe sends them.';

CREATE TABLE IF NOT EXISTS example_shop.payments (
  payment_intent text NOT NULL,
  amount bigint NOT NULL,
  currency text NOT NULL,
  booked_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE example_shop.payments IS 'The book-keeping: one row per payment that arrived.';

CREATE TABLE IF NOT EXISTS example_shop.loyalty_rates (
  currency text PRIMARY KEY,
  points_per_unit numeric NOT NULL CHECK (points_per_unit >= 0)
);
COMMENT ON TABLE example_shop.loyalty_rates IS 'Points for one unit (1.00) of a currency.';
INSERT INTO example_shop.loyalty_rates (currency, points_per_unit) VALUES ('EUR', 1), ('USD', 0.9) ON CONFLICT DO NOTHING;

CREATE TABLE IF NOT EXISTS example_shop.loyalty_points (
  order_id bigint NOT NULL,
  customer_id bigint NOT NULL,
  points integer NOT NULL,
  given_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE example_shop.loyalty_points IS 'What each order gave its customer. order_id is Shopify''s.';

CREATE TABLE IF NOT EXISTS example_shop.customers (
  id bigint PRIMARY KEY,
  points bigint NOT NULL
);
COMMENT ON TABLE example_shop.customers IS 'Balances: the sum of loyalty_points. id is Shopify''s.';

CREATE TABLE IF NOT EXISTS example_shop.shipments (
  tracking_number text PRIMARY KEY,
  status text NOT NULL,
  last_scan_at timestamptz NOT NULL
);
COMMENT ON TABLE example_shop.shipments IS 'Where a parcel is: its newest scan.';

CREATE TABLE IF NOT EXISTS example_shop.tracking_scans (
  tracking_number text NOT NULL,
  scanned_at timestamptz NOT NULL,
  code text NOT NULL,
  description text NOT NULL
);
CREATE INDEX IF NOT EXISTS tracking_scans_number ON example_shop.tracking_scans (tracking_number, scanned_at);
COMMENT ON TABLE example_shop.tracking_scans IS 'The history of each parcel.';
