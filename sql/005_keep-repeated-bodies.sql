-- A body that comes again under another id, where the signature does not cover the id: it is kept, and runs once.

-- One body under two topics is two events: the index of before swallowed the second.
DROP INDEX webhook_events_unique_body;
CREATE UNIQUE INDEX webhook_events_unique_body ON webhook_events (source, body_sha256, topic) WHERE unique_body;
CREATE INDEX webhook_events_suspected ON webhook_events (source, body_sha256, received_at)
  WHERE ignored_reason LIKE 'suspected replay of %';

-- One CHECK for both rules: Postgres reads each from the catalogue anew in every statement.
ALTER TABLE webhook_events DROP CONSTRAINT ignored_has_reason;
ALTER TABLE webhook_events ADD CONSTRAINT ignored_has_reason CHECK (
  (status = 'IGNORED') = (ignored_reason IS NOT NULL)
  AND NOT (unique_body AND ignored_reason IS NOT NULL AND ignored_reason LIKE 'suspected replay of %'));

-- Two purged events may have had one body, and each keeps its id: a unique index forgot the second id.
DROP INDEX tombstones_body;
ALTER TABLE tombstones ADD COLUMN topic text, ADD COLUMN received_at timestamptz;
ALTER TABLE tombstones ADD CONSTRAINT topic_and_time_with_body CHECK (
  (topic IS NULL) = (received_at IS NULL) AND (topic IS NULL OR body_sha256 IS NOT NULL));
CREATE INDEX tombstones_body ON tombstones (source, body_sha256, topic) WHERE body_sha256 IS NOT NULL;

COMMENT ON COLUMN webhook_events.unique_body IS 'True for the first event with this body and topic, where the signature does not cover the id. The same body under another id is then a suspected replay.';
COMMENT ON COLUMN webhook_events.ignored_reason IS 'Why it was IGNORED: no handler, stale, suspected replay of <id>.';
COMMENT ON INDEX webhook_events_unique_body IS 'Where the signature does not cover the id: of equal bodies of one topic, the first one runs.';
COMMENT ON INDEX webhook_events_suspected IS 'The suspected replays of one body, to count those of the last hour.';
COMMENT ON CONSTRAINT ignored_has_reason ON webhook_events IS 'IGNORED exactly with a reason; the first event with a body is no suspected replay.';
COMMENT ON TABLE tombstones IS 'Rows that stay after the purge of events, one per event, for ever: a delivery of the same id is a duplicate. 60 to 150 bytes a row.';
COMMENT ON COLUMN tombstones.body_sha256 IS 'Set where unique_body was: the same body under another id is a suspected replay.';
COMMENT ON COLUMN tombstones.topic IS 'The event''s topic, kept with body_sha256; NULL in rows of before version 5, which stand for every topic.';
COMMENT ON COLUMN tombstones.received_at IS 'When the event''s first delivery was committed, kept with body_sha256; NULL in rows of before version 5.';
COMMENT ON INDEX tombstones_body IS 'Finds the purged first event of a body, where the signature does not cover the id.';
COMMENT ON TABLE entity_clock IS 'The newest event applied to each entity; an older one is IGNORED as stale. Kept for ever: an older event may come at any time.';
