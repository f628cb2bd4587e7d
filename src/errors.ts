// The errors that steer the flow, and the only way an error's text is kept for operators.
import { postgresErrorText, withoutNumbers } from './postgres-errors.ts';

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

/** A command's own rejection with its remedy; shown without a stack, exit code 1. */
export class CommandError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'CommandError';
  }
}

// Registered, so that they are the same in every copy of this module: `dist/` beside `src/`, a bundle, a second installation.
const permanentMark: unique symbol = Symbol.for('postbell.PermanentError');
const laterMark: unique symbol = Symbol.for('postbell.Later');

/** Thrown by a handler: never try this event again. It becomes a dead letter at once. */
export class PermanentError extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'PermanentError';
  }

  get [permanentMark](): true {
    return true;
  }
}

/** Thrown by a handler: not yet. The event comes back, which costs no failure, up to MAX_DEFERRALS. */
export class Later extends Error {
  readonly afterSeconds: number;
  /**
   * @param options.afterSeconds when to come back, 1 s to 30 days; default 60. @param options.reason for the log.
   * @throws RangeError for another afterSeconds
   */
  constructor(options: { afterSeconds?: number; reason?: string } = {}) {
    super(options.reason ?? 'not yet');
    this.name = 'Later';
    this.afterSeconds = checkedSeconds(options.afterSeconds ?? 60);
  }

  get [laterMark](): true {
    return true;
  }
}

const maxLaterSeconds = 30 * 86_400;

function checkedSeconds(seconds: unknown): number {
  if (typeof seconds === 'number' && seconds >= 1 && seconds <= maxLaterSeconds) return Math.ceil(seconds);
  const found = typeof seconds === 'number' ? seconds : `of type ${typeof seconds}`;
  throw new RangeError(`Later: afterSeconds is ${found}; use 1 to ${maxLaterSeconds}`);
}

/** Whether it is a PermanentError of whichever copy of the package. */
export function isPermanent(thrown: unknown): thrown is PermanentError {
  return read(thrown, permanentMark) === true;
}

/** Whether it is a Later of whichever copy of the package. Its `afterSeconds` is input: see `readLater`. */
export function isLater(thrown: unknown): thrown is Later {
  return read(thrown, laterMark) === true;
}

/**
 * A Later of another copy becomes one of this copy.
 * @returns anything else as it is; for a wrong `afterSeconds` the RangeError that `Later` throws itself, an ordinary failure
 */
export function readLater(thrown: unknown): unknown {
  if (!isLater(thrown)) return thrown;
  try {
    const later = new Later({
      afterSeconds: checkedSeconds(read(thrown, 'afterSeconds')),
      reason: readText(thrown, 'message'),
    });
    later.cause = read(thrown, 'cause');
    return later;
  } catch (error) {
    return error;
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

const maxTextLength = 2_000;
const maxStackLength = 4_000;
/** Characters that are read of one message: a message of 50 MB must cost nothing. */
const maxReadLength = 10_000;
/** An error with its causes, and theirs. */
const maxErrorsTold = 8;
/** Characters of the text that the causes may take. */
const maxCausesLength = 1_200;

/** Safe to store and to log: our own strings, no enumerable properties, no value that Postgres quotes, no NUL. Never throws. */
export interface ErrorText {
  /** `Name: message (code); cause: Name: message (code) …`, at most 2,000 characters. */
  text: string;
  /** Frames only, of the error itself, at most 4,000 characters. */
  stack: string | null;
}

/** The text for operators: an error and its causes (`cause`, and `errors` of an AggregateError). */
export function describeError(thrown: unknown): ErrorText {
  const { own, behind } = tell(thrown, new Set());
  const causes = behind
    .map((text) => `; ${text}`)
    .join('')
    .slice(0, maxCausesLength);
  return {
    text: storable(`${own.slice(0, maxTextLength - causes.length)}${causes}`, maxTextLength),
    stack: stackOf(thrown),
  };
}

interface Told {
  /** The error without its causes. */
  own: string;
  behind: string[];
  /** Messages of Postgres in it: wrappers quote them. */
  quotable: { raw: string; safe: string }[];
}

function tell(thrown: unknown, seen: Set<unknown>): Told {
  if (!isObject(thrown)) {
    return {
      own: withoutCredentials(`thrown value: ${String(thrown).slice(0, 3_000)}`),
      behind: [],
      quotable: [],
    };
  }
  seen.add(thrown);
  const behind: string[] = [];
  const quotable: Told['quotable'] = [];
  for (const { label, error } of causesOf(thrown)) {
    if (seen.has(error) || seen.size >= maxErrorsTold) continue;
    const told = tell(error, seen);
    behind.push(`${label}: ${told.own}`, ...told.behind);
    quotable.push(...told.quotable);
  }
  const { words, raw } = wordsOf(thrown);
  if (raw) quotable.push({ raw, safe: words });
  const name = readText(thrown, 'name').slice(0, 100) || 'Error';
  const text = raw ? words : withoutQuotes(words, quotable);
  return {
    own: withoutCredentials(text ? `${name}: ${text}` : name).slice(0, maxTextLength),
    behind,
    quotable,
  };
}

function causesOf(thrown: object): { label: string; error: unknown }[] {
  const cause = read(thrown, 'cause');
  const errors = read(thrown, 'errors');
  const list = Array.isArray(errors) ? errors.slice(0, maxErrorsTold) : [];
  return [
    ...(cause === undefined || cause === null ? [] : [{ label: 'cause', error: cause }]),
    // Lists of other things bear that name, too: of a validation's issues the message says enough.
    ...list.filter(isError).map((error, index) => ({ label: `error ${index + 1} of ${list.length}`, error })),
  ];
}

/** The message with its code. `raw`: Postgres' own message, which they are told without. */
function wordsOf(thrown: object): { words: string; raw?: string } {
  const message = readText(thrown, 'message').slice(0, maxReadLength);
  const state = sqlState(thrown);
  if (state) {
    const field = (name: string) =>
      (readText(thrown, name) || readText(thrown, `${name}_name`)).slice(0, 200);
    const [table, column, constraint] = [field('table'), field('column'), field('constraint')];
    const [position, routine] = [field('position'), field('routine')];
    const words = postgresErrorText({ code: state, message, table, column, constraint, position, routine });
    return { words, raw: message };
  }
  const code = readText(thrown, 'code');
  if (!/^[A-Za-z_][\w.-]{1,59}$/.test(code) || message.includes(code)) return { words: message };
  return { words: message ? `${message} (${code})` : `(${code})` };
}

/** Cuts from a wrapper's message Postgres' words that it repeats, and the values that Drizzle lists behind its statement. */
function withoutQuotes(message: string, quotable: Told['quotable']): string {
  let text = message.replace(
    /(Failed query: )([\s\S]*?)(\nparams:)[\s\S]*/,
    (_all, start, statement, params) => `${start}${withoutLiterals(statement)}${params} …`,
  );
  for (const { raw, safe } of quotable) {
    text = text.replaceAll(raw, () => safe);
    // Cut off somewhere, by its length or by whoever quotes it.
    const begin = raw.slice(0, 200);
    const at = raw.length > begin.length ? text.indexOf(begin) : -1;
    if (at !== -1) text = `${text.slice(0, at)}${safe}`;
  }
  return text;
}

/** A statement with its placeholders; what was written into it may be a value. */
function withoutLiterals(statement: string): string {
  return withoutNumbers(statement.replaceAll(/'(?:[^']|'')*(?:'|$)/g, '…'));
}

function stackOf(thrown: unknown): string | null {
  const stack = readText(thrown, 'stack').slice(-60_000);
  const message = readText(thrown, 'message');
  // A message of several lines may look like frames.
  const at = message && message.length < 60_000 ? stack.indexOf(message) : -1;
  const frames = (at === -1 ? stack : stack.slice(at + message.length))
    .split('\n')
    .filter((line) => /^\s+at .*(?::\d+:\d+\)?|\((?:<anonymous>|native|index \d+)\))$/.test(line))
    .slice(0, 40)
    .join('\n');
  return frames ? storable(frames, maxStackLength) : null;
}

// A NUL or a lone surrogate is refused by Postgres' text type and would wedge the recording of the failure.
function storable(text: string, maxLength: number): string {
  return text.slice(0, maxLength).replaceAll('\0', '').toWellFormed();
}

// Connection strings are the one secret that drivers and fetch wrappers put into messages themselves.
function withoutCredentials(text: string): string {
  return text.replaceAll(/\b([a-z][a-z0-9+.-]{0,20}:\/\/)[^\s/@]{1,500}@/gi, '$1***@');
}

function isObject(value: unknown): value is object {
  return value !== null && (typeof value === 'object' || typeof value === 'function');
}

function isError(value: unknown): boolean {
  return readText(value, 'stack') !== '';
}

function read(thrown: unknown, property: string | symbol): unknown {
  try {
    return (thrown as Record<string | symbol, unknown>)[property];
  } catch {
    return undefined; // nothing was thrown, or a getter throws: there is nothing to keep
  }
}

function readText(thrown: unknown, property: string): string {
  const value = read(thrown, property);
  return typeof value === 'string' ? value : '';
}

/** The SQLSTATE of a Postgres error, or undefined for anything else. */
export function sqlState(thrown: unknown): string | undefined {
  const code = readText(thrown, 'code');
  // Node's own codes begin with E (EPIPE, EPERM), no SQLSTATE does; and each has a digit.
  return /^[0-9A-DF-Z][0-9A-Z]{4}$/.test(code) && /\d/.test(code) ? code : undefined;
}
