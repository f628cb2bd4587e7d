-- What needs a person: one row per alert, and the messages about it that wait to be sent.

CREATE TABLE alerts (
  kind text NOT NULL,
  source text NOT NULL DEFAULT '',
  topic text NOT NULL DEFAULT '',
  error_class text NOT NULL DEFAULT '',
  facts jsonb NOT NULL,
  began_at timestamptz NOT NULL,
  raised_at timestamptz,
  told_at timestamptz,
  told_count integer NOT NULL DEFAULT 0,
  acknowledged_at timestamptz,
  acknowledged_by text,
  cleared_at timestamptz,
  PRIMARY KEY (kind, source, topic, error_class),
  CONSTRAINT acknowledged_by_somebody CHECK ((acknowledged_at IS NULL) = (acknowledged_by IS NULL)),
  CONSTRAINT raised_before_told CHECK (told_at IS NULL OR raised_at IS NOT NULL)
);
COMMENT ON TABLE alerts IS 'What needs a person now: one row per alert, deleted when it is resolved. Written by web and worker, by one process at a time.';
COMMENT ON COLUMN alerts.kind IS 'dead_letters, oldest_pending, everything_rejected, silence, lost_secret, no_worker, no_web, connections or database_size.';
COMMENT ON COLUMN alerts.source IS 'The source that the alert is about; empty where it is about no source.';
COMMENT ON COLUMN alerts.topic IS 'Of dead letters: their topic; otherwise empty.';
COMMENT ON COLUMN alerts.error_class IS 'Of dead letters: the name of their last error, e.g. TypeError; otherwise empty.';
COMMENT ON COLUMN alerts.facts IS 'Counts, seconds and names that the message tells. Never a payload, never the text of an error.';
COMMENT ON COLUMN alerts.began_at IS 'When the condition was first seen.';
COMMENT ON COLUMN alerts.raised_at IS 'When the condition had lasted long enough; NULL: not yet, and nobody was told.';
COMMENT ON COLUMN alerts.told_at IS 'When the last message about it was written.';
COMMENT ON COLUMN alerts.told_count IS 'The count of facts at that time: an alert that has grown tenfold is told again.';
COMMENT ON COLUMN alerts.acknowledged_at IS 'When somebody acknowledged it: no reminder comes. UPDATE alerts SET acknowledged_at = now(), acknowledged_by = …';
COMMENT ON COLUMN alerts.acknowledged_by IS 'Who acknowledged it.';
COMMENT ON COLUMN alerts.cleared_at IS 'Since when the condition does not hold any more; the alert is resolved once that has lasted long enough.';
COMMENT ON CONSTRAINT acknowledged_by_somebody ON alerts IS 'An acknowledgement has a time and a name.';
COMMENT ON CONSTRAINT raised_before_told ON alerts IS 'Nobody is told of a condition that has not lasted long enough.';

CREATE TABLE alert_messages (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  message_id uuid NOT NULL DEFAULT gen_random_uuid(),
  edge text NOT NULL CHECK (edge IN ('raised', 'reminder', 'resolved', 'test')),
  alerts jsonb NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now(),
  tries integer NOT NULL DEFAULT 0,
  next_try_at timestamptz NOT NULL DEFAULT now(),
  sent_at timestamptz,
  given_up_at timestamptz,
  last_error text
);
CREATE INDEX alert_messages_unsent ON alert_messages (id) WHERE sent_at IS NULL AND given_up_at IS NULL;
COMMENT ON TABLE alert_messages IS 'Messages to ALERT_URL, written in the transaction that changes the alerts, and sent afterwards. Rows of more than 30 days ago are deleted.';
COMMENT ON COLUMN alert_messages.id IS 'In the order of writing, which is the order of sending.';
COMMENT ON COLUMN alert_messages.message_id IS 'The header webhook-id, the same in each try.';
COMMENT ON COLUMN alert_messages.edge IS 'raised, reminder (a day later, or grown tenfold), resolved, or test.';
COMMENT ON COLUMN alert_messages.alerts IS 'The alerts that the message is about.';
COMMENT ON COLUMN alert_messages.created_at IS 'When it was written.';
COMMENT ON COLUMN alert_messages.tries IS 'How often it was sent.';
COMMENT ON COLUMN alert_messages.next_try_at IS 'Not sent before that time. A process that sends it moves this time on first: no other process sends it meanwhile.';
COMMENT ON COLUMN alert_messages.sent_at IS 'When the endpoint answered 2xx.';
COMMENT ON COLUMN alert_messages.given_up_at IS 'When it was given up: after a day without success, or at the answer 410.';
COMMENT ON COLUMN alert_messages.last_error IS 'Why the last try failed.';
COMMENT ON INDEX alert_messages_unsent IS 'The messages to be sent.';
