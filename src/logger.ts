// The one pino logger of a process; child loggers carry source, event id and attempt.
import pino, { type Logger } from 'pino';

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
  };
  if (toStandardError) return pino(options, pino.destination({ dest: 2, sync: true }));
  if (process.stdout.isTTY && !isJson && hasPrettyPrinter()) {
    return pino({ ...options, transport: { target: 'pino-pretty', options: { ignore: 'pid,hostname' } } });
  }
  return pino(options, pino.destination({ sync: false, minLength: 0 }));
}

function hasPrettyPrinter(): boolean {
  try {
    import.meta.resolve('pino-pretty');
    return true;
  } catch {
    return false; // production installs leave it out
  }
}
