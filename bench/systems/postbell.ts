// Postbell itself: its real processes, logging and metrics on.
import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { parseConfig } from '../../src/config.ts';
import { signedEvent, stripeSecret, webhookPath } from '../load/requests.ts';
import { freePort } from '../machine/ports.ts';
import { startProgram } from '../machine/process.ts';
import { clonePending } from './clone-events.ts';
import type { Run, Session, System } from './system.ts';

const atATime = `${parseConfig({}).config!.WORKER_CONCURRENCY} at a time (the default)`;
const handlers = (name: string) => fileURLToPath(new URL(`../handlers/${name}.ts`, import.meta.url));

const environment = (databaseUrl: string) => ({
  NODE_ENV: 'production',
  DATABASE_URL: databaseUrl,
  STRIPE_WEBHOOK_SECRET: stripeSecret,
  METRICS_TOKEN: 'a-token-for-the-benchmark',
  LOG_LEVEL: 'info',
  POSTBELL_HANDLERS: handlers('one-by-one'),
});

const procfile = readFileSync(new URL('../../Procfile', import.meta.url), 'utf8');
/** The flags with which the Procfile starts the process. */
const flagsOf = (name: 'web' | 'worker') =>
  (new RegExp(`^${name}: node (.*) dist/cli`, 'm').exec(procfile)?.[1] ?? '').split(' ').filter(Boolean);

const web = ({ postbell, databaseUrl }: Pick<Run, 'postbell' | 'databaseUrl'>, port: number) => ({
  args: [...flagsOf('web'), ...postbell, 'web'],
  env: { ...environment(databaseUrl), HOST: '127.0.0.1', PORT: String(port) },
});

const worker = (name: string, title: string, mostPerSecond: number) => ({
  name,
  title,
  mostPerSecond,
  program: ({ postbell, databaseUrl }: Run) => ({
    args: [...flagsOf('worker'), ...postbell, 'worker'],
    env: { ...environment(databaseUrl), POSTBELL_HANDLERS: handlers(name) },
  }),
});

export const postbell: System = {
  name: 'postbell',
  title: 'Postbell',
  prepare: async (session, _name, databaseUrl) => {
    const env = { PATH: process.env.PATH ?? '', ...environment(databaseUrl) };
    await promisify(execFile)(process.execPath, [...session.postbell, 'migrate'], { env });
    await receiveOne(session, databaseUrl);
  },
  web,
  stored: ({ cluster, database }) =>
    cluster.within(database, async (query) => {
      // An event without its job would be a broken promise: only both together count.
      const [row] = await query<{ count: number }>(`
        SELECT count(*)::int AS count FROM webhook_events e
        WHERE status <> 'PENDING' OR EXISTS (SELECT FROM pgboss.job j WHERE j.id = e.job_id)`);
      return row!.count;
    }),
  workers: [
    worker('one-by-one', `one by one, ${atATime}`, 20_000),
    worker('batch', `batch, ${atATime}`, 40_000),
  ],
  fill: ({ cluster, database }, count) => cluster.within(database, (query) => clonePending(query, count)),
};

/** A real event and its job, received by the real receiver: the pattern for filling the tables. */
async function receiveOne(session: Session, databaseUrl: string): Promise<void> {
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  const program = { name: 'postbell-prepare', url, ...web({ ...session, databaseUrl }, port) };
  const running = await startProgram(program, session.workFolder);
  try {
    const { headers, body } = signedEvent();
    const response = await fetch(url + webhookPath, { method: 'POST', headers, body: new Uint8Array(body) });
    if (!response.ok) throw new Error(`Postbell answered ${response.status}: ${await response.text()}`);
  } finally {
    await running.stop();
  }
}
