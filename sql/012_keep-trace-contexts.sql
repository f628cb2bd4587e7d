-- The span in which an event was received, so that its attempts can name it. Without a CHECK: a domain's would rewrite the
-- table here, and a table's would cost each statement 2 to 4 µs. A text of another form is no link, and does no harm.
ALTER TABLE webhook_events ADD COLUMN traceparent text;
COMMENT ON COLUMN webhook_events.traceparent IS 'W3C trace context of the OpenTelemetry span in which it was received; NULL where none was sampled.';
