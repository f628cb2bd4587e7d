-- What operators changed on the operators' page: who, when, which events, how many. A replay of many events keeps its place here.

CREATE TABLE operator_actions (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  operator text NOT NULL CHECK (length(operator) BETWEEN 1 AND 60),
  action text NOT NULL CHECK (action IN ('replay', 'run_now', 'ignore')),
  filter jsonb NOT NULL CHECK (jsonb_typeof(filter) = 'object'),
  reason text CHECK (length(reason) BETWEEN 1 AND 200),
  matched integer NOT NULL CHECK (matched >= 0),
  done integer NOT NULL DEFAULT 0 CHECK (done >= 0),
  cursor jsonb,
  began_at timestamptz NOT NULL DEFAULT now(),
  ended_at timestamptz CHECK (ended_at >= began_at),
  CONSTRAINT operator_actions_ignore_has_reason CHECK ((action = 'ignore') = (reason IS NOT NULL)),
  CONSTRAINT operator_actions_within_confirmed CHECK (done <= matched)
);

COMMENT ON TABLE operator_actions IS 'One row per change made on the operators'' page, kept for ever. A replay that has not ended can be continued.';
COMMENT ON COLUMN operator_actions.id IS 'In the order of their start.';
COMMENT ON COLUMN operator_actions.operator IS 'The name typed at sign-in, ops without one. All operators share a password: the name is not proven.';
COMMENT ON COLUMN operator_actions.action IS 'replay, run_now (a waiting event runs at once) or ignore.';
COMMENT ON COLUMN operator_actions.filter IS 'The filter that chose the events; source and eventId for a single event.';
COMMENT ON COLUMN operator_actions.reason IS 'Why events were ignored, as typed; set exactly for ignore.';
COMMENT ON COLUMN operator_actions.matched IS 'Number of events that the operator confirmed.';
COMMENT ON COLUMN operator_actions.done IS 'Number of events changed so far, at most matched.';
COMMENT ON COLUMN operator_actions.cursor IS 'The last event that was changed; the next slice begins after it. NULL: no slice yet, or a single event.';
COMMENT ON COLUMN operator_actions.began_at IS 'When it was confirmed.';
COMMENT ON COLUMN operator_actions.ended_at IS 'When no event was left; NULL: it goes on, or was left unfinished.';
