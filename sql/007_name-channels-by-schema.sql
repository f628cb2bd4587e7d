-- Several Postbells may live in one database, each in a schema of its own: a replay wakes the workers of its schema only.
-- In the schema public the channel keeps its name, so that workers of before this migration hear it.
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
    PERFORM pg_catalog.pg_notify(
      CASE TG_TABLE_SCHEMA WHEN 'public' THEN 'postbell' ELSE 'postbell_' || TG_TABLE_SCHEMA END, 'replay');
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

-- The comments that show SQL name the schema where it is not the default.
DO $$
DECLARE events text := quote_ident(current_schema()) || '.webhook_events';
BEGIN
  IF current_schema() <> 'public' THEN
    EXECUTE format('COMMENT ON VIEW dead_letters IS %L', 'Events that FAILED: what, why and when. Replay one: UPDATE '
      || events || ' SET status = ''PENDING'' WHERE source = … AND event_id = …');
  END IF;
END
$$;
