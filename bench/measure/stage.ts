// Puts a system on stage: a fresh copy of its database, its processes started, all gone afterwards.
import { join } from 'node:path';
import { runLoad } from '../load/load.ts';
import { type RequestFile, writeRequests } from '../load/requests.ts';
import { freePort } from '../machine/ports.ts';
import { type RunningProgram, startProgram } from '../machine/process.ts';
import { clearRedis } from '../machine/redis.ts';
import type { Run, Session, System, WorkerVariant } from '../systems/system.ts';

export type Web = RunningProgram & { url: string };

const prepared = new WeakMap<Session, Set<string>>();

export function templateOf(system: System): string {
  return `template_${system.name.replaceAll('-', '_')}`;
}

/** Makes the system's template database; the second time it is there. */
export async function prepare(session: Session, system: System): Promise<void> {
  const done = prepared.get(session) ?? new Set();
  prepared.set(session, done);
  if (done.has(system.name)) return;
  const name = templateOf(system);
  await session.cluster.create(name);
  await system.prepare(session, name, session.cluster.urlOf(name));
  done.add(system.name);
}

/** With a fresh copy of the system's database. */
export async function withRun<T>(
  session: Session,
  system: System,
  work: (run: Run) => Promise<T>,
): Promise<T> {
  await prepare(session, system);
  const database = 'run';
  await session.cluster.create(database, templateOf(system));
  try {
    return await onDatabase(session, database, work);
  } finally {
    await session.cluster.drop(database);
  }
}

/** With a database that is there already and stays, e.g. one that was filled with millions of events. */
export async function onDatabase<T>(
  session: Session,
  database: string,
  work: (run: Run) => Promise<T>,
): Promise<T> {
  if (session.redisUrl) await clearRedis(session.redisUrl);
  // What the one before left to be written must not be paid by this one.
  await session.cluster.query('CHECKPOINT');
  return work({ ...session, database, databaseUrl: session.cluster.urlOf(database) });
}

export async function withWeb<T>(run: Run, system: System, work: (web: Web) => Promise<T>): Promise<T> {
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  const web = await startProgram(
    { name: `${system.name}-web`, url, ...system.web(run, port) },
    run.workFolder,
  );
  try {
    return await work({ ...web, url });
  } finally {
    await web.stop();
  }
}

export async function withWorker<T>(
  run: Run,
  system: System,
  variant: WorkerVariant,
  work: (worker: RunningProgram) => Promise<T>,
): Promise<T> {
  const name = `${system.name}-worker-${variant.name}`;
  const worker = await startProgram({ name, ...variant.program(run) }, run.workFolder);
  try {
    return await work(worker);
  } finally {
    await worker.stop();
  }
}

/** Compiles the hot path: what runs for days has long been warm. Answers its rate, to size the files to come. */
export async function warmUp(run: Run, url: string, seconds: number, connections = 64): Promise<number> {
  const requests = requestsFor(run, 12_000 * seconds);
  const { requestsPerSecond, accepted } = await runLoad({ url, connections, seconds, requests });
  if (accepted === 0) throw new Error('nothing was accepted while warming up; see the logs of the process');
  return requestsPerSecond;
}

/** More than a run takes whose rate turns out three times as high as expected: the warm-up may meet a busy machine. */
export function requestsAt(run: Run, expectedRate: number, seconds: number): RequestFile {
  return requestsFor(run, (expectedRate * 3 + 2_000) * seconds);
}

export function requestsFor(run: Pick<Run, 'workFolder'>, count: number, secret?: string): RequestFile {
  return writeRequests(join(run.workFolder, 'requests.bin'), Math.ceil(count), secret);
}
