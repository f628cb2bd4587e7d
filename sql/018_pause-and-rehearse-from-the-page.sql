-- Operators pause, resume and rehearse on their page. A rehearsal is asked for here and run by a worker, since web has no handlers.

ALTER TABLE operator_actions
  DROP CONSTRAINT operator_actions_action_check,
  DROP CONSTRAINT operator_actions_ignore_has_reason,
  ADD CONSTRAINT operator_actions_action_check CHECK (action IN ('replay', 'run_now', 'ignore', 'promote', 'erase', 'pause', 'resume', 'rehearse')),
  ADD CONSTRAINT operator_actions_ignore_has_reason CHECK (CASE action WHEN 'ignore' THEN reason IS NOT NULL WHEN 'pause' THEN true ELSE reason IS NULL END);

COMMENT ON COLUMN operator_actions.action IS 'replay, run_now (a waiting event runs at once), ignore, promote (requests of the quarantine), erase, pause, resume, or rehearse (a worker runs the event''s handlers and rolls back).';
COMMENT ON COLUMN operator_actions.filter IS 'The filter that chose the events; source and eventId for a single event; source, topic and handler for a pause; of erase the path alone, never the value.';
COMMENT ON COLUMN operator_actions.reason IS 'Why events were ignored or paused, as typed. Always set for ignore.';
COMMENT ON COLUMN operator_actions.matched IS 'Number of events that the operator confirmed; of requests for promote; 0 for pause, resume and rehearse, which change no event themselves.';

CREATE TABLE rehearsals (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  source text NOT NULL,
  event_id text NOT NULL,
  asked_by text NOT NULL CHECK (length(asked_by) BETWEEN 1 AND 60),
  asked_at timestamptz NOT NULL DEFAULT now(),
  started_at timestamptz,
  ends_before timestamptz,
  ended_at timestamptz,
  result jsonb,
  problem text,
  CONSTRAINT rehearsals_start_has_limit CHECK ((started_at IS NULL) = (ends_before IS NULL) AND started_at <= ends_before),
  CONSTRAINT rehearsals_end_after_start CHECK (ended_at IS NULL OR started_at IS NOT NULL AND ended_at >= started_at),
  CONSTRAINT rehearsals_end_has_outcome CHECK (num_nonnulls(result, problem) = CASE WHEN ended_at IS NULL THEN 0 ELSE 1 END)
);
CREATE INDEX rehearsals_event ON rehearsals (source, event_id);

COMMENT ON TABLE rehearsals IS 'One row per rehearsal that an operator asked for on the operators'' page. A worker runs it once at most. Rows are deleted a day after asked_at.';
COMMENT ON COLUMN rehearsals.id IS 'In the order in which they were asked for.';
COMMENT ON COLUMN rehearsals.source IS 'The event''s source.';
COMMENT ON COLUMN rehearsals.event_id IS 'The event''s id.';
COMMENT ON COLUMN rehearsals.asked_by IS 'The operator, as in operator_actions.';
COMMENT ON COLUMN rehearsals.asked_at IS 'When it was asked for. A worker that comes more than 10 minutes later leaves it.';
COMMENT ON COLUMN rehearsals.started_at IS 'When a worker took it; NULL: none has.';
COMMENT ON COLUMN rehearsals.ends_before IS 'Limit of the run: HANDLER_TIMEOUT_SECONDS of that worker and a minute. Without an end by then the worker is dead.';
COMMENT ON COLUMN rehearsals.ended_at IS 'When the worker wrote result or problem.';
COMMENT ON COLUMN rehearsals.result IS 'What the rehearsal came to: outcome, changed tables, the handlers'' statements and the first rows they returned. Holds data of the team''s tables.';
COMMENT ON COLUMN rehearsals.problem IS 'Why there is no result, e.g. the event is gone.';
COMMENT ON CONSTRAINT rehearsals_start_has_limit ON rehearsals IS 'A run has a limit from its start.';
COMMENT ON CONSTRAINT rehearsals_end_after_start ON rehearsals IS 'Only what was started ends.';
COMMENT ON CONSTRAINT rehearsals_end_has_outcome ON rehearsals IS 'Exactly a rehearsal that has ended has a result or a problem.';
COMMENT ON INDEX rehearsals_event IS 'The rehearsals of an event.';
