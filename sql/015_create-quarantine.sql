-- Rejected requests of sources with <SOURCE>_QUARANTINE_MB, until they are promoted, deleted, or too old.

CREATE TABLE quarantined_requests (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  source webhook_source NOT NULL,
  arrived_at timestamptz NOT NULL,
  address text NOT NULL CHECK (length(address) <= 64),
  reason text NOT NULL CHECK (reason <> 'too_old'),
  request_id text NOT NULL,
  method text NOT NULL CHECK (method IN ('POST', 'GET')),
  url text NOT NULL,
  headers jsonb NOT NULL CHECK (jsonb_typeof(headers) = 'object'),
  body bytea NOT NULL,
  bytes integer NOT NULL,
  CONSTRAINT quarantined_bytes_hold_the_body CHECK (bytes >= octet_length(body))
);
-- With all that is counted: a sum must not read the bodies.
CREATE INDEX quarantined_requests_bytes ON quarantined_requests (source, address) INCLUDE (bytes, reason, arrived_at);
CREATE INDEX quarantined_requests_order ON quarantined_requests (source, id);

COMMENT ON TABLE quarantined_requests IS 'Rejected requests that an operator may promote once the secret is right. UNVERIFIED: anybody may have sent them. Only of sources with <SOURCE>_QUARANTINE_MB, bounded by it, and deleted after QUARANTINE_DAYS.';
COMMENT ON COLUMN quarantined_requests.id IS 'In the order of writing, in which they are promoted.';
COMMENT ON COLUMN quarantined_requests.source IS 'The source that rejected it.';
COMMENT ON COLUMN quarantined_requests.arrived_at IS 'Time of arrival. Its age is checked against this time, and it becomes received_at of the event.';
COMMENT ON COLUMN quarantined_requests.address IS 'The client''s address, of IPv6 the first 64 bits; empty where it is not known. An address may take a tenth of the bytes.';
COMMENT ON COLUMN quarantined_requests.reason IS 'As in rejection_counts. Never too_old: that may be a replay.';
COMMENT ON COLUMN quarantined_requests.request_id IS 'As in the log and in the answer.';
COMMENT ON COLUMN quarantined_requests.method IS 'POST, or GET for providers that send so.';
COMMENT ON COLUMN quarantined_requests.url IS 'The path as received; with the query only where the provider signs it.';
COMMENT ON COLUMN quarantined_requests.headers IS 'The headers that verifying and reading need: the value is a list of all values sent under the name. Signatures, never a credential.';
COMMENT ON COLUMN quarantined_requests.body IS 'The exact bytes.';
COMMENT ON COLUMN quarantined_requests.bytes IS 'What it takes of <SOURCE>_QUARANTINE_MB: body, headers, URL, and 500 for the row.';
COMMENT ON CONSTRAINT quarantined_bytes_hold_the_body ON quarantined_requests IS 'No body is larger than what is counted.';
COMMENT ON INDEX quarantined_requests_bytes IS 'Counts and sums of a source and of an address.';
COMMENT ON INDEX quarantined_requests_order IS 'The requests of a source in order.';

CREATE TABLE quarantine_refusals (
  source webhook_source PRIMARY KEY,
  refused webhook_count NOT NULL,
  reason text NOT NULL CHECK (reason IN ('full', 'address', 'rate')),
  last_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE quarantine_refusals IS 'One row per source whose quarantine had no room for a request. Deleted when its requests are promoted or deleted.';
COMMENT ON COLUMN quarantine_refusals.source IS 'The source.';
COMMENT ON COLUMN quarantine_refusals.refused IS 'Requests that were not kept.';
COMMENT ON COLUMN quarantine_refusals.reason IS 'Of the last of them. full: the MB of the source. address: the tenth of an address. rate: too many at once.';
COMMENT ON COLUMN quarantine_refusals.last_at IS 'When the last of them was counted.';

COMMENT ON COLUMN webhook_events.received_by IS 'webhook: the provider sent it. pull: read from the provider''s list of events, unsigned. redelivery: the provider sent it again because Postbell asked; says webhook if it came later than 30 s after the request. quarantine: its request was rejected, and promoted later; received_at is its time of arrival.';
COMMENT ON COLUMN webhook_events.received_at IS 'When its first delivery was committed. From the quarantine: when its request arrived.';
COMMENT ON COLUMN alerts.kind IS 'dead_letters, oldest_pending, everything_rejected, silence, lost_secret, no_worker, no_web, connections, database_size or quarantine_full.';

ALTER TABLE operator_actions DROP CONSTRAINT operator_actions_action_check;
ALTER TABLE operator_actions ADD CONSTRAINT operator_actions_action_check CHECK (action IN ('replay', 'run_now', 'ignore', 'promote'));
COMMENT ON COLUMN operator_actions.action IS 'replay, run_now (a waiting event runs at once), ignore, or promote (requests of the quarantine).';
COMMENT ON COLUMN operator_actions.matched IS 'Number of events that the operator confirmed; of requests for promote.';
COMMENT ON COLUMN operator_actions.done IS 'Number of events changed so far, at most matched; of requests that left the quarantine for promote.';
COMMENT ON COLUMN operator_actions.cursor IS 'The last event that was changed; the next slice begins after it. NULL: no slice yet, or a single event. For promote the id of the last request, and the counts so far.';
