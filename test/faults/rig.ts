// One installation under test: its database, web and worker processes, the provider that sends, and the books.
import { mkdtempSync, writeFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import pg from 'pg';
import pino from 'pino';
import type { Test } from 'tap';
import { parseConfig } from '../../src/config.ts';
import { clientClassFor } from '../../src/database/hosts.ts';
import { openDatabase } from '../../src/database/open-database.ts';
import { openQueue } from '../../src/queue/open-queue.ts';
import { atEnd } from '../support/at-end.ts';
import { startProcess, type TestProcess } from '../support/processes.ts';
import { patienceMs, waitFor } from '../support/wait.ts';
import { type Attempt, readJournal } from './journal.ts';
import {
  atomicityViolations,
  type Books,
  checkBooks,
  ledgerTables,
  type Tally,
  tallyBooks,
  unsettled,
  type Violation,
} from './ledger.ts';
import { createSender, type Sender, secret } from './sender.ts';

export interface Rig {
  /** Straight to the database, whatever stands between it and the processes. */
  pool: pg.Pool;
  sender: Sender;
  /** Starts one and waits until it can work; `wait: false` where it cannot yet, or is to die before. */
  web(env?: Record<string, string>, options?: StartOptions): Promise<WebProcess>;
  worker(env?: Record<string, string>, options?: StartOptions): Promise<TestProcess>;
  /** Further provider, e.g. with another secret. */
  newSender(options?: Partial<Parameters<typeof createSender>[0]>): Sender;
  attempts(): Attempt[];
  status(eventId: string): Promise<string | undefined>;
  waitForStatus(eventId: string, status: string, timeoutMs?: number): Promise<void>;
  /** Until any event has become PROCESSED since then. */
  waitForProcessedSince(time: Date): Promise<void>;
  /** Until Postgres has noticed that a killed process is gone: what it had sent is done by then. */
  settleSessions(applicationName: string): Promise<void>;
  /** Until nothing is PENDING and no job lives. */
  drain(timeoutMs?: number): Promise<void>;
  /** Whether the books balance: what does not, with what was seen while the faults went on. */
  check(expected?: Partial<Books>): Promise<Violation[]>;
  tally(): Promise<Tally>;
}

export interface WebProcess extends TestProcess {
  url: string;
}

export interface StartOptions {
  wait?: boolean;
}

export interface RigOptions {
  /** The database as the tests see it. */
  url: string;
  /** The same as the processes see it, e.g. through a proxy; default: `url`. */
  processUrl?: string;
  env?: Record<string, string>;
  /** Another copy of the source; default: this one. */
  root?: string;
  /** A second installation on the same database: the ledger's tables are there. */
  hasTables?: boolean;
}

export const maxAttempts = 5;
const ownRoot = fileURLToPath(new URL('../../', import.meta.url));
/** Short intervals, so that recovery is seen in seconds; 10 s is the shortest heartbeat there is. */
export const testProfile: Record<string, string> = {
  NODE_ENV: 'test',
  PORT: '0',
  HOST: '127.0.0.1',
  STRIPE_WEBHOOK_SECRET: secret,
  STORE_RAW_BODY: 'true',
  MAX_ATTEMPTS: String(maxAttempts),
  RETRY_DELAY_SECONDS: '1',
  RETRY_DELAY_MAX_SECONDS: '1',
  HEARTBEAT_SECONDS: '10',
  SUPERVISE_SECONDS: '1',
  RECONCILE_SECONDS: '1',
  POLL_SECONDS: '1',
  // Its transactions would be hit by faults that are meant for others.
  ALERT_INTERVAL_SECONDS: '3600',
};
const watchIntervalMs = 100;

export async function openRig(t: Test, options: RigOptions): Promise<Rig> {
  const { root = ownRoot } = options;
  const folder = mkdtempSync(path.join(os.tmpdir(), 'postbell-faults-'));
  atEnd(t, () => (t.passing() ? rm(folder, { recursive: true, force: true }) : keep(folder, processes)));
  const processes: (TestProcess & { verb: string })[] = [];
  const journalFile = path.join(folder, 'journal.jsonl');
  const severalHosts = { connectionString: options.url, connectionTimeoutMillis: 2_000 };
  const pool = new pg.Pool({
    Client: clientClassFor(severalHosts) as new () => pg.Client,
    connectionString: options.url,
    max: 4,
    application_name: 'postbell tests',
    connectionTimeoutMillis: 60_000,
    query_timeout: 120_000,
  });
  // The database is what the faults are done to.
  pool.on('error', () => {});
  atEnd(t, () => pool.end());
  if (!options.hasTables) await pool.query(ledgerTables);

  // We use the product's own connection here, whose 2 s may be over when another fault starts twenty processes.
  if (!options.hasTables)
    await waitFor(() => applyPolicy(options.url, { ...testProfile, ...options.env }).then(() => true), {
      what: 'the policy to be applied',
    });

  const webs: WebProcess[] = [];
  const env = {
    ...testProfile,
    DATABASE_URL: options.processUrl ?? options.url,
    POSTBELL_HANDLERS: path.join(root, 'test/faults/handlers.ts'),
    FAULTS_JOURNAL: journalFile,
    ...options.env,
  };
  const start = (verb: string, further: Record<string, string>) => {
    const script = path.join(root, 'src/cli.ts');
    const process = startProcess(t, [verb], {
      script,
      cwd: folder,
      env: { ...env, ...further },
      mayFail: true,
    });
    processes.push(Object.assign(process, { verb }));
    return process;
  };
  const newSender: Rig['newSender'] = (own = {}) => {
    const urls = () => webs.map(({ url }) => url);
    const sender = createSender({ urls, file: path.join(folder, 'sent.jsonl'), ...own });
    senders.push(sender);
    atEnd(t, () => sender.close());
    return sender;
  };
  const senders: Sender[] = [];
  const seen = watchAtomicity(t, pool);

  const rig: Rig = {
    pool,
    sender: newSender(),
    newSender,
    web: async (further = {}, { wait = true } = {}) => {
      const process = start('web', further);
      const { address } = await process.waitForLog((line) => line.msg === 'listening');
      const web: WebProcess = Object.assign(process, { url: String(address) });
      webs.push(web);
      void process.exited.then(() => webs.splice(webs.indexOf(web), 1));
      if (wait) await process.waitForLog('ready');
      return web;
    },
    worker: async (further = {}, { wait = true } = {}) => {
      const process = start('worker', further);
      if (wait) await process.waitForLog('ready');
      return process;
    },
    attempts: () => readJournal(journalFile),
    status: async (eventId) => {
      const { rows } = await pool.query<{ status: string }>(
        'SELECT status FROM webhook_events WHERE event_id = $1',
        [eventId],
      );
      return rows[0]?.status;
    },
    waitForStatus: async (eventId, status, timeoutMs) => {
      await waitFor(async () => (await rig.status(eventId)) === status, {
        what: `${eventId} to be ${status}`,
        ...(timeoutMs ? { timeoutMs } : {}),
      });
    },
    waitForProcessedSince: async (time) => {
      const since = 'SELECT FROM webhook_events WHERE processed_at >= $1 LIMIT 1';
      await waitFor(async () => (await pool.query(since, [time])).rowCount === 1, {
        what: `an event to be PROCESSED since ${time.toISOString()}`,
      });
    },
    settleSessions: async (applicationName) => {
      const open =
        'SELECT FROM pg_stat_activity WHERE datname = current_database() AND application_name = $1';
      await waitFor(async () => (await pool.query(open, [applicationName])).rowCount === 0, {
        what: `the sessions of ${applicationName} to end`,
      });
    },
    drain: async (timeoutMs = patienceMs) => {
      await waitFor(async () => (await unsettled(pool)) === 0, { what: 'the drain', timeoutMs });
    },
    check: async (expected = {}) => [
      ...seen(),
      ...(await checkBooks(pool, {
        sent: senders.flatMap((sender) => sender.sent),
        attempts: rig.attempts(),
        maxAttempts,
        output: processes.map((process) => process.output()).join('\n'),
        ...expected,
      })),
    ],
    tally: () =>
      tallyBooks(
        pool,
        senders.flatMap((sender) => sender.sent),
      ),
  };
  return rig;
}

/** As the release phase does: a job keeps the policy under which it was inserted, and no worker may have run before. */
async function applyPolicy(url: string, env: Record<string, string>): Promise<void> {
  const log = pino({ level: 'warn' }, process.stderr);
  const { config, problems } = parseConfig(env);
  if (!config) throw new Error(problems.join('; '));
  const database = openDatabase({ url, applicationName: 'postbell tests', maxConnections: 1, log });
  try {
    const queue = await openQueue(database, log, { supervise: false });
    await queue.applyPolicy(config);
    await queue.stop();
  } finally {
    await database.close();
  }
}

/** What was sent, the journal and every log, to find out what went wrong. */
function keep(folder: string, processes: readonly (TestProcess & { verb: string })[]): void {
  for (const { verb, pid, output } of processes)
    writeFileSync(path.join(folder, `${verb}-${pid}.log`), output());
  process.stderr.write(`kept ${folder}\n`);
}

/** Looks again and again, since a moment is enough; in one statement, since that is one snapshot. */
function watchAtomicity(t: Test, pool: pg.Pool): () => Violation[] {
  const seen = new Map<string, Violation>();
  const stopped = new AbortController();
  const watching = (async () => {
    while (!stopped.signal.aborted) {
      // No answer while the database is down is no violation.
      const violations = await atomicityViolations(pool).catch(() => []);
      for (const violation of violations) seen.set(violation.detail, violation);
      await delay(watchIntervalMs, undefined, { signal: stopped.signal }).catch(() => {});
    }
  })();
  atEnd(t, async () => {
    stopped.abort();
    await watching;
  });
  return () => [...seen.values()];
}
