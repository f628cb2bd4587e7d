// The settings, read once from the environment: the only owner of process.env.
import { resolve } from 'node:path';
import { z } from 'zod';
import { ConfigError } from './errors.ts';

export type Environment = Readonly<Record<string, string | undefined>>;

/** Empty strings count as unset: `FOO=` in a .env file means "not set", never the number 0. */
const optional = (value: unknown) => (value === '' ? undefined : value);

const integer = (fallback: number, min: number, max: number) =>
  z.preprocess(
    optional,
    z
      .string()
      .regex(/^\d+$/, 'must be a whole number')
      .transform(Number)
      .pipe(z.number().min(min, `must be at least ${min}`).max(max, `must be at most ${max}`))
      .default(fallback),
  );

const flag = (fallback: boolean) =>
  z.preprocess(optional, z.stringbool({ error: 'must be true or false' }).default(fallback));

const text = (schema: z.ZodString = z.string()) => z.preprocess(optional, schema.optional());

const password = text(z.string().min(16, 'must have at least 16 characters'));

const postgresUrl = text(
  z
    .string()
    .refine(
      (url) => /^postgres(ql)?:\/\//.test(url),
      'must look like postgres://user:password@host:5432/name',
    ),
);

const logLevels = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'] as const;

const schema = z.object({
  /** Postgres 15 to 18. Unset: `dev`, `demo` and the tests start an embedded one; `web` and `worker` refuse. */
  DATABASE_URL: postgresUrl,
  /** True when a transaction pooler (PgBouncer) stands in front: no prepared statements, no LISTEN. */
  DATABASE_POOLER: flag(false),
  /** Connections that `web` holds at most. */
  WEB_CONNECTIONS: integer(3, 1, 100),
  /** Port of `web`; 0 takes a free one. */
  PORT: integer(3000, 0, 65_535),
  /** Address that `web` listens on. */
  HOST: z.preprocess(optional, z.string().default('0.0.0.0')),
  /** Largest accepted body; a provider whose bodies are larger has a limit of its own (docs/providers.md). */
  BODY_LIMIT_BYTES: integer(1_048_576, 1_024, 26_214_400),
  /** How long a delivery may wait for its commit before it is answered 503. */
  RECEIVE_TIMEOUT_MS: integer(3_000, 100, 25_000),
  /** Verified deliveries that may wait for the database; beyond it 503. */
  RECEIVE_QUEUE_MAX: integer(5_000, 1, 1_000_000),
  /** Keep the exact bytes of every body (in a batch of each event), not only of those that jsonb cannot hold. */
  STORE_RAW_BODY: flag(false),
  /** Days after which PROCESSED and IGNORED events are deleted, all but their ids; 0 keeps them for ever. */
  PAYLOAD_RETENTION_DAYS: integer(0, 0, 36_500),
  /** Module that exports the handlers; default ./handlers/index.ts or .js. */
  POSTBELL_HANDLERS: text(),
  /** Failures after which an event is a dead letter. */
  MAX_ATTEMPTS: integer(5, 1, 100),
  /** Base of the back-off: 60 gives 1-2, 2-4, 4-8, 8-16 minutes. */
  RETRY_DELAY_SECONDS: integer(60, 1, 86_400),
  /** Longest pause between two attempts. */
  RETRY_DELAY_MAX_SECONDS: integer(3_600, 1, 604_800),
  /** How often an event may be put off by `Later` before that counts as a failure. */
  MAX_DEFERRALS: integer(100, 1, 100_000),
  /** A worker that gave no sign of life for so long has lost its jobs. */
  HEARTBEAT_SECONDS: integer(30, 10, 3_600),
  /** A process whose event loop is blocked for so long is ended, so that others can take its jobs; 0: never. */
  WATCHDOG_SECONDS: integer(30, 0, 3_600),
  /** How often lost jobs are looked for. */
  SUPERVISE_SECONDS: integer(15, 1, 3_600),
  /** How often PENDING events without a living job are looked for; replays are noticed at once. */
  RECONCILE_SECONDS: integer(30, 1, 3_600),
  /** Longest poll interval of an idle worker; new jobs are noticed at once where LISTEN works. */
  POLL_SECONDS: integer(2, 1, 300),
  /** Longest run of a handler; then its signal is aborted and it is rolled back. */
  HANDLER_TIMEOUT_SECONDS: integer(300, 1, 43_200),
  /** Handlers that one worker process runs at a time; each holds a connection. */
  WORKER_CONCURRENCY: integer(4, 1, 1_000),
  /** After SIGTERM: finish what is in flight, then exit hard. */
  SHUTDOWN_TIMEOUT_SECONDS: integer(20, 1, 600),
  /** trace, debug, info, warn, error, fatal or silent. */
  LOG_LEVEL: z.preprocess(
    optional,
    z.enum(logLevels, { error: `must be one of ${logLevels.join(', ')}` }).default('info'),
  ),
  /** Bearer token of GET /metrics; unset: no metrics. */
  METRICS_TOKEN: password,
  /** Kept for the operators' page, which does not exist yet; does nothing. */
  OPS_PASSWORD: password,
  /** Set by Heroku, whose Postgres wants TLS with a certificate of its own making. */
  DYNO: text(),
});

export type Config = z.infer<typeof schema>;

/** The names of all settings, for `doctor`. */
export const configKeys = Object.keys(schema.shape) as (keyof Config)[];

/**
 * Reads the settings out of `env`. Collects every problem (variable, expectation, never its value) instead of
 * stopping at the first; `config` is undefined when there is one.
 */
export function parseConfig(env: Environment): { config: Config | undefined; problems: string[] } {
  const result = schema.safeParse(env);
  if (!result.success) {
    return {
      config: undefined,
      problems: result.error.issues.map((issue) => `${issue.path.join('.')} ${issue.message}`),
    };
  }
  const config = result.data;
  const problems: string[] = [];
  if (config.RETRY_DELAY_MAX_SECONDS < config.RETRY_DELAY_SECONDS) {
    problems.push('RETRY_DELAY_MAX_SECONDS must not be smaller than RETRY_DELAY_SECONDS');
  }
  return { config: problems.length ? undefined : config, problems };
}

/** The process's own environment. */
export const processEnvironment: Environment = process.env;

/**
 * Adds what the folder's `.env` sets and the real environment does not, so that the handlers see it too.
 * No such file is no problem. @throws ConfigError when it is there and cannot be read
 */
export function loadEnvFile(folder: string): void {
  try {
    process.loadEnvFile(resolve(folder, '.env'));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return;
    throw new ConfigError(['.env cannot be read; make it a readable file']);
  }
}
