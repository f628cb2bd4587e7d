// The errors that steer the flow, and the only way an error's text is kept for operators.

/** Thrown at start with every problem of the configuration at once. Holds no secret. */
export class ConfigError extends Error {
  readonly problems: readonly string[];
  constructor(problems: readonly string[]) {
    super(
      `the configuration has ${problems.length} problem(s):\n${problems.map((p) => `  - ${p}`).join('\n')}`,
    );
    this.name = 'ConfigError';
    this.problems = problems;
  }
}

/** A command's own refusal with its remedy; shown without a stack, exit code 1. */
export class CommandError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'CommandError';
  }
}

/** Thrown by a handler: never try this event again. It becomes a dead letter at once. */
export class PermanentError extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'PermanentError';
  }
}

/** Thrown by a handler: not yet. The event comes back, which costs no failure, up to MAX_DEFERRALS. */
export class Later extends Error {
  readonly afterSeconds: number;
  /** @param options.afterSeconds when to come back, 1 s to 30 days; default 60. @param options.reason for the log. */
  constructor(options: { afterSeconds?: number; reason?: string } = {}) {
    super(options.reason ?? 'not yet');
    this.name = 'Later';
    const seconds = options.afterSeconds ?? 60;
    if (!Number.isFinite(seconds) || seconds < 1 || seconds > 30 * 86_400) {
      throw new RangeError(`Later: afterSeconds is ${seconds}; use 1 to ${30 * 86_400}`);
    }
    this.afterSeconds = Math.ceil(seconds);
  }
}

/** Thrown inside the receiver and the worker when Postgres answered COMMIT with ROLLBACK. */
export class CommitRolledBackError extends Error {
  constructor() {
    super('the database answered COMMIT with ROLLBACK: the transaction had been aborted by an earlier error');
    this.name = 'CommitRolledBackError';
  }
}

/** Thrown inside the receiver when Postgres warned that a synchronous standby did not confirm the COMMIT. */
export class CommitUnconfirmedError extends Error {
  constructor(state: string) {
    super(`a synchronous standby did not confirm the commit (SQLSTATE ${state}): a failover would lose it`);
    this.name = 'CommitUnconfirmedError';
  }
}

const maxMessageLength = 2_000;
const maxStackLength = 4_000;

/** Safe to store and to log: our own strings, no enumerable properties, no NUL, bounded. Never throws. */
export interface ErrorText {
  /** `Name: message`, at most 2,000 characters. */
  text: string;
  /** Frames only, at most 4,000 characters. */
  stack: string | null;
}

// A NUL or a lone surrogate is refused by Postgres' text type and would wedge the recording of the failure.
function storable(text: string, maxLength: number): string {
  return text.slice(0, maxLength).replaceAll('\0', '').toWellFormed();
}

// Connection strings are the one secret that drivers and fetch wrappers put into messages themselves.
function withoutCredentials(text: string): string {
  return text.replaceAll(/\b([a-z][a-z0-9+.-]{0,20}:\/\/)[^\s/@]{1,500}@/gi, '$1***@');
}

function read(thrown: unknown, property: 'name' | 'message' | 'stack' | 'code'): string {
  try {
    const value = (thrown as Record<string, unknown>)[property];
    return typeof value === 'string' ? value : '';
  } catch {
    return ''; // a getter that throws: there is nothing to keep
  }
}

export function describeError(thrown: unknown): ErrorText {
  if (thrown === null || (typeof thrown !== 'object' && typeof thrown !== 'function')) {
    return {
      text: storable(withoutCredentials(`thrown value: ${String(thrown)}`.slice(0, 3_000)), maxMessageLength),
      stack: null,
    };
  }
  const name = read(thrown, 'name').slice(0, 100) || 'Error';
  // Cut before the replacement, so that a message of 50 MB costs nothing.
  const message = read(thrown, 'message').slice(0, 3_000);
  const code = sqlState(thrown);
  const frames = read(thrown, 'stack')
    .slice(-60_000)
    .split('\n')
    .filter((line) => /^\s+at /.test(line))
    .slice(0, 40)
    .join('\n');
  return {
    text: storable(
      withoutCredentials(`${name}: ${message}${code ? ` (SQLSTATE ${code})` : ''}`),
      maxMessageLength,
    ),
    stack: frames ? storable(frames, maxStackLength) : null,
  };
}

/** The SQLSTATE of a Postgres error, or undefined for anything else. */
export function sqlState(thrown: unknown): string | undefined {
  const code = read(thrown, 'code');
  // Node's own codes begin with E (EPIPE, EPERM), no SQLSTATE does.
  return /^[0-9A-DF-Z][0-9A-Z]{4}$/.test(code) ? code : undefined;
}
