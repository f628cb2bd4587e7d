-- What the benchmark's handlers write; the peers' workers write the same.
CREATE TABLE IF NOT EXISTS effects (
  event_id text PRIMARY KEY,
  amount bigint NOT NULL,
  at timestamptz NOT NULL DEFAULT clock_timestamp()
);
