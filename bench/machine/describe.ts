// What the figures were measured on: machine, versions, settings, and how long this disk takes to sync.
import { execFileSync } from 'node:child_process';
import { closeSync, fdatasyncSync, mkdtempSync, openSync, readFileSync, rmSync, writeSync } from 'node:fs';
import os from 'node:os';
import { join } from 'node:path';
import type { Cluster } from './postgres.ts';
import { redisSettings } from './redis.ts';
import { isInstalled } from './tools.ts';

export interface Description {
  date: string;
  commit: string;
  cpu: string;
  cores: number;
  memoryGb: number;
  kernel: string;
  /** One 8 KB write and fdatasync, the median. */
  syncMs: number;
  versions: Record<string, string>;
  postgresSettings: Record<string, string>;
}

export async function describeMachine(cluster: Cluster): Promise<Description> {
  const [postgres] = await cluster.query<{ version: string }>(
    `SELECT current_setting('server_version') AS version`,
  );
  return {
    date: new Date().toISOString().slice(0, 16).replace('T', ' '),
    commit: output('git', ['rev-parse', '--short', 'HEAD']) ?? 'unknown',
    cpu: os.cpus()[0]?.model.trim() ?? 'unknown',
    cores: os.cpus().length,
    memoryGb: Math.round(os.totalmem() / 2 ** 30),
    kernel: `${os.type()} ${os.release()}`,
    syncMs: medianSyncMs(),
    versions: {
      node: process.versions.node,
      Postgres: postgres?.version ?? 'unknown',
      ...(isInstalled('redis-server') ? { Redis: redisVersion() } : {}),
      ...(isInstalled('wrk')
        ? { wrk: /^wrk (?:debian\/)?(\S+)/.exec(output('wrk', ['-v']) ?? '')?.[1] ?? 'unknown' }
        : {}),
      ...packageVersions(['fastify', 'pg', 'pg-boss', 'bullmq', 'ioredis', 'graphile-worker']),
    },
    postgresSettings: { ...cluster.settings, fsync: 'on', ...redisText() },
  };
}

function redisText(): Record<string, string> {
  return isInstalled('redis-server')
    ? { 'Redis appendonly': redisSettings.appendonly, 'Redis appendfsync': redisSettings.appendfsync }
    : {};
}

function redisVersion(): string {
  return /v=(\S+)/.exec(output('redis-server', ['--version']) ?? '')?.[1] ?? 'unknown';
}

function packageVersions(names: readonly string[]): Record<string, string> {
  const versions: Record<string, string> = {};
  for (const name of names) {
    for (const folder of ['../node_modules', '../../node_modules']) {
      try {
        const text = readFileSync(join(import.meta.dirname, folder, name, 'package.json'), 'utf8');
        versions[name] ??= (JSON.parse(text) as { version: string }).version;
      } catch {
        // not in this folder
      }
    }
  }
  return versions;
}

/** What it says, whatever its exit code: `wrk -v` exits with 1. */
function output(command: string, args: readonly string[]): string | undefined {
  try {
    return execFileSync(command, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim();
  } catch (error) {
    const { stdout } = error as { stdout?: string };
    return stdout || undefined;
  }
}

function medianSyncMs(): number {
  const folder = mkdtempSync(join(os.tmpdir(), 'postbell-bench-sync-'));
  const file = openSync(join(folder, 'file'), 'w');
  const page = Buffer.alloc(8_192, 1);
  const times: number[] = [];
  for (let index = 0; index < 200; index++) {
    const startedAt = performance.now();
    writeSync(file, page, 0, page.length, (index % 16) * page.length);
    fdatasyncSync(file);
    times.push(performance.now() - startedAt);
  }
  closeSync(file);
  rmSync(folder, { recursive: true, force: true });
  return times.sort((a, b) => a - b)[100]!;
}
