// A Postgres of one's own, migrated, to be restarted, crashed and frozen.
import { execFileSync } from 'node:child_process';
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import pino from 'pino';
import type { Test } from 'tap';
import { parseConfig } from '../../src/config.ts';
import { type EmbeddedPostgres, startEmbeddedPostgres } from '../../src/dev/postgres/start.ts';
import { migrateDatabase } from '../../src/migrations/migrate.ts';
import { atEnd } from '../support/at-end.ts';
import { freePort } from '../support/ports.ts';

export interface Cluster {
  /** Stays the same over restarts. */
  url: string;
  port: number;
  /** `fast` ends sessions cleanly, `immediate` is a crash: the next start recovers from the log. */
  stop(mode: 'fast' | 'immediate'): Promise<void>;
  start(): Promise<void>;
  restart(mode: 'fast' | 'immediate'): Promise<void>;
  /** Nothing is answered any more, connections stay. */
  freeze(): void;
  thaw(): void;
}

export interface ClusterOptions {
  settings?: Record<string, string>;
  /** Where its data lies, e.g. on a disk of its own; default: a temporary folder. */
  folder?: string;
  /** false: not migrated, and not started yet. */
  isUp?: boolean;
}

export async function startCluster(t: Test, options: ClusterOptions = {}): Promise<Cluster> {
  const folder = mkdtempSync(path.join(options.folder ?? os.tmpdir(), 'postbell-faults-postgres-'));
  if (options.folder) chmodSync(folder, 0o777); // Postgres has a user of its own, and must not take another place
  const dataDir = path.join(folder, 'data');
  const port = await freePort();
  const settings = { ...options.settings };
  const startOnce = () => startEmbeddedPostgres({ dataDir, port, settings });
  let postgres: EmbeddedPostgres | undefined = await startOnce();
  let frozen: number[] = [];
  const cluster: Cluster = {
    url: postgres.url,
    port,
    stop: async (mode) => {
      cluster.thaw();
      await postgres?.stop(mode);
      postgres = undefined;
    },
    start: async () => {
      postgres ??= await startOnce();
    },
    restart: async (mode) => {
      await cluster.stop(mode);
      await cluster.start();
    },
    freeze: () => {
      frozen = [postgres!.pid, ...childrenOf(postgres!.pid)];
      signalAll(frozen, 'SIGSTOP');
    },
    thaw: () => {
      signalAll(frozen, 'SIGCONT');
      frozen = [];
    },
  };
  // Postgres' user must be able to enter it: see src/dev/postgres/start.ts.
  const usedFolder = path.dirname(postgres.dataDir);
  atEnd(t, async () => {
    const { dataDir: used = undefined } = postgres ?? {};
    await cluster.stop('immediate');
    for (const place of [folder, used]) if (place) rmSync(place, { recursive: true, force: true });
    if (usedFolder !== folder) rmSync(folder, { recursive: true, force: true });
  });
  await migrateDatabase({
    databaseUrl: cluster.url,
    policy: parseConfig({}).config!,
    log: pino({ level: 'warn' }, process.stderr),
  });
  return cluster;
}

function signalAll(pids: readonly number[], signal: NodeJS.Signals): void {
  for (const pid of pids) {
    try {
      process.kill(pid, signal);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error; // a session that ended meanwhile
    }
  }
}

export function childrenOf(pid: number): number[] {
  const table = process.platform === 'linux' ? fromProc() : fromPs();
  return table.filter(([, parent]) => parent === pid).map(([child]) => child);
}

function fromProc(): [number, number][] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((name): [number, number][] => {
      try {
        const [, parent] = /\) \S (\d+) /.exec(readFileSync(`/proc/${name}/stat`, 'latin1')) ?? [];
        return [[Number(name), Number(parent)]];
      } catch {
        return []; // it ended meanwhile
      }
    });
}

function fromPs(): [number, number][] {
  const lines = execFileSync('ps', ['-A', '-o', 'pid=,ppid='], { encoding: 'utf8' }).trim().split('\n');
  return lines.map((line) => line.trim().split(/\s+/).map(Number) as [number, number]);
}
