// Reads facts about the database server: version, clock, limits, connected sessions.
import type { Queryable } from './database.ts';

export interface ServerFacts {
  /** 15 to 18. */
  majorVersion: number;
  version: string;
  /** A standby, or a database set to read only. */
  isReadOnly: boolean;
  /** Connections that this user may open in this database: the strictest limit, without reserved connections. */
  connectionLimit: number;
  /** The setting that sets this limit. */
  connectionLimitName: string;
}

export async function readServerFacts(database: Queryable): Promise<ServerFacts> {
  const { rows } = await database.query<{
    number: number;
    version: string;
    readonly: boolean;
    server: number;
    role: number;
    database: number;
  }>(
    // Postgres 15 has no reserved_connections.
    `SELECT current_setting('server_version_num')::int AS number, current_setting('server_version') AS version,
       pg_is_in_recovery() OR current_setting('default_transaction_read_only')::bool AS readonly,
       current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int
         - coalesce(nullif(current_setting('reserved_connections', true), ''), '0')::int AS server,
       (SELECT rolconnlimit FROM pg_roles WHERE rolname = current_user) AS role,
       (SELECT datconnlimit FROM pg_database WHERE datname = current_database()) AS database`,
  );
  const row = rows[0]!;
  const limits: [string, number][] = [
    ['max_connections without the reserved ones', row.server],
    ["the user's CONNECTION LIMIT", row.role],
    ["the database's CONNECTION LIMIT", row.database],
  ];
  const [name, limit] = limits.filter(([, value]) => value >= 0).sort((a, b) => a[1] - b[1])[0]!;
  return {
    majorVersion: Math.floor(row.number / 10_000),
    version: row.version,
    isReadOnly: row.readonly,
    connectionLimit: limit,
    connectionLimitName: name,
  };
}

/** Seconds by which this machine's clock is ahead of the database's, and the uncertainty of this measurement. */
export async function clockDifference(
  database: Queryable,
): Promise<{ aheadSeconds: number; uncertaintySeconds: number }> {
  const before = Date.now();
  const { rows } = await database.query<{ now: Date }>('SELECT clock_timestamp() AS now');
  const after = Date.now();
  return {
    aheadSeconds: ((before + after) / 2 - rows[0]!.now.getTime()) / 1_000,
    uncertaintySeconds: (after - before) / 2_000,
  };
}
