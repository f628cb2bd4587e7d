-- Pauses: events of a source, of its topics, or of a handler are received and kept, and wait. SQL is an API: an INSERT
-- pauses, a DELETE resumes.

CREATE TABLE pauses (
  id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  source text,
  topic text,
  handler text,
  reason text,
  paused_at timestamptz NOT NULL DEFAULT now(),
  paused_by text NOT NULL DEFAULT current_user,
  CONSTRAINT pauses_source_or_handler CHECK (source IS NOT NULL OR handler IS NOT NULL),
  CONSTRAINT pauses_topic_of_a_source CHECK (topic IS NULL OR source IS NOT NULL),
  -- As in a handler: exact, or a prefix that ends in *.
  CONSTRAINT pauses_topic_is_a_pattern CHECK (topic ~ '^([^*]+\*?|\*)$'),
  CONSTRAINT pauses_once UNIQUE NULLS NOT DISTINCT (source, topic, handler)
);

COMMENT ON TABLE pauses IS 'INSERT pauses: matching events are received and kept, and wait. DELETE resumes. To change one, DELETE it and INSERT another.';
COMMENT ON COLUMN pauses.id IS 'The jobs of the events that wait name it.';
COMMENT ON COLUMN pauses.source IS 'Only events of this source; NULL: of every source.';
COMMENT ON COLUMN pauses.topic IS 'Only events of this topic of the source: exact, or a prefix that ends in *. NULL: of every topic.';
COMMENT ON COLUMN pauses.handler IS 'Only events that the handler of this name would get; NULL: of every handler, or of none.';
COMMENT ON COLUMN pauses.reason IS 'Why, for the colleagues.';
COMMENT ON COLUMN pauses.paused_at IS 'Since when.';
COMMENT ON COLUMN pauses.paused_by IS 'Who: the user of Postgres, or the person at the command line.';

CREATE FUNCTION pauses_wake_workers() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM pg_catalog.pg_notify(
    CASE TG_TABLE_SCHEMA WHEN 'public' THEN 'postbell' ELSE 'postbell_' || TG_TABLE_SCHEMA END, 'pauses');
  RETURN NULL;
END
$$;
COMMENT ON FUNCTION pauses_wake_workers() IS 'Tells the workers that a pause began or ended.';

CREATE TRIGGER pauses_changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON pauses
  FOR EACH STATEMENT EXECUTE FUNCTION pauses_wake_workers();
