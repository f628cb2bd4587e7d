-- The inbox: one row per event, its failed attempts, the clock of each entity, and what the receiver refused.

-- What one column may hold is said by domains: Postgres reads every CHECK of a table from the catalogue anew in each
-- statement (2 to 4 µs apiece), a domain's only where its column is written. The status change is the statement that
-- counts: one per event.
CREATE DOMAIN webhook_source AS text CONSTRAINT source_is_short CHECK (length(VALUE) BETWEEN 1 AND 63);
CREATE DOMAIN webhook_event_id AS text CONSTRAINT event_id_is_short CHECK (length(VALUE) BETWEEN 1 AND 255);
CREATE DOMAIN webhook_topic AS text CONSTRAINT topic_is_short CHECK (length(VALUE) BETWEEN 1 AND 200);
CREATE DOMAIN webhook_status AS text
  CONSTRAINT status_is_known CHECK (VALUE IN ('PENDING', 'PROCESSED', 'FAILED', 'IGNORED'));
CREATE DOMAIN webhook_sha256 AS bytea CONSTRAINT body_sha256_is_sha256 CHECK (octet_length(VALUE) = 32);
CREATE DOMAIN webhook_count AS integer CONSTRAINT counts_are_not_negative CHECK (VALUE >= 0);

CREATE TABLE webhook_events (
  source webhook_source NOT NULL,
  provider text NOT NULL,
  event_id webhook_event_id NOT NULL,
  topic webhook_topic NOT NULL,
  payload jsonb,
  payload_error text,
  status webhook_status NOT NULL DEFAULT 'PENDING',
  received_at timestamptz NOT NULL DEFAULT now(),
  processed_at timestamptz,
  occurred_at timestamptz,
  entity text,
  headers jsonb NOT NULL DEFAULT '{}',
  raw_body bytea,
  body_sha256 webhook_sha256 NOT NULL,
  unique_body boolean NOT NULL DEFAULT false,
  attempts webhook_count NOT NULL DEFAULT 0,
  deferrals webhook_count NOT NULL DEFAULT 0,
  last_error text,
  job_id uuid,
  duplicates webhook_count NOT NULL DEFAULT 0,
  ignored_reason text,
  PRIMARY KEY (source, event_id),
  CONSTRAINT processed_has_time CHECK ((status = 'PROCESSED') = (processed_at IS NOT NULL)),
  CONSTRAINT ignored_has_reason CHECK ((status = 'IGNORED') = (ignored_reason IS NOT NULL)),
  CONSTRAINT failed_has_error CHECK (status <> 'FAILED' OR last_error IS NOT NULL),
  CONSTRAINT payload_or_why_not CHECK ((payload IS NULL) = (payload_error IS NOT NULL)),
  CONSTRAINT nothing_lost CHECK (payload IS NOT NULL OR raw_body IS NOT NULL)
);

-- Newest first for lists, ranges of time for statistics.
CREATE INDEX webhook_events_received ON webhook_events (received_at);
-- The backlog; empty when the workers keep up.
CREATE INDEX webhook_events_pending ON webhook_events (received_at) WHERE status = 'PENDING';
-- What the reconciler looks for: replays, and whatever lost its job.
CREATE INDEX webhook_events_without_job ON webhook_events (received_at) WHERE status = 'PENDING' AND job_id IS NULL;
-- The dead letters.
CREATE INDEX webhook_events_failed ON webhook_events (received_at) WHERE status = 'FAILED';
-- Everything about one order. Only the events of handlers with `entity` are in it, so that the others do not pay.
CREATE INDEX webhook_events_entity ON webhook_events (entity, occurred_at) WHERE entity IS NOT NULL;
-- Where the signature does not cover the id, an old signed body under a new id is a replay attack.
CREATE UNIQUE INDEX webhook_events_unique_body ON webhook_events (source, body_sha256) WHERE unique_body;

COMMENT ON DOMAIN webhook_source IS 'Name of a source: 1 to 63 characters.';
COMMENT ON DOMAIN webhook_event_id IS 'The provider''s id of an event: 1 to 255 characters.';
COMMENT ON DOMAIN webhook_topic IS 'Type of an event: 1 to 200 characters.';
COMMENT ON DOMAIN webhook_status IS 'PENDING, PROCESSED, FAILED or IGNORED.';
COMMENT ON DOMAIN webhook_sha256 IS 'A SHA-256: 32 bytes.';
COMMENT ON DOMAIN webhook_count IS 'A number that is not negative.';
COMMENT ON TABLE webhook_events IS 'One row per event, unique by (source, event_id) without a time window. The row is the truth; the pg-boss job is only the motor. UPDATE … SET status = ''PENDING'' replays an event.';
COMMENT ON COLUMN webhook_events.source IS 'Named endpoint that received it; bears the provider''s name unless it was named in POSTBELL_SOURCES.';
COMMENT ON COLUMN webhook_events.provider IS 'Who sent it, e.g. stripe.';
COMMENT ON COLUMN webhook_events.event_id IS 'The provider''s id, stable over redeliveries; sha256:… of the body where it sends none, or of an id over 255 characters.';
COMMENT ON COLUMN webhook_events.topic IS 'The event''s type in the provider''s own words, e.g. payment_intent.succeeded; unknown where it could not be read.';
COMMENT ON COLUMN webhook_events.payload IS 'The body as JSON; NULL where jsonb cannot hold it (see payload_error, raw_body).';
COMMENT ON COLUMN webhook_events.payload_error IS 'Why payload is NULL: empty, malformed, nul, surrogate, utf8, too_deep, number, too_many, refused.';
COMMENT ON COLUMN webhook_events.status IS 'PENDING (to be run) → PROCESSED (its effects are committed) | FAILED (dead letter) | IGNORED (no handler, or stale). Set it to PENDING to replay.';
COMMENT ON COLUMN webhook_events.received_at IS 'When its first delivery was committed.';
COMMENT ON COLUMN webhook_events.processed_at IS 'When its handler''s writes were committed; set exactly when PROCESSED.';
COMMENT ON COLUMN webhook_events.occurred_at IS 'The provider''s own time of the event; NULL where it sends none.';
COMMENT ON COLUMN webhook_events.entity IS 'What the event is about, as the handler''s entity() named it; set once it was run.';
COMMENT ON COLUMN webhook_events.headers IS 'Headers worth keeping, by allow-list; never signatures or credentials.';
COMMENT ON COLUMN webhook_events.raw_body IS 'The exact bytes, where jsonb cannot hold them or STORE_RAW_BODY asked for them.';
COMMENT ON COLUMN webhook_events.body_sha256 IS 'SHA-256 of the body; where one body carries several events, of its item''s JSON text; where a form''s fields are signed (Twilio, Plivo), of these, sorted. With what else sets one event apart where its id is not signed: of the signed time, a line feed and the body (Sanity, Zendesk, QStash); of the signed token alone (Mailgun).';
COMMENT ON COLUMN webhook_events.unique_body IS 'True where the signature does not cover the id: the same body under another id is then a duplicate.';
COMMENT ON COLUMN webhook_events.attempts IS 'Runs of its handler that ended, failures and the success, over all replays.';
COMMENT ON COLUMN webhook_events.deferrals IS 'How often its handler threw Later since it was last enqueued afresh.';
COMMENT ON COLUMN webhook_events.last_error IS 'Name and message of the last failure, cut to 2,000 characters; all of them are in failed_attempts.';
COMMENT ON COLUMN webhook_events.job_id IS 'The pg-boss job that will run it; NULL makes the reconciler insert one.';
COMMENT ON COLUMN webhook_events.duplicates IS 'Further deliveries of the same event, all answered 200.';
COMMENT ON COLUMN webhook_events.ignored_reason IS 'Why it was IGNORED: no handler, stale.';
COMMENT ON INDEX webhook_events_received IS 'Lists and statistics by time.';
COMMENT ON INDEX webhook_events_pending IS 'The backlog, oldest first.';
COMMENT ON INDEX webhook_events_without_job IS 'PENDING events that the reconciler has to enqueue.';
COMMENT ON INDEX webhook_events_failed IS 'The dead letters, oldest first.';
COMMENT ON INDEX webhook_events_entity IS 'The events of one entity, by the provider''s time.';
COMMENT ON INDEX webhook_events_unique_body IS 'Replay guard where the signature does not cover the id.';

CREATE TABLE failed_attempts (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  source text NOT NULL,
  event_id text NOT NULL,
  job_id uuid,
  error text NOT NULL,
  stack text,
  started_at timestamptz,
  failed_at timestamptz NOT NULL DEFAULT now(),
  FOREIGN KEY (source, event_id) REFERENCES webhook_events ON DELETE CASCADE
);
CREATE INDEX failed_attempts_event ON failed_attempts (source, event_id, id);

COMMENT ON TABLE failed_attempts IS 'One row per failure of an attempt, kept over replays.';
COMMENT ON COLUMN failed_attempts.id IS 'In the order of recording.';
COMMENT ON COLUMN failed_attempts.source IS 'The event''s source.';
COMMENT ON COLUMN failed_attempts.event_id IS 'The event''s id.';
COMMENT ON COLUMN failed_attempts.job_id IS 'The job that ran it; the failures of one job belong to one enqueueing.';
COMMENT ON COLUMN failed_attempts.error IS 'Name and message, cut to 2,000 characters.';
COMMENT ON COLUMN failed_attempts.stack IS 'Stack without the message, cut to 4,000 characters; NULL where no JavaScript was left to give one.';
COMMENT ON COLUMN failed_attempts.started_at IS 'When the attempt began; NULL where it is not known.';
COMMENT ON COLUMN failed_attempts.failed_at IS 'When the failure was recorded.';

CREATE TABLE entity_clock (
  source text NOT NULL,
  entity text NOT NULL,
  last_occurred_at timestamptz NOT NULL,
  last_event_id text NOT NULL,
  PRIMARY KEY (source, entity)
);

COMMENT ON TABLE entity_clock IS 'The newest event applied to each entity; an older one is IGNORED as stale.';
COMMENT ON COLUMN entity_clock.source IS 'The events'' source.';
COMMENT ON COLUMN entity_clock.entity IS 'As the handler''s entity() named it.';
COMMENT ON COLUMN entity_clock.last_occurred_at IS 'occurred_at of the newest event applied.';
COMMENT ON COLUMN entity_clock.last_event_id IS 'Its event_id.';

CREATE TABLE rejected_requests (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  source text NOT NULL,
  reason text NOT NULL,
  detail text,
  request_id text NOT NULL,
  received_at timestamptz NOT NULL,
  body_bytes integer NOT NULL,
  skipped integer NOT NULL DEFAULT 0
);
CREATE INDEX rejected_requests_source ON rejected_requests (source, id);

COMMENT ON TABLE rejected_requests IS 'A sample of the refused requests, for postbell doctor: at most one a second is written, the newest 1,000 are kept, nothing of the body.';
COMMENT ON COLUMN rejected_requests.id IS 'In the order of recording.';
COMMENT ON COLUMN rejected_requests.source IS 'The source that refused it.';
COMMENT ON COLUMN rejected_requests.reason IS 'missing_header, wrong_signature, too_old, …: for operators; the caller sees one body for all of them.';
COMMENT ON COLUMN rejected_requests.detail IS 'More for the operator, e.g. 312 s old.';
COMMENT ON COLUMN rejected_requests.request_id IS 'As in the log and in the answer.';
COMMENT ON COLUMN rejected_requests.received_at IS 'Time of arrival.';
COMMENT ON COLUMN rejected_requests.body_bytes IS 'Length of the body.';
COMMENT ON COLUMN rejected_requests.skipped IS 'Refused requests since the previous row that were counted and not written.';

-- SQL is an API: an operator's UPDATE of status is completed here to a state that the CHECKs allow.
CREATE FUNCTION webhook_events_complete_status() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  -- No change; or the worker's own PENDING → PROCESSED, which is complete already and must be quick. Asked here and not
  -- in a WHEN of the trigger, which Postgres would read from the catalogue anew in each statement (20 µs).
  IF NEW.status = OLD.status
    OR (NEW.status = 'PROCESSED' AND NEW.processed_at IS NOT NULL AND NEW.ignored_reason IS NULL) THEN
    RETURN NEW;
  ELSIF NEW.status = 'PENDING' THEN
    NEW.job_id := NULL;
    NEW.deferrals := 0;
    NEW.processed_at := NULL;
    NEW.ignored_reason := NULL;
    -- One wake-up per transaction: Postgres folds equal notifications.
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
COMMENT ON FUNCTION webhook_events_complete_status() IS 'Completes a change of status by hand, and wakes the reconciler for a replay.';

CREATE TRIGGER webhook_events_status BEFORE UPDATE OF status ON webhook_events
  FOR EACH ROW EXECUTE FUNCTION webhook_events_complete_status();

CREATE VIEW dead_letters AS
SELECT e.source, e.event_id, e.provider, e.topic, e.last_error, e.attempts, f.failed_at, e.received_at,
  e.occurred_at, e.entity, e.payload, e.payload_error
FROM webhook_events e
LEFT JOIN LATERAL (
  SELECT failed_at FROM failed_attempts a
  WHERE a.source = e.source AND a.event_id = e.event_id
  ORDER BY a.id DESC LIMIT 1
) f ON true
WHERE e.status = 'FAILED';
COMMENT ON VIEW dead_letters IS 'Events that FAILED: what, why and when. Replay one: UPDATE webhook_events SET status = ''PENDING'' WHERE source = … AND event_id = …';
COMMENT ON COLUMN dead_letters.source IS 'The event''s source.';
COMMENT ON COLUMN dead_letters.event_id IS 'The event''s id.';
COMMENT ON COLUMN dead_letters.provider IS 'Who sent it.';
COMMENT ON COLUMN dead_letters.topic IS 'Its type.';
COMMENT ON COLUMN dead_letters.last_error IS 'Why the last attempt failed.';
COMMENT ON COLUMN dead_letters.attempts IS 'How often it was tried.';
COMMENT ON COLUMN dead_letters.failed_at IS 'When the last attempt failed.';
COMMENT ON COLUMN dead_letters.received_at IS 'When it came in.';
COMMENT ON COLUMN dead_letters.occurred_at IS 'When it happened at the provider.';
COMMENT ON COLUMN dead_letters.entity IS 'What it is about.';
COMMENT ON COLUMN dead_letters.payload IS 'Its body as JSON.';
COMMENT ON COLUMN dead_letters.payload_error IS 'Why payload is NULL.';

CREATE VIEW webhook_backlog AS
SELECT source, topic, count(*) AS pending, count(*) FILTER (WHERE attempts > 0) AS retrying,
  count(*) FILTER (WHERE deferrals > 0) AS deferred, min(received_at) AS oldest_received_at,
  now() - min(received_at) AS oldest_age
FROM webhook_events
WHERE status = 'PENDING'
GROUP BY source, topic;
COMMENT ON VIEW webhook_backlog IS 'What is PENDING, by source and topic.';
COMMENT ON COLUMN webhook_backlog.source IS 'The events'' source.';
COMMENT ON COLUMN webhook_backlog.topic IS 'Their type.';
COMMENT ON COLUMN webhook_backlog.pending IS 'How many wait to be processed, those below included.';
COMMENT ON COLUMN webhook_backlog.retrying IS 'Of these: failed at least once.';
COMMENT ON COLUMN webhook_backlog.deferred IS 'Of these: their handler threw Later at least once.';
COMMENT ON COLUMN webhook_backlog.oldest_received_at IS 'When the oldest came in.';
COMMENT ON COLUMN webhook_backlog.oldest_age IS 'How long the oldest has waited.';

CREATE VIEW webhook_stats AS
SELECT source, date_trunc('hour', received_at) AS hour, count(*) AS received,
  count(*) FILTER (WHERE status = 'PROCESSED') AS processed,
  count(*) FILTER (WHERE status = 'PENDING') AS pending,
  count(*) FILTER (WHERE status = 'FAILED') AS failed,
  count(*) FILTER (WHERE status = 'IGNORED') AS ignored,
  sum(duplicates) AS duplicates,
  percentile_cont(0.5) WITHIN GROUP (ORDER BY extract(epoch FROM processed_at - received_at)) AS latency_p50_seconds,
  percentile_cont(0.99) WITHIN GROUP (ORDER BY extract(epoch FROM processed_at - received_at)) AS latency_p99_seconds
FROM webhook_events
WHERE received_at > now() - interval '7 days'
GROUP BY source, date_trunc('hour', received_at);
COMMENT ON VIEW webhook_stats IS 'Throughput and outcome per source and hour of arrival, over the last 7 days.';
COMMENT ON COLUMN webhook_stats.source IS 'The events'' source.';
COMMENT ON COLUMN webhook_stats.hour IS 'Hour of arrival.';
COMMENT ON COLUMN webhook_stats.received IS 'Events that came in, duplicates not counted.';
COMMENT ON COLUMN webhook_stats.processed IS 'Of these: PROCESSED by now.';
COMMENT ON COLUMN webhook_stats.pending IS 'Of these: still PENDING.';
COMMENT ON COLUMN webhook_stats.failed IS 'Of these: FAILED.';
COMMENT ON COLUMN webhook_stats.ignored IS 'Of these: IGNORED.';
COMMENT ON COLUMN webhook_stats.duplicates IS 'Further deliveries of these events.';
COMMENT ON COLUMN webhook_stats.latency_p50_seconds IS 'Median seconds from arrival to the handler''s commit.';
COMMENT ON COLUMN webhook_stats.latency_p99_seconds IS '99th percentile of the same.';
