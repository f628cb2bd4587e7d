-- Start marks of attempts that run alone, because an earlier one was lost with its process.

CREATE TABLE lone_attempts (
  source text NOT NULL,
  event_id text NOT NULL,
  job_id uuid NOT NULL,
  starts integer NOT NULL,
  started_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (source, event_id),
  FOREIGN KEY (source, event_id) REFERENCES webhook_events ON DELETE CASCADE
);

COMMENT ON TABLE lone_attempts IS 'Events that came back from a process that ended under them run alone, one row each, until they have ended once. A row that stays belongs to an event that ended its process.';
COMMENT ON COLUMN lone_attempts.source IS 'The event''s source.';
COMMENT ON COLUMN lone_attempts.event_id IS 'The event''s id.';
COMMENT ON COLUMN lone_attempts.job_id IS 'The job that ran it alone last.';
COMMENT ON COLUMN lone_attempts.starts IS 'Starts of that job, alone in its process, that have not ended by themselves.';
COMMENT ON COLUMN lone_attempts.started_at IS 'The last of these starts.';
