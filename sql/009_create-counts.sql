-- Counts that outlive the events and the processes: events by hour of arrival, rejections by slots of five minutes.

-- In seconds. A constant: stored counts of one bucket must not be read as those of another.
CREATE FUNCTION latency_bounds() RETURNS double precision[] LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN ARRAY[0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 60, 180, 600, 1800, 3600, 10800, 28800, 86400]::double precision[];
COMMENT ON FUNCTION latency_bounds() IS 'The 19 bounds, in seconds, between the 20 buckets of latency_counts.';

CREATE FUNCTION latency_percentile(latency_counts integer[], fraction double precision) RETURNS double precision
LANGUAGE sql IMMUTABLE PARALLEL SAFE
BEGIN ATOMIC
  WITH buckets AS (
    SELECT (place - 1) % (cardinality(latency_bounds()) + 1) AS bucket, sum(count) AS events
    FROM unnest(latency_counts) WITH ORDINALITY AS c (count, place) GROUP BY 1
  ), ranks AS (
    SELECT bucket, events, sum(events) OVER (ORDER BY bucket) AS last_rank, fraction * sum(events) OVER () AS rank FROM buckets
  ), found AS (
    SELECT coalesce((latency_bounds())[bucket], 0) AS lower, (latency_bounds())[bucket + 1] AS upper,
      (rank - last_rank + events) / events AS share
    FROM ranks WHERE events > 0 AND last_rank >= rank ORDER BY bucket LIMIT 1
  )
  SELECT lower + coalesce(upper - lower, 0) * share FROM found;
END;
COMMENT ON FUNCTION latency_percentile(integer[], double precision) IS 'Seconds within which the fraction (0 to 1) of the events was processed. latency_counts: of one row, or array_agg(latency_counts) of several. The result lies in the bucket of the exact value, between two neighbours of latency_bounds(); 86400 stands for a day or more. NULL: no event.';

CREATE TABLE hourly_counts (
  source webhook_source NOT NULL,
  hour timestamptz NOT NULL,
  topic webhook_topic NOT NULL,
  received webhook_count NOT NULL,
  duplicates webhook_count NOT NULL,
  processed webhook_count NOT NULL,
  failed webhook_count NOT NULL,
  ignored webhook_count NOT NULL,
  pending webhook_count NOT NULL,
  deferred webhook_count NOT NULL,
  latency_counts integer[] NOT NULL,
  active_minutes bigint NOT NULL,
  last_received_at timestamptz NOT NULL,
  counted_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (source, hour, topic),
  CONSTRAINT hour_is_whole CHECK (hour = date_trunc('hour', hour, 'UTC')),
  CONSTRAINT statuses_add_up CHECK (received = processed + failed + ignored + pending),
  CONSTRAINT latency_has_buckets CHECK (cardinality(latency_counts) = 20)
);
CREATE INDEX hourly_counts_hour ON hourly_counts (hour);
CREATE INDEX hourly_counts_unfinished ON hourly_counts (hour) WHERE pending > 0 OR failed > 0;

COMMENT ON TABLE hourly_counts IS 'Events by source, hour of arrival and topic. Derived from webhook_events by the worker, every 5 minutes at best: the newest hours, and hours whose events were replayed, were pending, or are dead letters no more. Rows of more than 400 days ago are deleted. Read webhook_hours, which is current also for the newest hours.';
COMMENT ON COLUMN hourly_counts.source IS 'The events'' source.';
COMMENT ON COLUMN hourly_counts.hour IS 'Start of the hour of arrival, a whole hour in UTC.';
COMMENT ON COLUMN hourly_counts.topic IS 'The events'' topic.';
COMMENT ON COLUMN hourly_counts.received IS 'Events that arrived in the hour. Never becomes less: purged events stay counted, and a row with purged or deleted events stays as it was last counted.';
COMMENT ON COLUMN hourly_counts.duplicates IS 'Further deliveries of these events, until counted_at.';
COMMENT ON COLUMN hourly_counts.processed IS 'Of received: PROCESSED when counted.';
COMMENT ON COLUMN hourly_counts.failed IS 'Of received: FAILED when counted.';
COMMENT ON COLUMN hourly_counts.ignored IS 'Of received: IGNORED when counted.';
COMMENT ON COLUMN hourly_counts.pending IS 'Of received: PENDING when counted.';
COMMENT ON COLUMN hourly_counts.deferred IS 'Of received: their handler threw Later at least once.';
COMMENT ON COLUMN hourly_counts.latency_counts IS 'The PROCESSED events by seconds from arrival to the handler''s commit: 20 buckets, between the bounds of latency_bounds(). Read it with latency_percentile().';
COMMENT ON COLUMN hourly_counts.active_minutes IS 'Bit n is set if an event arrived in minute n of the hour; bit_or of several topics is that of the source.';
COMMENT ON COLUMN hourly_counts.last_received_at IS 'Arrival of the last of these events.';
COMMENT ON COLUMN hourly_counts.counted_at IS 'When the row was counted last.';
COMMENT ON CONSTRAINT hour_is_whole ON hourly_counts IS 'Hours are whole hours in UTC.';
COMMENT ON CONSTRAINT statuses_add_up ON hourly_counts IS 'Each event has one status.';
COMMENT ON CONSTRAINT latency_has_buckets ON hourly_counts IS 'A bucket more than bounds.';
COMMENT ON INDEX hourly_counts_hour IS 'The newest hour, and ranges of hours.';
COMMENT ON INDEX hourly_counts_unfinished IS 'Hours whose events may still change their status.';

-- Only inserted and deleted by id, without a unique key on hour: no replay waits for another, or for the count.
CREATE TABLE recounts (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  hour timestamptz NOT NULL
);
COMMENT ON TABLE recounts IS 'Hours of arrival of replayed events, until hourly_counts is counted again for them.';
COMMENT ON COLUMN recounts.id IS 'Names the row to the worker that deletes it.';
COMMENT ON COLUMN recounts.hour IS 'As in hourly_counts.';

CREATE TABLE rejection_counts (
  source webhook_source NOT NULL,
  slot_at timestamptz NOT NULL,
  reason text NOT NULL,
  rejected webhook_count NOT NULL,
  last_at timestamptz NOT NULL,
  PRIMARY KEY (source, slot_at, reason)
);
CREATE INDEX rejection_counts_slot ON rejection_counts (slot_at);
COMMENT ON TABLE rejection_counts IS 'Rejected requests by source, slot of 5 minutes and reason. Times are by the clock of web. Rows of more than 400 days ago are deleted.';
COMMENT ON COLUMN rejection_counts.source IS 'The source that rejected them, or a known source without a secret (reason no_secret). Requests for unknown names are not counted.';
COMMENT ON COLUMN rejection_counts.slot_at IS 'Start of the slot of 5 minutes.';
COMMENT ON COLUMN rejection_counts.reason IS 'wrong_signature, missing_header, too_old, no_secret, too_large, …, before the closer look that rejected_requests has.';
COMMENT ON COLUMN rejection_counts.rejected IS 'Requests. Each web process adds its own every 10 s: a crash loses those of the last 10 s.';
COMMENT ON COLUMN rejection_counts.last_at IS 'When the last of them arrived.';
COMMENT ON INDEX rejection_counts_slot IS 'Ranges of time.';

COMMENT ON TABLE rejected_requests IS 'A sample of the rejected requests, for postbell doctor: each web process writes at most one a second and source; the newest 200 of each source are kept, nothing of the body.';
COMMENT ON COLUMN rejected_requests.skipped IS 'Rejected requests of this source since its previous row by the same web process, which were not written.';

-- The aggregate is defined here alone. A view and no function: whoever may read a view of ours needs no right on the events.
CREATE VIEW live_hourly_counts AS
SELECT source, hour, topic, received, duplicates, processed, failed, ignored, pending, deferred, latency_counts, active_minutes, last_received_at
FROM generate_series(
  (SELECT date_trunc('hour', min(received_at), 'UTC') FROM webhook_events),
  (SELECT max(received_at) FROM webhook_events),
  interval '1 hour'
) AS hours (hour)
CROSS JOIN LATERAL (
  SELECT source, topic, sum(events)::integer AS received, sum(duplicates)::integer AS duplicates,
    sum(processed)::integer AS processed, sum(failed)::integer AS failed, sum(ignored)::integer AS ignored,
    sum(pending)::integer AS pending, sum(deferred)::integer AS deferred,
    ARRAY[
      coalesce(sum(events) FILTER (WHERE bucket = 0), 0), coalesce(sum(events) FILTER (WHERE bucket = 1), 0),
      coalesce(sum(events) FILTER (WHERE bucket = 2), 0), coalesce(sum(events) FILTER (WHERE bucket = 3), 0),
      coalesce(sum(events) FILTER (WHERE bucket = 4), 0), coalesce(sum(events) FILTER (WHERE bucket = 5), 0),
      coalesce(sum(events) FILTER (WHERE bucket = 6), 0), coalesce(sum(events) FILTER (WHERE bucket = 7), 0),
      coalesce(sum(events) FILTER (WHERE bucket = 8), 0), coalesce(sum(events) FILTER (WHERE bucket = 9), 0),
      coalesce(sum(events) FILTER (WHERE bucket = 10), 0), coalesce(sum(events) FILTER (WHERE bucket = 11), 0),
      coalesce(sum(events) FILTER (WHERE bucket = 12), 0), coalesce(sum(events) FILTER (WHERE bucket = 13), 0),
      coalesce(sum(events) FILTER (WHERE bucket = 14), 0), coalesce(sum(events) FILTER (WHERE bucket = 15), 0),
      coalesce(sum(events) FILTER (WHERE bucket = 16), 0), coalesce(sum(events) FILTER (WHERE bucket = 17), 0),
      coalesce(sum(events) FILTER (WHERE bucket = 18), 0), coalesce(sum(events) FILTER (WHERE bucket = 19), 0)
    ]::integer[] AS latency_counts,
    bit_or(active_minutes) AS active_minutes, max(last_received_at) AS last_received_at
  FROM (
    -- NULL is the bucket of the events that are not PROCESSED.
    SELECT source, topic, width_bucket(date_part('epoch', processed_at - received_at), latency_bounds()) AS bucket,
      count(*) AS events, sum(duplicates) AS duplicates, count(*) FILTER (WHERE status = 'PROCESSED') AS processed,
      count(*) FILTER (WHERE status = 'FAILED') AS failed, count(*) FILTER (WHERE status = 'IGNORED') AS ignored,
      count(*) FILTER (WHERE status = 'PENDING') AS pending, count(*) FILTER (WHERE deferrals > 0) AS deferred,
      bit_or(1::bigint << date_part('minute', received_at AT TIME ZONE 'UTC')::integer) AS active_minutes, max(received_at) AS last_received_at
    FROM webhook_events WHERE received_at >= hours.hour AND received_at < hours.hour + interval '1 hour'
    GROUP BY source, topic, bucket
  ) AS by_bucket
  GROUP BY source, topic
) AS counts;
COMMENT ON VIEW live_hourly_counts IS 'What hourly_counts would be if each hour were counted now: of the events that are stored. Reads all events of the hours asked for: restrict hour.';
COMMENT ON COLUMN live_hourly_counts.source IS 'As in hourly_counts.';
COMMENT ON COLUMN live_hourly_counts.hour IS 'As in hourly_counts.';
COMMENT ON COLUMN live_hourly_counts.topic IS 'As in hourly_counts.';
COMMENT ON COLUMN live_hourly_counts.received IS 'Events of that hour that are stored.';
COMMENT ON COLUMN live_hourly_counts.duplicates IS 'Further deliveries of these events.';
COMMENT ON COLUMN live_hourly_counts.processed IS 'Of received: PROCESSED.';
COMMENT ON COLUMN live_hourly_counts.failed IS 'Of received: FAILED.';
COMMENT ON COLUMN live_hourly_counts.ignored IS 'Of received: IGNORED.';
COMMENT ON COLUMN live_hourly_counts.pending IS 'Of received: PENDING.';
COMMENT ON COLUMN live_hourly_counts.deferred IS 'As in hourly_counts.';
COMMENT ON COLUMN live_hourly_counts.latency_counts IS 'As in hourly_counts.';
COMMENT ON COLUMN live_hourly_counts.active_minutes IS 'As in hourly_counts.';
COMMENT ON COLUMN live_hourly_counts.last_received_at IS 'As in hourly_counts.';

CREATE VIEW webhook_hours AS
WITH newest AS (SELECT max(hour) AS hour FROM hourly_counts)
SELECT source, hour, topic, received, duplicates, processed, failed, ignored, pending, deferred, latency_counts, active_minutes, last_received_at
FROM hourly_counts WHERE hour < (SELECT hour FROM newest)
UNION ALL
SELECT source, hour, topic, received, duplicates, processed, failed, ignored, pending, deferred, latency_counts, active_minutes, last_received_at
FROM live_hourly_counts WHERE hour >= coalesce((SELECT hour FROM newest), '-infinity');
COMMENT ON VIEW webhook_hours IS 'Events by source, hour of arrival and topic, over 400 days: as stored in hourly_counts, and from the newest stored hour on as of now.';
COMMENT ON COLUMN webhook_hours.source IS 'As in hourly_counts.';
COMMENT ON COLUMN webhook_hours.hour IS 'As in hourly_counts.';
COMMENT ON COLUMN webhook_hours.topic IS 'As in hourly_counts.';
COMMENT ON COLUMN webhook_hours.received IS 'As in hourly_counts.';
COMMENT ON COLUMN webhook_hours.duplicates IS 'As in hourly_counts.';
COMMENT ON COLUMN webhook_hours.processed IS 'As in hourly_counts.';
COMMENT ON COLUMN webhook_hours.failed IS 'As in hourly_counts.';
COMMENT ON COLUMN webhook_hours.ignored IS 'As in hourly_counts.';
COMMENT ON COLUMN webhook_hours.pending IS 'As in hourly_counts.';
COMMENT ON COLUMN webhook_hours.deferred IS 'As in hourly_counts.';
COMMENT ON COLUMN webhook_hours.latency_counts IS 'As in hourly_counts.';
COMMENT ON COLUMN webhook_hours.active_minutes IS 'As in hourly_counts.';
COMMENT ON COLUMN webhook_hours.last_received_at IS 'As in hourly_counts.';

CREATE OR REPLACE VIEW webhook_stats AS
SELECT source, hour, sum(received) AS received, sum(processed) AS processed, sum(pending) AS pending, sum(failed) AS failed,
  sum(ignored) AS ignored, sum(duplicates) AS duplicates,
  latency_percentile(array_agg(latency_counts), 0.5) AS latency_p50_seconds,
  latency_percentile(array_agg(latency_counts), 0.99) AS latency_p99_seconds
FROM webhook_hours
GROUP BY source, hour;
COMMENT ON VIEW webhook_stats IS 'Throughput and outcome per source and hour of arrival, over 400 days, purged events included. Current for the newest hours; an older hour changes minutes after its events.';
COMMENT ON COLUMN webhook_stats.hour IS 'Hour of arrival, a whole hour in UTC.';
COMMENT ON COLUMN webhook_stats.processed IS 'Of these: PROCESSED.';
COMMENT ON COLUMN webhook_stats.pending IS 'Of these: PENDING.';
COMMENT ON COLUMN webhook_stats.failed IS 'Of these: FAILED.';
COMMENT ON COLUMN webhook_stats.ignored IS 'Of these: IGNORED.';
COMMENT ON COLUMN webhook_stats.latency_p50_seconds IS 'Median seconds from arrival to the handler''s commit, from the buckets of latency_counts: it lies between the two neighbours of latency_bounds() that enclose the exact value, at most a factor of 3.4 from it (0 to 0.01 for less than 10 ms; 86400 for a day or more).';
COMMENT ON COLUMN webhook_stats.latency_p99_seconds IS '99th percentile of the same, with the same error.';
