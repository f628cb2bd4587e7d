// How test files find the Postgres of their run, and start it when they are the first to need it.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createConnection, type Socket } from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { plainEnvironment } from './processes.ts';

const startTimeoutMs = 120_000;

/** Where the cluster of a run listens: bound by one process only, which makes it the lock as well. */
export function clusterSocket(runPid: number): string {
  return path.join(os.tmpdir(), `postbell-tests-${runPid}.sock`);
}

/** The run: tap's runner, which starts each file as its child; or the file itself when it is run by hand. */
function thisRun(): number {
  return process.env.TAP_CHILD_ID ? process.ppid : process.pid;
}

/** URL of this run's Postgres as its superuser; starts it if no file has yet. */
export async function clusterUrl(): Promise<string> {
  const runPid = thisRun();
  const deadline = performance.now() + startTimeoutMs;
  let failure: string | undefined;
  for (let hasSpawned = false; ; ) {
    const socket = await connectToCluster(runPid);
    if (socket) return readUrl(socket);
    if (!hasSpawned) {
      hasSpawned = true;
      void spawnCluster(runPid).then((output) => {
        failure = output;
      });
    }
    if (failure || performance.now() > deadline) {
      throw new Error(
        `the Postgres of the tests did not start: ${failure ?? `no answer in ${startTimeoutMs} ms`}`,
      );
    }
    await delay(20);
  }
}

/** Tells the cluster to stay readable after the run: a file has failed. */
export async function keepCluster(): Promise<void> {
  await send(thisRun(), 'keep');
}

/** Ends the cluster of a run, if there is one, and waits until it is gone. */
export async function stopCluster(runPid: number): Promise<void> {
  await send(runPid, 'stop');
}

async function send(runPid: number, word: 'keep' | 'stop'): Promise<void> {
  const socket = await connectToCluster(runPid);
  if (!socket) return;
  socket.write(`${word}\n`);
  for await (const line of createInterface({ input: socket })) {
    if (word === 'keep' && line === 'ok') break;
  }
  socket.destroy();
}

/** A connection to a run's cluster; undefined when there is none. */
export async function connectToCluster(runPid: number): Promise<Socket | undefined> {
  const socket = createConnection(clusterSocket(runPid));
  try {
    await once(socket, 'connect');
    return socket;
  } catch (error) {
    if (['ENOENT', 'ECONNREFUSED'].includes((error as NodeJS.ErrnoException).code ?? '')) return undefined;
    throw error;
  }
}

async function readUrl(socket: Socket): Promise<string> {
  for await (const line of createInterface({ input: socket })) {
    socket.destroy();
    const { url, error } = JSON.parse(line) as { url?: string; error?: string };
    if (url) return url;
    throw new Error(error);
  }
  throw new Error('the Postgres of the tests ended before it was ready');
}

// In a session of its own, so that it can outlive a Ctrl-C and clean up. Gives its words if it fails.
async function spawnCluster(runPid: number): Promise<string | undefined> {
  const script = fileURLToPath(new URL('cluster.ts', import.meta.url));
  const child = spawn(process.execPath, [script, String(runPid)], {
    detached: true,
    env: plainEnvironment(),
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let errors = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    errors += text;
  });
  child.unref();
  (child.stderr as unknown as { unref(): void }).unref();
  const [code] = await once(child, 'exit');
  return code ? errors : undefined;
}
