-- A job carries up to 16 events, and the row alone counts its event's failures: pg-boss's counters belong to the job.
ALTER TABLE webhook_events ADD COLUMN failures webhook_count NOT NULL DEFAULT 0;
COMMENT ON COLUMN webhook_events.failures IS 'Failed attempts since the event was last enqueued afresh; MAX_ATTEMPTS of them make it FAILED. A replay sets it to 0.';
COMMENT ON COLUMN webhook_events.job_id IS 'The pg-boss job whose list has the event; NULL makes the reconciler insert a job.';

-- Before this migration the job counted, one event per job. An event that is being retried keeps its failures.
UPDATE webhook_events e SET failures = (
    SELECT count(*) FROM failed_attempts f
    WHERE f.source = e.source AND f.event_id = e.event_id AND f.job_id = e.job_id)
  WHERE status = 'PENDING' AND attempts > 0;

CREATE OR REPLACE FUNCTION webhook_events_complete_status() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  -- No change; or the worker's own PENDING → PROCESSED, which is complete already and must be quick. Asked here and not
  -- in a WHEN of the trigger, which Postgres would read from the catalogue anew in each statement (20 µs).
  IF NEW.status = OLD.status
    OR (NEW.status = 'PROCESSED' AND NEW.processed_at IS NOT NULL AND NEW.ignored_reason IS NULL) THEN
    RETURN NEW;
  ELSIF NEW.status = 'PENDING' THEN
    NEW.job_id := NULL;
    NEW.deferrals := 0;
    NEW.failures := 0;
    NEW.processed_at := NULL;
    NEW.ignored_reason := NULL;
    -- Postgres merges equal notifications, so a transaction wakes the reconciler once.
    PERFORM pg_notify('postbell', 'replay');
  ELSIF NEW.status = 'PROCESSED' THEN
    NEW.processed_at := coalesce(NEW.processed_at, now());
    NEW.ignored_reason := NULL;
  ELSIF NEW.status = 'FAILED' THEN
    NEW.last_error := coalesce(NEW.last_error, 'set to FAILED by hand');
    NEW.processed_at := NULL;
    NEW.ignored_reason := NULL;
  ELSIF NEW.status = 'IGNORED' THEN
    NEW.ignored_reason := coalesce(NEW.ignored_reason, 'set to IGNORED by hand');
    NEW.processed_at := NULL;
  END IF;
  RETURN NEW;
END
$$;

-- An event that was lost with its worker is in the queue webhooks-isolated instead.
DROP TABLE lone_attempts;
