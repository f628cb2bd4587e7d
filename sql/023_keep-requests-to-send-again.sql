-- Events that a provider was asked to send again are asked for until they arrive, or are given up after a day.

CREATE TABLE recovery_requests (
  source webhook_source NOT NULL,
  event_id webhook_event_id NOT NULL,
  delivery_id text NOT NULL CHECK (length(delivery_id) BETWEEN 1 AND 1000),
  asked_at timestamptz NOT NULL DEFAULT now(),
  last_asked_at timestamptz NOT NULL DEFAULT now(),
  times webhook_count NOT NULL DEFAULT 1,
  refused_status integer CHECK (refused_status BETWEEN 400 AND 499),
  given_up_at timestamptz,
  PRIMARY KEY (source, event_id)
);

COMMENT ON TABLE recovery_requests IS 'Events that a provider was asked to send again, and that have not arrived yet. The first run that finds an event in the inbox deletes its row.';
COMMENT ON COLUMN recovery_requests.source IS 'The source.';
COMMENT ON COLUMN recovery_requests.event_id IS 'The id that the event will have.';
COMMENT ON COLUMN recovery_requests.delivery_id IS 'The provider''s name of the delivery that it was asked to send again.';
COMMENT ON COLUMN recovery_requests.asked_at IS 'First request.';
COMMENT ON COLUMN recovery_requests.last_asked_at IS 'Last request.';
COMMENT ON COLUMN recovery_requests.times IS 'Number of requests.';
COMMENT ON COLUMN recovery_requests.refused_status IS 'The status with which the provider refused the last request; NULL where it accepted.';
COMMENT ON COLUMN recovery_requests.given_up_at IS 'When the event was given up, 24 hours after the first request: no run asks for it by itself any more. NULL before. The row is deleted 30 days later.';

ALTER TABLE recoveries
  ADD COLUMN empty_parts webhook_count NOT NULL DEFAULT 0,
  ADD COLUMN cursor_at timestamptz,
  DROP CONSTRAINT failure_is_known,
  ADD CONSTRAINT failure_is_known CHECK (failure IN ('key_refused', 'request_refused', 'unavailable', 'unexpected_answer', 'not_arrived', 'internal'));

COMMENT ON COLUMN recoveries.empty_parts IS 'Number of the last runs that read 1,000 pages without a new event. After 5 of them a run counts as failed: the list may have no end.';
COMMENT ON COLUMN recoveries.cursor_at IS 'When a run last read a page to its end. A run_cursor that led to no page for an hour is not used any more.';
COMMENT ON COLUMN recoveries.failure IS 'The kind of the failure: key_refused, request_refused (another 4xx, a redirect), unavailable (5xx, 429, no answer), unexpected_answer (not the JSON of the provider''s API, or a list without an end), not_arrived (events that the provider was asked to send again), internal (of Postbell or its database). An API that becomes unavailable says nothing of its key: key_refused stays.';
COMMENT ON CONSTRAINT failure_is_known ON recoveries IS 'The kinds that the alert recover_failing has words for.';
COMMENT ON COLUMN recoveries.last_error IS 'Why the last run did not get to its end, or that events did not arrive; NULL if neither. Never a key.';
