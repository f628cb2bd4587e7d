// The one pino logger of a process; child loggers carry source, event id and attempt.
import pino, { type DestinationStream, type Logger, type LoggerOptions } from 'pino';
import { describeError } from './errors.ts';
import { printableJson } from './printable.ts';

export type { Logger } from 'pino';

// Bodies are never logged. Redaction is a second protection.
const redactedPaths = [
  'authorization',
  'password',
  'secret',
  'secrets',
  'token',
  'cookie',
  'signature',
  '*.authorization',
  '*.password',
  '*.secret',
  '*.secrets',
  '*.token',
  '*.cookie',
  '*.signature',
  'headers',
  '*.headers',
  'payload',
  '*.payload',
  'body',
  '*.body',
  'connectionString',
  '*.connectionString',
];

/**
 * Writes JSON lines to standard output; on a terminal readable lines, if pino-pretty is installed (development).
 * @param level as LOG_LEVEL
 * @param name of the process, e.g. `web`
 * @param options.isJson writes JSON lines on a terminal as well
 * @param options.toStandardError writes to standard error, synchronously: for commands that print their result
 */
export function createLogger(
  level: string,
  name: string,
  { isJson = false, toStandardError = false } = {},
): Logger {
  const options = optionsOf(level, name);
  if (toStandardError) return pino(options, pino.destination({ dest: 2, sync: true }));
  if (process.stdout.isTTY && !isJson && hasPrettyPrinter()) {
    return pino({ ...options, transport: { target: 'pino-pretty', options: { ignore: 'pid,hostname' } } });
  }
  return pino(options, writtenInGroups());
}

/**
 * Writes JSON lines to standard output in a host's process: without listeners of our own on the process and its streams.
 * @param level as LOG_LEVEL @param name e.g. `web`
 */
export function createEmbeddedLogger(level: string, name: string): Logger {
  return pino(optionsOf(level, name));
}

function optionsOf(level: string, name: string) {
  return {
    level,
    name,
    base: { pid: process.pid },
    redact: { paths: redactedPaths, censor: '[redacted]' },
    // A topic or an id may contain characters that control the reader's terminal; pino does not escape C1 and bidi marks.
    hooks: { streamWrite: printableJson, logMethod: withErrorText },
    serializers: { err: describeIfError, error: describeIfError },
  } satisfies LoggerOptions;
}

/** For handlers' logs as well: an error's enumerable properties may hold data, e.g. Postgres' `detail` a customer's row. */
function describeIfError(value: unknown): unknown {
  return value instanceof Error ? describeError(value) : value;
}

/** A line without a text gets the safe text of its error; pino would take the error's own message. */
const withErrorText: NonNullable<NonNullable<LoggerOptions['hooks']>['logMethod']> = function (args, method) {
  const [first, text] = args as [unknown, ...unknown[]];
  const error = first instanceof Error ? first : (first as { err?: unknown } | null | undefined)?.err;
  if (error instanceof Error && text === undefined) {
    const fields = first === error ? { err: error } : first;
    method.apply(this, [fields, describeError(error).text] as unknown as typeof args);
  } else method.apply(this, args);
};

const groupMs = 10;
const maxGroupChars = 65_536;

/** Bytes that wait for a slow reader; further lines are dropped, so that the memory stays bounded. */
const maxWaitingBytes = 16 * 1_048_576;

/**
 * Writes lines in groups: one system call per line would cost more than the line. Node's own stream writes at once while
 * the reader keeps up, so the last line is written when the process ends. While the reader is slow the stream waits
 * without blocking; a synchronous write would stop all requests.
 */
function writtenInGroups(): DestinationStream {
  const { stdout } = process;
  stdout.on('error', () => {}); // the reader has gone: no log can be written
  let lines = '';
  const flushSync = () => {
    const text = lines;
    lines = '';
    if (text && stdout.writableLength < maxWaitingBytes) stdout.write(text);
  };
  process.on('exit', flushSync);
  return {
    write: (line) => {
      if (!lines) setTimeout(flushSync, groupMs).unref();
      lines += line;
      if (lines.length > maxGroupChars) flushSync();
    },
    // pino calls it after a fatal line; the type DestinationStream lacks it.
    ...{ flushSync },
  };
}

/** Writes a log line of a child process among the lines of this process. Dropped while the reader is slow, as those are. */
export function passOnLogLine(line: string): void {
  if (process.stdout.writableLength < maxWaitingBytes) process.stdout.write(`${line}\n`);
}

/**
 * For the line per delivery or attempt: without redaction, which costs more than the line itself.
 * Log only fields that our code names, nothing from a body or a header.
 */
export function createUnredactedLogger(log: Logger): Logger {
  return log.child({}, { redact: [] });
}

function hasPrettyPrinter(): boolean {
  try {
    import.meta.resolve('pino-pretty');
    return true;
  } catch {
    return false; // production installs leave it out
  }
}
