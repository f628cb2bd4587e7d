-- The processes of this inbox and their last signs of life. So an operator can tell a quiet process from a missing process.

CREATE TABLE postbell_processes (
  process_id uuid PRIMARY KEY,
  kind text NOT NULL CHECK (kind IN ('web', 'worker')),
  host text NOT NULL,
  version text NOT NULL,
  started_at timestamptz NOT NULL DEFAULT now(),
  seen_at timestamptz NOT NULL DEFAULT now(),
  stopped_at timestamptz,
  outage_began_at timestamptz,
  outage_ended_at timestamptz,
  CONSTRAINT postbell_processes_outage CHECK ((outage_began_at IS NULL) = (outage_ended_at IS NULL) AND outage_began_at <= outage_ended_at)
);

COMMENT ON TABLE postbell_processes IS 'One row per process of web or worker. Each renews its row every 20 s. Rows of processes that were last seen 30 days ago are deleted.';
COMMENT ON COLUMN postbell_processes.process_id IS 'Made at the start of the process.';
COMMENT ON COLUMN postbell_processes.kind IS 'web (or an app with Postbell inside) or worker.';
COMMENT ON COLUMN postbell_processes.host IS 'Name of the machine, dyno or container.';
COMMENT ON COLUMN postbell_processes.version IS 'Version of Postbell.';
COMMENT ON COLUMN postbell_processes.started_at IS 'First sign of life: the process had reached the database.';
COMMENT ON COLUMN postbell_processes.seen_at IS 'Last sign of life. A process is alive if this is at most a minute ago and stopped_at is NULL.';
COMMENT ON COLUMN postbell_processes.stopped_at IS 'When the process was stopped by a signal; NULL if it runs, or died.';
COMMENT ON COLUMN postbell_processes.outage_began_at IS 'Start of the last stretch in which the process could not commit; known once it could again.';
COMMENT ON COLUMN postbell_processes.outage_ended_at IS 'End of that stretch.';
