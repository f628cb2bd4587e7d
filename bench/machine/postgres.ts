// The Postgres of a session: one cluster with fsync, the same for all; a fresh database per measured process.
import { readdirSync } from 'node:fs';
import pg from 'pg';
import { startEmbeddedPostgres } from '../../src/dev/postgres/start.ts';
import { familyCpuMs } from './process.ts';

export interface Cluster {
  /** One statement by the benchmark's own connection, in the database `postgres`. */
  query: Query;
  /** Makes an empty database, or a copy of `template`. */
  create(name: string, template?: string): Promise<void>;
  urlOf(name: string): string;
  drop(name: string): Promise<void>;
  /** Runs `work` with a connection to that database. */
  within<T>(name: string, work: (query: Query) => Promise<T>): Promise<T>;
  /** CPU time of all its processes; undefined where there is no /proc. */
  cpuMs(): number | undefined;
  settings: Readonly<Record<string, string>>;
  stop(): Promise<void>;
}

export type Query = <R extends pg.QueryResultRow>(text: string, values?: unknown[]) => Promise<R[]>;

/** For every system alike. Everything else is Postgres' default, fsync and autovacuum included. */
const settings = {
  shared_buffers: '1GB',
  max_wal_size: '8GB',
  wal_compression: 'off',
};

/** What the two measurements need that have to look inside, and that costs the others a little. */
const watching = {
  track_commit_timestamp: 'on',
  shared_preload_libraries: 'pg_stat_statements',
};

export async function startCluster(options: { watches: boolean }): Promise<Cluster> {
  const used = { ...settings, ...(options.watches ? watching : {}) };
  const postgres = await startEmbeddedPostgres({ durable: true, settings: used });
  const urlOf = (name: string) => {
    const url = new URL(postgres.url);
    url.pathname = `/${name}`;
    return url.href;
  };
  const own = new pg.Client({ connectionString: postgres.url });
  own.on('error', () => {}); // it ends with the cluster
  await own.connect();
  const query = queryOf(own);
  return {
    settings: used,
    query,
    create: async (name, template = 'template1') => {
      await query(`CREATE DATABASE ${name} TEMPLATE ${template} STRATEGY FILE_COPY`);
    },
    urlOf,
    drop: async (name) => {
      await query(`DROP DATABASE IF EXISTS ${name} WITH (FORCE)`);
    },
    within: async (name, work) => {
      const client = new pg.Client({ connectionString: urlOf(name) });
      client.on('error', () => {}); // the query that runs reports it
      await client.connect();
      try {
        return await work(queryOf(client));
      } finally {
        await client.end();
      }
    },
    cpuMs: () => familyCpuMs(postgres.pid, pids()),
    stop: async () => {
      await own.end();
      await postgres.stop('immediate');
    },
  };
}

function queryOf(client: pg.Client): Query {
  return async <R extends pg.QueryResultRow>(text: string, values?: unknown[]) =>
    (await client.query<R>(text, values)).rows;
}

function pids(): number[] {
  try {
    return readdirSync('/proc').map(Number).filter(Number.isInteger);
  } catch {
    return []; // no /proc here
  }
}
