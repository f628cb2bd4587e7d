// Starts a Postgres from an npm package, for dev, demo and tests: on a free port. It ends with our process.
import { randomBytes } from 'node:crypto';
import fs from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { processEnvironment } from '../../config.ts';
import { CommandError } from '../../errors.ts';
import type { Logger } from '../../logger.ts';
import {
  chooseUser,
  findBinaries,
  type PostgresBinaries,
  type RunAs,
  reachableDataDir,
  writableTemporaryFolder,
} from './binaries.ts';
import {
  checkDataDir,
  inUse,
  isInitialised,
  isReady,
  moveInto,
  prepareFolder,
  readPassword,
} from './data-dir.ts';
import { logFile, type StopMode, startGuardian } from './guardian.ts';

export interface EmbeddedPostgresOptions {
  /**
   * Folder that keeps the data between starts. Unset: a temporary folder, removed at the end. If Postgres' user cannot
   * enter the folder (we run as root), another folder is used: see the returned `dataDir`.
   */
  dataDir?: string;
  /** Unset: a free port. */
  port?: number;
  /** True: the data survives a crash of the machine. False (default): faster; survives crashes of processes only. */
  durable?: boolean;
  /** Further settings of postgresql.conf. */
  settings?: Record<string, string>;
  log?: Logger;
}

export interface EmbeddedPostgres {
  /** Contains a random password; reachable from this machine only. */
  url: string;
  port: number;
  /** Process id of the postmaster. */
  pid: number;
  dataDir: string;
  /** Fulfilled when Postgres has ended. `fast` (default) ends sessions cleanly; `immediate` is like a crash. */
  stop(mode?: StopMode): Promise<void>;
}

const startTimeoutMs = 120_000; // crash recovery of a large database takes long
const maxStarts = 100;

/**
 * Starts Postgres and waits until it accepts connections. Postgres does not keep our event loop alive, and ends with this
 * process, even after SIGKILL.
 * @throws CommandError with the remedy: no binaries, data directory in use or of another version, port taken
 */
export async function startEmbeddedPostgres(
  options: EmbeddedPostgresOptions = {},
): Promise<EmbeddedPostgres> {
  const wanted = options.dataDir === undefined ? undefined : path.resolve(options.dataDir);
  let user = chooseUser(wanted);
  const dataDir = wanted && reachableDataDir(wanted, user);
  if (dataDir !== wanted) {
    user = chooseUser(undefined); // ignore the owner of a folder that another user may have put there
    options.log?.info({ dataDir }, `Postgres' user cannot enter ${wanted}: the data is in dataDir`);
  }
  const binaries = await findBinaries(user);
  for (let start = 1; ; start++) {
    try {
      return await startOnce(options, binaries, user, dataDir);
    } catch (error) {
      if (!(error instanceof TransientError) || start === maxStarts) throw error;
      await delay(100);
    }
  }
}

/** A later start, or a start on another port, can succeed. */
class TransientError extends CommandError {}

function explain(
  error: NodeJS.ErrnoException,
  output: string,
  { dataDir, port }: { dataDir: string; port: number | undefined },
): Error {
  const lastLines = output.trim().split('\n').slice(-12).join('\n');
  if (/could not bind|could not create any TCP/.test(output)) {
    return port === undefined ? new TransientError(lastLines) : portTaken(port);
  }
  // The sessions of a killed postmaster end a moment later.
  if (/pre-existing shared memory block/.test(output)) return new TransientError(lastLines);
  if (error.code === 'ENOTEMPTY' || error.code === 'EEXIST')
    return new TransientError(`${dataDir} was just made`);
  if (/lock file "postmaster.pid" already exists/.test(output)) return inUse(dataDir);
  const remedy = 'read the lines below, or set DATABASE_URL to your own Postgres';
  return new CommandError(`the embedded Postgres did not start (${error.message}): ${remedy}\n${lastLines}`);
}

async function startOnce(
  options: EmbeddedPostgresOptions,
  binaries: PostgresBinaries,
  user: RunAs,
  wantedDataDir: string | undefined,
): Promise<EmbeddedPostgres> {
  const { durable = false, log } = options;
  const port = await freePort(options.port);
  const dataDir =
    wantedDataDir ?? fs.mkdtempSync(path.join(writableTemporaryFolder(user), 'postbell-postgres-data-'));
  const isNew = !wantedDataDir || !isInitialised(dataDir);
  const environment: Record<string, string> = {
    PATH: processEnvironment.PATH || '/usr/bin:/bin',
    LC_ALL: 'C',
    TZ: 'UTC',
  };
  if (!isNew) Object.assign(environment, checkDataDir(dataDir, binaries.major));
  const password = isNew ? randomBytes(24).toString('hex') : readPassword(dataDir);
  const initFolder = wantedDataDir && isNew ? prepareFolder(dataDir) : dataDir;
  if (isNew && user) fs.chownSync(initFolder, user.uid, user.gid);

  const startedAtMs = Date.now();
  const guardian = startGuardian({
    binFolder: binaries.binFolder,
    dataDir,
    user,
    ...(isNew && {
      initialise: { folder: initFolder, password, whenDone: () => moveInto(initFolder, dataDir) },
      removeFolder: initFolder,
    }),
    onEnd: wantedDataDir ? 'fast' : 'immediate',
    settings: {
      listen_addresses: '127.0.0.1',
      port: String(port),
      unix_socket_directories: '',
      max_connections: '200',
      ...(durable ? {} : { fsync: 'off', full_page_writes: 'off' }),
      ...options.settings,
    },
    environment,
  });
  let pid: number;
  try {
    pid = await guardian.started;
    const expected = { pid, port, startedAtMs };
    while (!isReady(dataDir, expected)) {
      if (guardian.hasEnded()) throw new Error('Postgres ended while it was starting');
      if (Date.now() > startedAtMs + startTimeoutMs) throw new Error(`not ready after ${startTimeoutMs} ms`);
      await delay(10);
    }
  } catch (error) {
    await guardian.stop('immediate');
    if (isNew) fs.rmSync(initFolder, { recursive: true, force: true });
    throw explain(error as NodeJS.ErrnoException, guardian.errorOutput(), { dataDir, port: options.port });
  }
  guardian.unref();
  let isStopping = false;
  void guardian.ended.then(() => {
    if (!isStopping) log?.warn({ pid, dataDir }, `the embedded Postgres has ended; its log: ${logFile}`);
  });
  return {
    url: `postgres://postgres:${password}@127.0.0.1:${port}/postgres`,
    port,
    pid,
    dataDir,
    stop: (mode = 'fast') => {
      isStopping = true;
      return guardian.stop(mode);
    },
  };
}

/** @param wanted 0: any free port. Another process may still take the port before Postgres does. */
async function freePort(wanted = 0): Promise<number> {
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  const server = createServer();
  server.on('error', (error: NodeJS.ErrnoException) => {
    reject(error.code === 'EADDRINUSE' ? portTaken(wanted) : error);
  });
  server.listen(wanted, '127.0.0.1', () => {
    const { port } = server.address() as AddressInfo;
    server.close(() => resolve(port));
  });
  return promise;
}

function portTaken(port: number): CommandError {
  return new CommandError(`port ${port} of 127.0.0.1 is in use: free it or choose another`);
}
