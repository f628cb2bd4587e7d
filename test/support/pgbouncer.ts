// PgBouncer in transaction mode before a Postgres, configured as Debian ships it but for the pool mode; ended with the test.
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import pg from 'pg';
import type { Test } from 'tap';
import { atEnd } from './at-end.ts';
import { freePort } from './ports.ts';
import { waitFor } from './wait.ts';

/** @returns the database's URL through it; undefined when it is not installed */
export async function startPgBouncer(t: Test, databaseUrl: string): Promise<string | undefined> {
  const { stdout = '' } = spawnSync('sh', ['-c', 'command -v pgbouncer || ls /usr/sbin/pgbouncer'], {
    encoding: 'utf8',
  });
  const binary = stdout.trim();
  if (!binary) return undefined;
  const target = new URL(databaseUrl);
  const port = await freePort();
  const folder = mkdtempSync(path.join(os.tmpdir(), 'postbell-pgbouncer-'));
  atEnd(t, () => rmSync(folder, { recursive: true, force: true }));
  chmodSync(folder, 0o777);
  const users = path.join(folder, 'users.txt');
  writeFileSync(users, `"${target.username}" "${decodeURIComponent(target.password)}"\n`);
  const configuration = path.join(folder, 'pgbouncer.ini');
  writeFileSync(
    configuration,
    `[databases]\n* = host=127.0.0.1 port=${target.port}\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = ${port}\nunix_socket_dir =\nauth_type = scram-sha-256\nauth_file = ${users}\npool_mode = transaction\n`,
  );
  const isRoot = process.getuid?.() === 0; // it refuses to be run as root
  const bouncer = spawn(binary, [...(isRoot ? ['-u', 'nobody'] : []), configuration], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let log = '';
  bouncer.stderr.setEncoding('utf8').on('data', (chunk: string) => {
    log += chunk;
  });
  atEnd(t, async () => {
    bouncer.kill('SIGKILL');
    if (bouncer.exitCode === null) await once(bouncer, 'exit');
  });
  const url = new URL(databaseUrl);
  url.port = String(port);
  const canConnect = async () => {
    const client = new pg.Client({ connectionString: url.href });
    client.on('error', () => {});
    await client.connect();
    await client.end();
    return true;
  };
  await waitFor(canConnect, { what: 'PgBouncer' }).catch((error: Error) => {
    throw new Error(`${error.message}; PgBouncer said: ${log.slice(-500)}`);
  });
  return url.href;
}
