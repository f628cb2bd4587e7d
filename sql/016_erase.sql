-- Erasure: the body of an event goes, its id, topic and times stay, so that a further delivery is still a duplicate.

-- First: a replay on the page locks this table before webhook_events, too.
ALTER TABLE operator_actions DROP CONSTRAINT operator_actions_action_check;
ALTER TABLE operator_actions ADD CONSTRAINT operator_actions_action_check CHECK (action IN ('replay', 'run_now', 'ignore', 'promote', 'erase'));
COMMENT ON TABLE operator_actions IS 'One row per change made on the operators'' page, and per postbell erase, kept for ever. A replay that has not ended can be continued.';
COMMENT ON COLUMN operator_actions.operator IS 'The name typed at sign-in, ops without one; at the command line the user of the machine. All operators share a password: the name is not proven.';
COMMENT ON COLUMN operator_actions.action IS 'replay, run_now (a waiting event runs at once), ignore, promote (requests of the quarantine) or erase.';
COMMENT ON COLUMN operator_actions.filter IS 'The filter that chose the events; source and eventId for a single event; of erase the path alone, never the value.';
COMMENT ON COLUMN operator_actions.ended_at IS 'When no event was left; NULL: it goes on, or was left unfinished. An erase that was left unfinished is run again by the same command.';

ALTER TABLE webhook_events ADD COLUMN erased_at timestamptz;
-- The hash of a short body could be guessed.
ALTER TABLE webhook_events ALTER COLUMN body_sha256 DROP NOT NULL;

-- One CHECK for both rules: Postgres reads each from the catalogue anew in every statement. NOT VALID: no row is erased yet, and
-- the rule of before held for every row, so nothing has to be read.
ALTER TABLE webhook_events DROP CONSTRAINT nothing_lost;
ALTER TABLE webhook_events ADD CONSTRAINT nothing_lost CHECK (
  CASE WHEN erased_at IS NULL THEN (payload IS NOT NULL OR raw_body IS NOT NULL) AND body_sha256 IS NOT NULL
  ELSE status IN ('PROCESSED', 'IGNORED') AND payload = '{"erased": true}' AND raw_body IS NULL AND headers = '{}'
    AND body_sha256 IS NULL AND NOT unique_body AND last_error IS NULL AND entity IS NULL AND traceparent IS NULL
    AND (status <> 'IGNORED' OR ignored_reason = 'erased') END) NOT VALID;

COMMENT ON COLUMN webhook_events.erased_at IS 'When postbell erase removed its body; payload is {"erased": true} since, and it never runs again. NULL: not erased.';
COMMENT ON COLUMN webhook_events.body_sha256 IS 'SHA-256 of the body; where one body carries several events, of its item''s JSON text; where a form''s fields are signed (Twilio, Plivo), of these, sorted. With what else sets one event apart where its id is not signed: of the signed time, a line feed and the body (Sanity, Zendesk, QStash); of the signed token alone (Mailgun). With <SOURCE>_REDACT and REDACT_KEY, its HMAC by that key. NULL: erased.';
COMMENT ON COLUMN webhook_events.ignored_reason IS 'Why it was IGNORED: no handler, stale, suspected replay of <id>, erased.';
COMMENT ON COLUMN webhook_events.raw_body IS 'The exact bytes, where jsonb cannot hold them or STORE_RAW_BODY asked for them. With <SOURCE>_REDACT never the exact bytes: only where jsonb cannot hold the body, its JSON without the removed values, or a text that says why nothing was kept.';
COMMENT ON CONSTRAINT nothing_lost ON webhook_events IS 'Payload or bytes are there; an erased event has neither, nor anything else of its body, and is settled.';

CREATE OR REPLACE FUNCTION webhook_events_complete_status() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  -- No change; or the worker's own PENDING → PROCESSED, which is complete already and must be quick. Asked here and not
  -- in a WHEN of the trigger, which Postgres would read from the catalogue anew in each statement (20 µs).
  IF NEW.status = OLD.status
    OR (NEW.status = 'PROCESSED' AND NEW.processed_at IS NOT NULL AND NEW.ignored_reason IS NULL) THEN
    RETURN NEW;
  ELSIF OLD.erased_at IS NOT NULL THEN
    -- A change of many events must not fail for one erased event.
    RAISE WARNING '% % was erased: it stays %', OLD.source, OLD.event_id, OLD.status;
    RETURN OLD;
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
