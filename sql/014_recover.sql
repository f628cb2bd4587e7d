-- Events that no webhook brought: how each event came in, and how far each source was recovered.

-- The CHECK is added after the column: a column of a domain with a CHECK would make Postgres rewrite the table. NOT VALID:
-- every row has the default, so nothing has to be read.
CREATE DOMAIN webhook_received_by AS text;
ALTER TABLE webhook_events ADD COLUMN received_by webhook_received_by NOT NULL DEFAULT 'webhook';
ALTER DOMAIN webhook_received_by
  ADD CONSTRAINT received_by_is_known CHECK (VALUE IN ('webhook', 'pull', 'redelivery', 'quarantine')) NOT VALID;

COMMENT ON DOMAIN webhook_received_by IS 'webhook, pull, redelivery or quarantine.';
COMMENT ON COLUMN webhook_events.received_by IS 'webhook: the provider sent it. pull: read from the provider''s list of events, unsigned. redelivery: the provider sent it again because Postbell asked; says webhook if it came later than 30 s after the request. quarantine: reserved.';

CREATE TABLE recoveries (
  source webhook_source PRIMARY KEY,
  recovered_until timestamptz,
  run_since timestamptz,
  run_until timestamptz,
  run_cursor text CHECK (length(run_cursor) BETWEEN 1 AND 2000),
  started_at timestamptz NOT NULL,
  ended_at timestamptz,
  pages webhook_count NOT NULL DEFAULT 0,
  recovered webhook_count NOT NULL DEFAULT 0,
  known webhook_count NOT NULL DEFAULT 0,
  asked webhook_count NOT NULL DEFAULT 0,
  last_error text,
  CONSTRAINT open_run_has_window CHECK ((run_since IS NULL) = (run_until IS NULL) AND (run_cursor IS NULL OR run_since IS NOT NULL))
);

COMMENT ON TABLE recoveries IS 'One row per source that was recovered (postbell recover, RECOVER_MINUTES): how far, and its last run.';
COMMENT ON COLUMN recoveries.source IS 'The source.';
COMMENT ON COLUMN recoveries.recovered_until IS 'The provider was asked for everything before this time. The next run begins 15 minutes earlier. NULL before the first complete run.';
COMMENT ON COLUMN recoveries.run_since IS 'Start of the stretch that the unfinished run asks for; NULL if the last run was complete.';
COMMENT ON COLUMN recoveries.run_until IS 'End of that stretch: when the run was begun.';
COMMENT ON COLUMN recoveries.run_cursor IS 'The provider''s name for the next page of the unfinished run. The events of every page before it are committed.';
COMMENT ON COLUMN recoveries.started_at IS 'Start of the last run.';
COMMENT ON COLUMN recoveries.ended_at IS 'End of the last run, also of one that failed; NULL while it runs, or if its process died.';
COMMENT ON COLUMN recoveries.pages IS 'Pages that the last run read.';
COMMENT ON COLUMN recoveries.recovered IS 'Events that the last run brought.';
COMMENT ON COLUMN recoveries.known IS 'Events that the last run found in the inbox already.';
COMMENT ON COLUMN recoveries.asked IS 'Deliveries that the last run asked the provider to send again.';
COMMENT ON COLUMN recoveries.last_error IS 'Why the last run did not get to its end; NULL if it did. Never a key.';
