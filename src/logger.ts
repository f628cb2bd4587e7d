// The one pino logger of a process; child loggers carry source, event id and attempt.
import pino, { type DestinationStream, type Logger, type LoggerOptions } from 'pino';
import { describeError } from './errors.ts';
import { printableJson } from './printable.ts';

export type { Logger } from 'pino';

// Bodies are never logged at all; this is the net below that rule.
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
 * JSON lines on stdout; readable ones on a terminal when pino-pretty is installed (development).
 * @param level as LOG_LEVEL
 * @param name which process, e.g. `web`
 * @param options.isJson JSON lines on a terminal too
 * @param options.toStandardError where standard output belongs to something else; written at once
 */
export function createLogger(
  level: string,
  name: string,
  { isJson = false, toStandardError = false } = {},
): Logger {
  const options = {
    level,
    name,
    base: { pid: process.pid },
    redact: { paths: redactedPaths, censor: '[redacted]' },
    // A topic or an id may hold what turns a reader's terminal around; pino leaves C1 and bidi marks as they are.
    hooks: { streamWrite: printableJson, logMethod: withErrorText },
    serializers: { err: tellError, error: tellError },
  } satisfies LoggerOptions;
  if (toStandardError) return pino(options, pino.destination({ dest: 2, sync: true }));
  if (process.stdout.isTTY && !isJson && hasPrettyPrinter()) {
    return pino({ ...options, transport: { target: 'pino-pretty', options: { ignore: 'pid,hostname' } } });
  }
  return pino(options, writtenInGroups());
}

/** A handler's log, too, tells an error without its enumerable properties: Postgres' `detail` is a customer's row. */
function tellError(value: unknown): unknown {
  return value instanceof Error ? describeError(value) : value;
}

/** Without a text of its own pino would make the error's message the line's. */
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

/** Lines that wait for a reader; beyond it they are dropped, since they would take the memory of the process. */
const maxWaitingBytes = 16 * 1_048_576;

/**
 * Lines leave together after a moment: a system call each would cost more than the lines. Through Node's own stream, which
 * writes at once while the reader keeps up, so that the last line is out when the process ends, and waits without
 * blocking while he does not: with a synchronous write no request would be answered, and nothing could end.
 */
function writtenInGroups(): DestinationStream {
  const { stdout } = process;
  stdout.on('error', () => {}); // the reader is gone: there is nobody to tell
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
    // What pino calls after a fatal line; the type does not know of it.
    ...{ flushSync },
  };
}

/**
 * For the one line per delivery or attempt: without the net of redaction, which costs more than the line itself.
 * Only fields that we name ourselves may go there, nothing of a body or a header.
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
