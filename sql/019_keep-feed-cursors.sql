-- Lists that are read by their cursor alone: where the next run goes on.

ALTER TABLE recoveries ADD COLUMN feed_cursor text CHECK (length(feed_cursor) BETWEEN 1 AND 2100);

COMMENT ON COLUMN recoveries.feed_cursor IS 'Where the next run goes on in a list that has no times to ask for (Airtable, pulled sources): a hash of the list''s address, and the provider''s cursor. NULL for every other list.';
