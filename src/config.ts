// Reads the settings once from the environment. The only module that uses process.env.
import { resolve } from 'node:path';
import { z } from 'zod';
import { problemOfDatabaseUrl } from './database-url.ts';
import { ConfigError } from './errors.ts';

export type Environment = Readonly<Record<string, string | undefined>>;

/** Empty strings count as unset: `FOO=` in a .env file means "not set", never the number 0. */
const optional = (value: unknown) => (value === '' ? undefined : value);

const wholeNumber = (min: number, max: number) =>
  z
    .string()
    .regex(/^\d+$/, 'must be a whole number')
    .transform(Number)
    .pipe(z.number().min(min, `must be at least ${min}`).max(max, `must be at most ${max}`));

const integer = (fallback: number, min: number, max: number) =>
  z.preprocess(optional, wholeNumber(min, max).default(fallback));

const optionalInteger = (min: number, max: number) =>
  z.preprocess(optional, wholeNumber(min, max).optional());

const flag = (fallback: boolean) =>
  z.preprocess(optional, z.stringbool({ error: 'must be true or false' }).default(fallback));

const text = (schema: z.ZodString = z.string()) => z.preprocess(optional, schema.optional());

const password = text(z.string().min(16, 'must have at least 16 characters'));

const httpUrl = text(
  z.string().refine((url) => {
    const parsed = URL.canParse(url) ? new URL(url) : undefined;
    return parsed && /^https?:$/.test(parsed.protocol) && !parsed.username && !parsed.password;
  }, 'must be an absolute address, http or https, without a user and a password'),
);

const signingSecret = text(
  z
    .string()
    .regex(
      /^whsec_(?:[A-Za-z0-9+/]{4}){8,}(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/,
      'must be whsec_ and base64 of at least 24 bytes; `postbell keys standard-webhooks` makes a secret',
    ),
);

const postgresUrl = text(
  z.string().superRefine((url, context) => {
    const message = problemOfDatabaseUrl(url);
    if (message) context.addIssue({ code: 'custom', message });
  }),
);

/** The defaults of POSTBELL_SCHEMA and POSTBELL_QUEUE_SCHEMA. */
export const defaultSchemas = { inbox: 'public', queue: 'pgboss' } as const;

/** Simple names only: a name begins a channel's name, of at most 63 characters, and pg-boss writes it without quotes. */
const schemaName = (fallback: string) =>
  z.preprocess(
    optional,
    z
      .string()
      .regex(/^(?!pg_|information_schema$)[a-z_][a-z0-9_]{0,39}$/, {
        error:
          'must be a schema of at most 40 lower-case letters, digits and underscores, not beginning with pg_',
      })
      .default(fallback),
  );

/** The default of SAME_BODY_HOURS. */
export const defaultSameBodyHours = 72;

const logLevels = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'] as const;

const schema = z.object({
  /** Postgres 15 to 18; several hosts and TLS: docs/deploy.md. Unset: `dev`, `demo` and the tests start an embedded Postgres; `web` and `worker` do not start. */
  DATABASE_URL: postgresUrl,
  /** `true` behind a transaction pooler (PgBouncer): no prepared statements, no LISTEN. */
  DATABASE_POOLER: flag(false),
  /** Schema of Postbell's tables. `migrate` creates it. Each Postbell of one database has a schema of its own. */
  POSTBELL_SCHEMA: schemaName(defaultSchemas.inbox),
  /** Schema of Postbell's own pg-boss, which is shared with no other program and no other Postbell. */
  POSTBELL_QUEUE_SCHEMA: schemaName(defaultSchemas.queue),
  /** Most connections that `web` holds. */
  WEB_CONNECTIONS: integer(3, 1, 100),
  /** Port of `web`; 0 takes a free port. */
  PORT: integer(3000, 0, 65_535),
  /** Address on which `web` listens. */
  HOST: z.preprocess(optional, z.string().default('0.0.0.0')),
  /** Largest accepted body, in bytes. Providers with larger bodies have a limit of their own (docs/providers.md). */
  BODY_LIMIT_BYTES: integer(1_048_576, 1_024, 26_214_400),
  /** Milliseconds that a delivery waits for its commit at most; then it is answered 503. */
  RECEIVE_TIMEOUT_MS: integer(3_000, 100, 25_000),
  /** Most verified deliveries that wait for the database; further deliveries are answered 503. */
  RECEIVE_QUEUE_MAX: integer(5_000, 1, 1_000_000),
  /** Keep the exact bytes of every body (in a batch, of every event), not only of bodies that jsonb cannot hold. */
  STORE_RAW_BODY: flag(false),
  /** Where no signature covers the id: hours in which an equal body under another topic and id is another event. */
  SAME_BODY_HOURS: integer(defaultSameBodyHours, 0, 87_600),
  /** Days after which PROCESSED and IGNORED events are deleted; their ids stay. 0 keeps the events for ever. */
  PAYLOAD_RETENTION_DAYS: integer(0, 0, 36_500),
  /** Days that a quarantine keeps rejected requests, for sources with `<SOURCE>_QUARANTINE_MB`. */
  QUARANTINE_DAYS: integer(7, 1, 90),
  /** Days after which the exact bytes of PROCESSED and IGNORED events are deleted where the payload is kept as well. 0: with the event. */
  RAW_BODY_RETENTION_DAYS: integer(0, 0, 36_500),
  /** Key of the hashes that `<SOURCE>_REDACT` stores (docs/privacy.md), at least 32 characters. A new key makes other hashes. */
  REDACT_KEY: text(z.string().min(32, 'must have at least 32 characters')),
  /** Module that exports the handlers; default ./handlers/index.ts or .js. */
  POSTBELL_HANDLERS: text(),
  /** Address of your own app: the worker POSTs every event to it (docs/forwarding.md). Needs no handlers. */
  FORWARD_URL: text(),
  /** `whsec_…`: signs what is forwarded; the app has the same. `postbell keys standard-webhooks` makes a secret. */
  FORWARD_SECRET: text(),
  /** Failures after which an event is a dead letter. */
  MAX_ATTEMPTS: integer(5, 1, 100),
  /** Base of the back-off: 60 gives 1-2, 2-4, 4-8, 8-16 minutes. */
  RETRY_DELAY_SECONDS: integer(60, 1, 86_400),
  /** Longest pause between two attempts. */
  RETRY_DELAY_MAX_SECONDS: integer(3_600, 1, 604_800),
  /** How often `Later` may defer an event; a further `Later` counts as a failure. */
  MAX_DEFERRALS: integer(100, 1, 100_000),
  /** A worker without a heartbeat for this time loses its jobs to other workers. */
  HEARTBEAT_SECONDS: integer(30, 10, 3_600),
  /** A process whose event loop is blocked for this time is ended, so that others take its jobs. 0: never. */
  WATCHDOG_SECONDS: integer(30, 0, 3_600),
  /** Interval of the search for lost jobs. */
  SUPERVISE_SECONDS: integer(15, 1, 3_600),
  /** Interval of the search for PENDING events without a job. A replay is noticed at once. */
  RECONCILE_SECONDS: integer(30, 1, 3_600),
  /** Poll interval of an idle worker. Where LISTEN works, it notices new jobs at once. */
  POLL_SECONDS: integer(2, 1, 300),
  /** Interval of asking the APIs of sources with `<SOURCE>_API_KEY` for events that no webhook brought (docs/recover.md). 0: only `postbell recover` asks. */
  RECOVER_MINUTES: integer(0, 0, 10_080),
  /** Longest run of a handler; after it the handler's signal is aborted and its transaction rolled back. */
  HANDLER_TIMEOUT_SECONDS: integer(300, 1, 43_200),
  /** Handlers that a worker process runs at the same time; each holds a connection. */
  WORKER_CONCURRENCY: integer(4, 1, 1_000),
  /** After SIGTERM the process finishes its running work for this time at most, then exits. */
  SHUTDOWN_TIMEOUT_SECONDS: integer(20, 1, 600),
  /** trace, debug, info, warn, error, fatal or silent. */
  LOG_LEVEL: z.preprocess(
    optional,
    z.enum(logLevels, { error: `must be one of ${logLevels.join(', ')}` }).default('info'),
  ),
  /** Bearer token of GET /metrics, at least 16 characters. Unset: no metrics. */
  METRICS_TOKEN: password,
  /** Address that alerts are POSTed to (docs/alerts.md): an incoming webhook of a chat, e.g. of Slack; with ALERT_SECRET any endpoint of yours. The same for web and worker. */
  ALERT_URL: httpUrl,
  /** `whsec_…`: signs the alerts by Standard Webhooks, and makes their body JSON for a program. Unset: a chat's text, unsigned. */
  ALERT_SECRET: signingSecret,
  /** Names this inbox in its alerts, e.g. shop-production. */
  ALERT_NAME: text(z.string().max(100, 'must have at most 100 characters')),
  /** Seconds between two evaluations of the alerts. */
  ALERT_INTERVAL_SECONDS: integer(60, 1, 3_600),
  /** Minutes that an event may wait for its first attempt before an alert. */
  ALERT_PENDING_MINUTES: integer(15, 1, 10_080),
  /** Size in GB (10^9 bytes) that your plan allows the database; an alert comes at 80 %. Unset: the size is not watched. */
  DATABASE_SIZE_LIMIT_GB: z.preprocess(
    optional,
    z
      .string()
      .regex(/^\d+(\.\d+)?$/, 'must be a number of GB')
      .transform(Number)
      .pipe(z.number().positive('must be more than 0'))
      .optional(),
  ),
  /** Address that is POSTed to about once a minute while the alerts are evaluated: a service outside, e.g. healthchecks.io, warns when the POSTs stop. */
  HEARTBEAT_URL: httpUrl,
  /** Port on which `worker` serves GET /metrics, also the worker of `start`; 0 takes a free port. Unset: it does not listen. */
  METRICS_PORT: optionalInteger(0, 65_535),
  /** Address on which `worker` serves its metrics. */
  METRICS_HOST: z.preprocess(optional, z.string().default('127.0.0.1')),
  /** The public address of `web`, for schemes that sign the URL, and for the link to the operators' page in alerts. */
  PUBLIC_URL: text(),
  /** Turns on the operators' page, `/ops` of `web`: the password of those who may replay. At least 16 characters. */
  OPS_PASSWORD: password,
  /** A second password of the operators' page, for people who only read. */
  OPS_READONLY_PASSWORD: password,
  /** `off`: `web` has no `/ops`; `postbell ops` serves it alone. */
  OPS_IN_WEB: flag(true),
  /** For development, `postbell dev` sets it: the page Live requests shows every request, not only those of a capture (docs/ops.md#live-requests). */
  LIVE_REQUESTS: flag(false),
  /** Set by Heroku itself. Its Postgres requires TLS and has a self-signed certificate. */
  DYNO: text(),
});

export type Config = z.infer<typeof schema>;

/** The names of all settings, for `doctor`. */
export const configKeys = Object.keys(schema.shape) as (keyof Config)[];

/**
 * Reads the settings from `env`. Collects every problem (variable and expectation, never the value) instead of
 * stopping at the first. `config` is undefined if there is a problem.
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
  if (config.METRICS_PORT !== undefined && config.METRICS_TOKEN === undefined) {
    problems.push('METRICS_PORT needs METRICS_TOKEN, the bearer token that the metrics ask for');
  }
  if (config.POSTBELL_SCHEMA === config.POSTBELL_QUEUE_SCHEMA) {
    problems.push('POSTBELL_QUEUE_SCHEMA must not be POSTBELL_SCHEMA');
  }
  if (config.OPS_READONLY_PASSWORD !== undefined && config.OPS_PASSWORD === undefined) {
    problems.push('OPS_READONLY_PASSWORD has no effect without OPS_PASSWORD: set both');
  }
  // Once, at the start: nobody can measure how long it takes.
  if (
    config.OPS_READONLY_PASSWORD !== undefined &&
    [config.OPS_PASSWORD].includes(config.OPS_READONLY_PASSWORD)
  )
    problems.push('OPS_READONLY_PASSWORD must not be OPS_PASSWORD');
  return { config: problems.length ? undefined : config, problems };
}

/** The process's own environment. */
export const processEnvironment: Environment = process.env;

/**
 * Adds the variables of the folder's `.env` that the real environment does not set, so that the handlers see them too.
 * The file may be missing. @throws ConfigError when it exists and cannot be read
 */
export function loadEnvFile(folder: string): void {
  try {
    process.loadEnvFile(resolve(folder, '.env'));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return;
    throw new ConfigError(['.env cannot be read; make it a readable file']);
  }
}
