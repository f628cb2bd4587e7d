// The one Postgres of a test run, in a process of its own: `node test/support/cluster.ts <pid of the run>`.
// It ends with the run, however that ends. By hand, until Ctrl-C: without arguments one for TEST_DATABASE_URL,
// which spares each run the start; with `--open` what the last failed run left.
import { createHash } from 'node:crypto';
import fs from 'node:fs';
import { createServer, type Socket } from 'node:net';
import path from 'node:path';
import { startEmbeddedPostgres } from '../../src/dev/postgres/start.ts';
import { clusterSocket, connectToCluster } from './cluster-client.ts';
import { fastestFolder } from './folders.ts';
import { isRunning } from './processes.ts';

const baseFolder = fastestFolder();
const projectKey = createHash('sha256')
  .update(import.meta.url)
  .digest('hex')
  .slice(0, 8);
/** Data directory of the last run in which a file failed. */
const failedRunFolder = path.join(baseFolder, `postbell-failed-tests-${projectKey}`);
const settings = { max_wal_size: '256MB' };

const [argument] = process.argv.slice(2);
if (argument === undefined) await stay(undefined);
else if (argument === '--open') await stay(failedRunFolder);
else await serve(Number(argument));

async function serve(runPid: number): Promise<void> {
  removeLeftovers();
  const socketPath = clusterSocket(runPid);
  const dataDir = path.join(baseFolder, `postbell-tests-${process.pid}`);
  const clients = new Set<Socket>();
  let isKept = false;
  let isEnding = false;

  const server = createServer((client) => {
    clients.add(client);
    client.on('error', () => {}); // a test process that went away; `close` follows
    client.on('close', () => clients.delete(client));
    client.setEncoding('utf8').on('data', (text: string) => {
      if (text.includes('keep')) isKept = true;
      if (text.includes('stop')) void end();
      client.write('ok\n');
    });
    void answer(client);
  });
  server.on('error', async (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EADDRINUSE') throw error;
    // Another test file was faster: its cluster is everyone's. Or it was killed and left the socket's name.
    if (await connectToCluster(runPid)) process.exit(0);
    fs.rmSync(socketPath, { force: true });
    server.listen(socketPath);
  });
  await new Promise<void>((resolve) => server.once('listening', resolve).listen(socketPath));

  const starting = startEmbeddedPostgres({ dataDir, settings });
  async function answer(client: Socket): Promise<void> {
    const reply = await starting.then(
      ({ url }) => ({ url }),
      (error: Error) => ({ error: error.message }),
    );
    client.write(`${JSON.stringify(reply)}\n`);
  }

  async function end(): Promise<void> {
    if (isEnding) return;
    isEnding = true;
    clearInterval(watch);
    const postgres = await starting.catch(() => undefined); // told to every test file already
    await postgres?.stop(isKept ? 'fast' : 'immediate');
    if (isKept) {
      fs.rmSync(failedRunFolder, { recursive: true, force: true });
      fs.renameSync(dataDir, failedRunFolder);
    } else {
      fs.rmSync(dataDir, { recursive: true, force: true });
    }
    server.close();
    for (const client of clients) client.end();
  }
  const watch = setInterval(() => {
    if (!isRunning(runPid)) void end();
  }, 100);
  process.on('SIGTERM', () => void end());
  process.on('SIGINT', () => void end());
}

async function stay(dataDir: string | undefined): Promise<void> {
  const postgres = await startEmbeddedPostgres({ settings, ...(dataDir ? { dataDir } : {}) });
  process.stdout.write(`export TEST_DATABASE_URL=${postgres.url}\n`);
  const alive = setInterval(() => {}, 60_000);
  process.once('SIGINT', async () => {
    await postgres.stop();
    clearInterval(alive);
  });
}

// A cluster process that was killed could not remove its data.
function removeLeftovers(): void {
  for (const name of fs.readdirSync(baseFolder)) {
    const pid = Number(/^postbell-tests-(\d+)/.exec(name)?.[1]);
    if (pid && !isRunning(pid)) fs.rmSync(path.join(baseFolder, name), { recursive: true, force: true });
  }
}
