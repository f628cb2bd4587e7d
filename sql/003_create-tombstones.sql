-- Ids that outlive the purge of their events (PAYLOAD_RETENTION_DAYS), so that a delivery years later is still a duplicate.

CREATE TABLE tombstones (
  source text NOT NULL,
  event_id text NOT NULL,
  processed_on date,
  purged_on date NOT NULL DEFAULT current_date,
  body_sha256 bytea,
  PRIMARY KEY (source, event_id)
);
CREATE UNIQUE INDEX tombstones_body ON tombstones (source, body_sha256) WHERE body_sha256 IS NOT NULL;

COMMENT ON TABLE tombstones IS 'What is left of an event after its purge: its id, for ever, so that the event is never run again. 60 to 120 bytes a row.';
COMMENT ON COLUMN tombstones.source IS 'The event''s source.';
COMMENT ON COLUMN tombstones.event_id IS 'The event''s id.';
COMMENT ON COLUMN tombstones.processed_on IS 'When it was PROCESSED; NULL if it was IGNORED.';
COMMENT ON COLUMN tombstones.purged_on IS 'When its row was deleted.';
COMMENT ON COLUMN tombstones.body_sha256 IS 'Kept where the signature does not cover the id: the same body under another id is a duplicate then.';
COMMENT ON INDEX tombstones_body IS 'Replay guard where the signature does not cover the id.';
