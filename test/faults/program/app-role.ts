// A database that belongs to an ordinary role, as platforms give it: its limits and its rights can be changed.
import pg from 'pg';
import { runProcess } from '../../support/processes.ts';
import { type Cluster, startCluster } from '../cluster.ts';
import { testProfile } from '../rig.ts';
import type { FaultContext } from './fault.ts';

export interface AppDatabase {
  cluster: Cluster;
  /** As the superuser. */
  url: string;
  /** As the role `app`. */
  appUrl: string;
  /** As the superuser, in that database. */
  run(sql: string): Promise<pg.QueryResult>;
  /** Ends the sessions of `app`. */
  terminate(): Promise<unknown>;
}

export async function createAppDatabase(context: FaultContext): Promise<AppDatabase> {
  const cluster = await startCluster(context.t);
  await once(cluster.url, `CREATE ROLE app LOGIN PASSWORD 'app'`);
  await once(cluster.url, 'CREATE DATABASE inbox OWNER app');
  const url = new URL(cluster.url);
  url.pathname = '/inbox';
  const appUrl = new URL(url);
  appUrl.username = 'app';
  appUrl.password = 'app';
  const { code, stderr } = await runProcess(['migrate'], {
    env: { ...testProfile, DATABASE_URL: appUrl.href },
  });
  if (code !== 0) throw new Error(`migrate ended with ${code}: ${stderr}`);
  return {
    cluster,
    url: url.href,
    appUrl: appUrl.href,
    run: (sql) => once(url.href, sql),
    terminate: () =>
      once(url.href, `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'app'`),
  };
}

/** The ledger's tables are the superuser's. */
export const grantLedger = 'GRANT ALL ON effects, allowed, status_history TO app';

async function once(url: string, sql: string): Promise<pg.QueryResult> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    return await client.query(sql);
  } finally {
    await client.end();
  }
}
