// A primary and its streaming standby: two real servers of a test's own.
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import path from 'node:path';
import type { Test } from 'tap';
import { type EmbeddedPostgres, startEmbeddedPostgres } from '../../src/dev/postgres/start.ts';
import { atEnd } from './at-end.ts';
import { temporaryFolder } from './folders.ts';

export interface Pair {
  primary: EmbeddedPostgres;
  standby: EmbeddedPostgres;
  /** A DATABASE_URL of several hosts. @param parameters with the question mark */
  urlOf(hosts: readonly { port: number }[], parameters: string): string;
}

export const writable = '?target_session_attrs=read-write';

/** The embedded binaries have no pg_basebackup: the standby begins as a copy of the stopped primary. */
export async function startPair(t: Test): Promise<Pair> {
  const folder = temporaryFolder(t);
  const [first, second] = [path.join(folder, 'first'), path.join(folder, 'second')];
  const fresh = await startEmbeddedPostgres({ dataDir: first });
  await fresh.stop();
  execFileSync('cp', ['-a', first, second]);
  const primary = await startEmbeddedPostgres({ dataDir: first });
  atEnd(t, () => primary.stop('immediate'));
  const { password, port } = new URL(primary.url);
  fs.appendFileSync(
    path.join(second, 'postgresql.auto.conf'),
    `primary_conninfo = 'host=127.0.0.1 port=${port} user=postgres password=${password}'\n`,
  );
  fs.writeFileSync(path.join(second, 'standby.signal'), '');
  const standby = await startEmbeddedPostgres({ dataDir: second });
  atEnd(t, () => standby.stop('immediate'));
  const urlOf: Pair['urlOf'] = (hosts, parameters) =>
    `postgres://postgres:${password}@${hosts.map((host) => `127.0.0.1:${host.port}`).join(',')}/postgres${parameters}`;
  return { primary, standby, urlOf };
}

/** A host that accepts connections and never answers. For its client it is like a machine that drops packets. */
export async function startSilentHost(t: Test): Promise<{ port: number }> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket.on('error', () => {})); // its client gives up
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  atEnd(t, () => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return { port: (server.address() as AddressInfo).port };
}
