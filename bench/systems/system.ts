// What the measurements know about a system: how to start it, fill its queue, and count what it did.
import type { Cluster } from '../machine/postgres.ts';
import type { Program } from '../machine/process.ts';

export interface Session {
  cluster: Cluster;
  /** Undefined: no redis-server here. */
  redisUrl: string | undefined;
  /** Logs, request files; gone at the end. */
  workFolder: string;
  /** What node runs for `postbell <verb>`. */
  postbell: readonly string[];
  /** CPU time of Postgres and Redis together; undefined where there is no /proc. */
  storeCpuMs(): number | undefined;
  say(text: string): void;
}

/** One system with a database of its own, copied from the system's template. */
export interface Run extends Session {
  database: string;
  databaseUrl: string;
}

export interface WorkerVariant {
  name: string;
  title: string;
  /** No machine of this size does more: so many are put into the queue for each second. */
  mostPerSecond: number;
  program(run: Run): Omit<Program, 'name'>;
}

export interface System {
  name: string;
  title: string;
  needsRedis?: boolean;
  /** Packages of bench/package.json. */
  needsPackages?: boolean;
  /** Makes the system's tables in the empty database `name`. */
  prepare(session: Session, name: string, databaseUrl: string): Promise<void>;
  web(run: Run, port: number): Omit<Program, 'name' | 'url'>;
  /** Events that are stored; undefined: it stores nothing. */
  stored?(run: Run): Promise<number>;
  workers: readonly WorkerVariant[];
  /** Puts `count` events into the queue without HTTP. Undefined: there is no queue. */
  fill?(run: Run, count: number): Promise<void>;
}

/** The row that every handler writes, the same for all. */
export const effectsTable = `
  CREATE TABLE IF NOT EXISTS effects (
    event_id text PRIMARY KEY,
    amount bigint NOT NULL,
    at timestamptz NOT NULL DEFAULT clock_timestamp()
  )`;
