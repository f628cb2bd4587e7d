-- An alert names recoveries that fail: since when, and with which kind of failure.

ALTER TABLE recoveries
  ADD COLUMN failing_since timestamptz,
  ADD COLUMN failure text,
  ADD CONSTRAINT failure_is_known CHECK (failure IN ('key_refused', 'request_refused', 'unavailable', 'unexpected_answer', 'internal')),
  ADD CONSTRAINT failing_has_failure CHECK ((failing_since IS NULL) = (failure IS NULL));

COMMENT ON COLUMN recoveries.failing_since IS 'Start of the first run that failed since the last success; NULL while runs succeed. A run that was interrupted changes nothing.';
COMMENT ON COLUMN recoveries.failure IS 'The kind of the failure: key_refused, request_refused (another 4xx, a redirect), unavailable (5xx, 429, no answer), unexpected_answer (not the JSON of the provider''s API), internal (of Postbell or its database). An API that becomes unavailable says nothing of its key: key_refused stays.';
COMMENT ON CONSTRAINT failure_is_known ON recoveries IS 'The kinds that the alert recover_failing has words for.';
COMMENT ON CONSTRAINT failing_has_failure ON recoveries IS 'A recovery that fails has a kind of failure.';

COMMENT ON COLUMN alerts.kind IS 'dead_letters, oldest_pending, everything_rejected, silence, lost_secret, recover_failing, no_worker, no_web, connections, database_size or quarantine_full.';
