-- Captures: windows in which operators see a source's requests as they arrive, also those that are rejected. SQL is an API:
-- an INSERT opens a capture, an UPDATE of ends_at ends it.

CREATE TABLE captures (
  source webhook_source PRIMARY KEY,
  opened_at timestamptz NOT NULL DEFAULT now(),
  ends_at timestamptz NOT NULL,
  opened_by text NOT NULL DEFAULT current_user CHECK (length(opened_by) BETWEEN 1 AND 100),
  CONSTRAINT captures_end CHECK (ends_at >= opened_at AND ends_at - opened_at <= interval '2 hours')
);

COMMENT ON TABLE captures IS 'One row per source whose requests are shown live (postbell capture, or the page Live requests), until 10 minutes after the end.';
COMMENT ON COLUMN captures.source IS 'The source.';
COMMENT ON COLUMN captures.opened_at IS 'When it was opened, or opened again.';
COMMENT ON COLUMN captures.ends_at IS 'No request is kept after this; at most 2 hours after opened_at. Each web notices a change within 2 s.';
COMMENT ON COLUMN captures.opened_by IS 'Who: the user of Postgres, the person at the command line, or the name typed at sign-in.';

CREATE TABLE captured_requests (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  source webhook_source NOT NULL,
  received_at timestamptz NOT NULL,
  request_id text NOT NULL,
  process text NOT NULL,
  method text NOT NULL,
  url text NOT NULL,
  headers jsonb NOT NULL CHECK (jsonb_typeof(headers) = 'object'),
  body bytea CHECK (octet_length(body) <= 262144),
  body_bytes integer NOT NULL CHECK (body_bytes >= 0),
  status smallint NOT NULL CHECK (status BETWEEN 100 AND 599),
  outcome text NOT NULL,
  reason text,
  detail text,
  topic text,
  event_id text,
  not_shown integer NOT NULL DEFAULT 0 CHECK (not_shown >= 0)
);
-- Unlogged: what strangers send costs no WAL, and gets into no standby and no physical backup. A crash of Postgres empties it.
ALTER TABLE captured_requests SET UNLOGGED;
CREATE INDEX captured_requests_by_source ON captured_requests (source, id);

COMMENT ON TABLE captured_requests IS 'The newest 200 requests of each source that arrived during its capture, accepted or not; credentials are masked. Deleted 10 minutes after the end of the capture. Unlogged: in no standby, emptied by a crash of Postgres.';
COMMENT ON COLUMN captured_requests.id IS 'In the order of writing.';
COMMENT ON COLUMN captured_requests.source IS 'The source.';
COMMENT ON COLUMN captured_requests.received_at IS 'When it arrived, by the clock of its process.';
COMMENT ON COLUMN captured_requests.request_id IS 'As in the log and in the error response.';
COMMENT ON COLUMN captured_requests.process IS 'Host of the web process that received it.';
COMMENT ON COLUMN captured_requests.method IS 'HTTP method.';
COMMENT ON COLUMN captured_requests.url IS 'Path and query; values of the query that may be credentials are masked.';
COMMENT ON COLUMN captured_requests.headers IS 'Every header, a list of values under each lower-case name. Credentials are masked, signatures are not.';
COMMENT ON COLUMN captured_requests.body IS 'The first 256 KB; secrets of the configuration are masked. NULL: it was not read, or a credential cannot be removed from it.';
COMMENT ON COLUMN captured_requests.body_bytes IS 'Length of the whole body; its Content-Length where it was not read.';
COMMENT ON COLUMN captured_requests.status IS 'HTTP status of the answer.';
COMMENT ON COLUMN captured_requests.outcome IS 'accepted, duplicate, handshake, unavailable, rejected, no_secret, too_large, method_not_allowed, unsupported_encoding or failed.';
COMMENT ON COLUMN captured_requests.reason IS 'Why it was rejected, as in rejected_requests; NULL where it was not.';
COMMENT ON COLUMN captured_requests.detail IS 'The diagnosis in words; no secret.';
COMMENT ON COLUMN captured_requests.topic IS 'Topic of its first event, if it was accepted.';
COMMENT ON COLUMN captured_requests.event_id IS 'Id of its first event, if it was accepted.';
COMMENT ON COLUMN captured_requests.not_shown IS 'Number of requests that the process received after this one and did not keep, because there were too many.';

-- Opening and ending a capture on the page, and sending an edited request, are changes of operators as well.
ALTER TABLE operator_actions DROP CONSTRAINT operator_actions_action_check;
ALTER TABLE operator_actions ADD CONSTRAINT operator_actions_action_check
  CHECK (action IN ('replay', 'run_now', 'ignore', 'promote', 'erase', 'pause', 'resume', 'rehearse', 'capture', 'end_capture', 'resend'));
COMMENT ON COLUMN operator_actions.action IS 'replay, run_now (a waiting event runs at once), ignore, promote (requests of the quarantine), erase, pause, resume, rehearse (a worker runs the event''s handlers and rolls back), capture (requests of a source are shown live), end_capture or resend (an edited request was signed and sent).';
COMMENT ON COLUMN operator_actions.done IS 'Number of events changed so far, at most matched; of requests that left the quarantine for promote; of a resend 1 once it was accepted; 0 for captures.';
COMMENT ON COLUMN operator_actions.matched IS 'Number of events that the operator confirmed; of requests for promote; 1 for resend; 0 for pause, resume, rehearse and captures, which change no event themselves.';
