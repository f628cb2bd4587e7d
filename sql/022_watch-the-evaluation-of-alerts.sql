-- When the alerts were evaluated last: where a living worker does not get it done, web does.

CREATE TABLE alert_evaluation (
  only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
  evaluated_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE alert_evaluation IS 'One row: the last evaluation of the alerts that succeeded, by whichever process. If it is older than 3 intervals, web evaluates although a worker is alive.';
COMMENT ON COLUMN alert_evaluation.only_row IS 'Always true: there is one row.';
COMMENT ON COLUMN alert_evaluation.evaluated_at IS 'When the alerts were evaluated last.';

COMMENT ON COLUMN alerts.kind IS 'dead_letters, oldest_pending, everything_rejected, silence, lost_secret, recover_failing, no_worker, no_web, connections, database_size, quarantine_full or replay_flood.';
COMMENT ON COLUMN alerts.facts IS 'Counts, seconds and names for the message. orMore: there are more than count. Never a payload, never the text of an error.';
COMMENT ON COLUMN alert_messages.given_up_at IS 'When it was given up: after a day without success, at the answer 410, or at the fifth answer 4xx (other than 408 and 429).';
COMMENT ON COLUMN rejection_counts.reason IS 'wrong_signature, missing_header, too_old, no_secret, too_large, …, before the closer look that rejected_requests has; replay_flood: answered 503, because more than 100 suspected replays of its body came within an hour.';
COMMENT ON COLUMN webhook_stats.duplicates IS 'Further deliveries of these events. A delivery that comes after its event''s hour was counted last is not added.';
