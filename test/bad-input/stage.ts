// What the bad inputs are thrown at: a web and a worker process on a database of their own, every answer looked at.
import { createHash } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import pg from 'pg';
import type { Test } from 'tap';
import { atEnd } from '../support/at-end.ts';
import { busyness } from '../support/busyness.ts';
import { createTestDatabase } from '../support/database.ts';
import { startProcess, type TestProcess } from '../support/processes.ts';
import { waitFor } from '../support/wait.ts';
import { canaries, metricsToken, signed, sourceEnvironment, type Wish } from './senders.ts';
import { startStatementCounter } from './statement-counter.ts';
import {
  type Answer,
  type Conversation,
  type ExchangeOptions,
  exchange,
  type RawRequest,
  rawRequest,
} from './wire.ts';

export interface StoredRow extends Record<string, unknown> {
  event_id: string;
  topic: string;
  status: string;
  payload: unknown;
  payload_error: string | null;
  raw_body: Buffer | null;
  duplicates: number;
}

export interface Stage {
  port: number;
  databaseUrl: string;
  /** As DATABASE_URL of the processes: another password than any. */
  processUrl: string;
  pool: pg.Pool;
  web: TestProcess;
  worker: TestProcess;
  /** Sends bytes to web; every answer that comes is checked for shape and secrets. */
  exchange(
    bytes: string | Buffer | readonly (string | Buffer)[],
    options?: ExchangeOptions,
  ): Promise<Conversation>;
  /** A further one, with other settings. */
  newWeb(
    env: Record<string, string>,
    options?: { isReady?: boolean },
  ): Promise<{ process: TestProcess; port: number }>;
  /** One request, its one answer. */
  send(request: RawRequest): Promise<Answer>;
  /** A correctly signed delivery. */
  deliver(source: string, wish?: Wish): Promise<Answer>;
  /** The row whose body had this hash, if there is one. */
  rowOf(body: string | Buffer): Promise<StoredRow | undefined>;
  row(eventId: string, source?: string): Promise<StoredRow | undefined>;
  /** Without those of `stripe-eu`, which stalls.ts delivers all the time. */
  eventCount(): Promise<number>;
  /** Until the worker's handler has seen that event; what it was given. */
  handled(
    eventId: string,
    source?: string,
  ): Promise<{ payload: string | null; raw_body: Buffer | null; topic: string }>;
  /** What `work` made web execute; aside from the sampled rejection and pg-boss's own round. */
  statementsOf(work: () => Promise<unknown>): Promise<string[]>;
  metrics(): Promise<string>;
  /** p99 of the delay of web's event loop, for each time between two readings of the metrics. */
  readonly lags: { overSeconds: number; p99Seconds: number }[];
  /** What was wrong with answers so far: a 500, an odd shape, a secret. */
  readonly problems: string[];
  /** How many answers were checked, by status. */
  readonly statuses: Map<number, number>;
}

/**
 * Background work of web: the one sampled row a second, the counts of rejections every 10 s, signs of life, pg-boss's own clock, the
 * look for captures, the figures for whoever reads the metrics (as this stage does), and statements that follow an earlier accepted delivery: workers
 * are woken, duplicates are counted.
 */
const notOfTraffic = new RegExp(
  [
    'INSERT INTO "public"\\.(rejected_requests|rejection_counts)',
    ...['pg_notify', 'SET duplicates =', 'pgboss"?\\.(version|bam|warning)', '"public"\\.postbell_processes'],
    ...[
      '^(BEGIN|SET LOCAL|COMMIT)',
      'WITH RECURSIVE stored',
      '\\) (oldest|newest)\\s',
      'FROM "public"\\.(alerts|captures)',
    ],
  ].join('|'),
);
export const accepted = '{"ok":true,"duplicate":false}';
export const repeated = '{"ok":true,"duplicate":true}';
export const maxAnswerBytes = 256;

export interface StageOptions {
  env?: Record<string, string>;
  /** Default true. */
  hasWorker?: boolean;
}

export async function openStage(t: Test, options: StageOptions = {}): Promise<Stage> {
  const { url } = await createTestDatabase(t);
  const pool = new pg.Pool({ connectionString: url, max: 4, application_name: 'postbell tests' });
  atEnd(t, () => pool.end());
  await pool.query(
    'CREATE TABLE seen (source text, event_id text, topic text, payload text, raw_body bytea, at timestamptz DEFAULT now())',
  );
  const counter = await startStatementCounter(t, url);
  const processUrl = new URL(counter.url);
  const env = {
    NODE_ENV: 'test',
    PORT: '0',
    HOST: '127.0.0.1',
    STORE_RAW_BODY: 'true',
    METRICS_TOKEN: metricsToken,
    POSTBELL_HANDLERS: fileURLToPath(new URL('handlers.ts', import.meta.url)),
    RETRY_DELAY_SECONDS: '1',
    POLL_SECONDS: '1',
    ...sourceEnvironment,
    ...options.env,
  };
  const newWeb: Stage['newWeb'] = async (further, { isReady = true } = {}) => {
    const process = startProcess(t, ['web'], { env: { ...env, DATABASE_URL: url, ...further } });
    const [{ address }] = await Promise.all([
      process.waitForLog((line) => line.msg === 'listening'),
      isReady && process.waitForLog('ready'),
    ]);
    return { process, port: Number(new URL(String(address)).port) };
  };
  const { process: web, port } = await newWeb({ DATABASE_URL: processUrl.href });
  const worker =
    options.hasWorker === false ? web : startProcess(t, ['worker'], { env: { ...env, DATABASE_URL: url } });
  await worker.waitForLog('ready');
  const problems: string[] = [];
  const statuses = new Map<number, number>();
  const lags: Stage['lags'] = [];
  let readAt = 0;

  const stage: Stage = {
    port,
    databaseUrl: url,
    processUrl: processUrl.href,
    pool,
    web,
    worker,
    problems,
    statuses,
    lags,
    newWeb,
    exchange: async (bytes, exchangeOptions) => {
      const conversation = await exchange(exchangeOptions?.port ?? port, bytes, exchangeOptions);
      for (const answer of conversation.answers) {
        statuses.set(answer.status, (statuses.get(answer.status) ?? 0) + 1);
        problems.push(...answerProblems(answer, exchangeOptions?.isHead));
      }
      return conversation;
    },
    send: async (request) => {
      const isHead = request.method === 'HEAD';
      const { answers, rest } = await stage.exchange(rawRequest(request), { answers: 1, isHead });
      if (!answers[0]) throw new Error(`no answer; what came was ${JSON.stringify(rest)}`);
      return answers[0];
    },
    deliver: (source, wish) => stage.send(signed(source, wish)),
    rowOf: async (body) =>
      (
        await pool.query<StoredRow>('SELECT * FROM webhook_events WHERE body_sha256 = $1', [
          createHash('sha256').update(body).digest(),
        ])
      ).rows[0],
    row: async (eventId, source = 'stripe') =>
      (
        await pool.query<StoredRow>('SELECT * FROM webhook_events WHERE event_id = $1 AND source = $2', [
          eventId,
          source,
        ])
      ).rows[0],
    eventCount: async () =>
      (
        await pool.query<{ count: number }>(
          `SELECT count(*)::int AS count FROM webhook_events WHERE source <> 'stripe-eu'`,
        )
      ).rows[0]!.count,
    handled: (eventId, source = 'stripe') =>
      waitFor(
        async () =>
          (await pool.query('SELECT * FROM seen WHERE event_id = $1 AND source = $2', [eventId, source]))
            .rows[0],
        { what: `the handler to see ${source} ${eventId}` },
      ),
    statementsOf: async (work) => {
      const from = counter.statements.length;
      await work();
      return counter.statements.slice(from).filter((text) => !notOfTraffic.test(text));
    },
    metrics: async () => {
      const headers = [['authorization', `Bearer ${metricsToken}`]] as const;
      const { answers } = await exchange(
        port,
        rawRequest({ method: 'GET', path: '/metrics', headers, framing: 'none' }),
        {
          answers: 1,
        },
      );
      const text = answers[0]?.body ?? '';
      const now = performance.now();
      lags.push({
        overSeconds: (now - readAt) / 1_000,
        p99Seconds: counterOf('nodejs_eventloop_lag_p99_seconds ', text),
      });
      readAt = now;
      return text;
    },
  };
  // The start is over: what it held up is not the bad inputs' doing.
  await stage.metrics();
  lags.length = 0;
  return stage;
}

/**
 * What p99 of the event loop's delay may be: 100 ms on a machine that does nothing else; with more to do than it has
 * cores, each process waits for the others.
 */
export const maxLagSeconds = () => 0.1 * busyness();

/** First answer of one connection, and whether the server ended it. */
export async function answerTo(stage: Stage, bytes: string | Buffer | (string | Buffer)[]) {
  const { answers, isClosed, rest } = await stage.exchange(bytes, { timeoutMs: 3_000 });
  return { status: answers[0]?.status, body: answers[0]?.body, count: answers.length, isClosed, rest };
}

/** The sum of a metric's values over its labels. */
export function counterOf(name: string, metrics: string): number {
  const lines = metrics.split('\n').filter((line) => line.startsWith(name));
  return lines.reduce((sum, line) => sum + Number(line.split(' ').at(-1)), 0);
}

const isOwnError = (body: string) =>
  /^\{"error":"[a-z_]{2,30}","requestId":"[A-Za-z0-9._-]{1,64}"\}$/.test(body);
/** Challenges that were asked for, `/healthz`, and answers that a provider wants to be empty. */
const isOtherwiseKnown = ({ status, body }: Answer) =>
  (status < 500 && (body === '' || body === '{"status":"ok"}')) || body === '{"status":"unavailable"}';

/** Of one answer: a 500, a shape that is not ours, the caller's own words, a secret. */
export function answerProblems(answer: Answer, isHead = false): string[] {
  const { status, headers, body } = answer;
  if (status === 100) return [];
  const problems: string[] = [];
  const add = (problem: string) => problems.push(`${status} ${body.slice(0, 100)}: ${problem}`);
  if (status >= 500 && status !== 503) add('a server error');
  if (status >= 300 && status < 400) add('a redirection');
  if (status === 429 || status === 410) add('a status that providers give up on');
  if (status === 503 && !headers['retry-after']) add('503 without Retry-After');
  if (!headers['x-request-id']) add('no x-request-id');
  if (headers['cache-control'] !== 'no-store') add('cacheable');
  if (status >= 400 && !isHead && !isOwnError(body) && !isOtherwiseKnown(answer))
    add('not the shape of an error');
  if (
    status === 401 &&
    !body.startsWith('{"error":"invalid_signature"') &&
    !body.startsWith('{"error":"unauthorized"')
  )
    add('another body than every signature failure has');
  if (status === 200 && !isHead && body !== accepted && body !== repeated && !isOtherwiseKnown(answer)) {
    if (!headers['content-type']?.startsWith('text/plain') && !body.includes('plainToken'))
      add('an unknown answer');
  }
  if (body.length > maxAnswerBytes) add('too long');
  const whole = JSON.stringify(answer);
  for (const canary of canaries) if (whole.includes(canary)) add(`holds ${canary}`);
  return problems;
}

/** Everything that processes of ours said or kept apart from the events' own payloads. */
export async function placesOfLeaks(stage: Stage): Promise<[place: string, text: string][]> {
  const { rows } = await stage.pool.query<{ text: string }>(`
    SELECT concat_ws(' ', event_id, topic, last_error, ignored_reason, headers::text, entity) AS text FROM webhook_events
    UNION ALL SELECT concat_ws(' ', error, stack) FROM failed_attempts
    UNION ALL SELECT concat_ws(' ', output::text, data::text) FROM pgboss.job
    UNION ALL SELECT concat_ws(' ', source, reason, detail, request_id) FROM rejected_requests
    UNION ALL SELECT concat_ws(' ', source, reason) FROM rejection_counts`);
  return [
    ["web's output", stage.web.output()],
    ["worker's output", stage.worker.output()],
    ['the metrics', await stage.metrics()],
    ['the tables', rows.map(({ text }) => text).join('\n')],
  ];
}
