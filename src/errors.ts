// The errors that decide what happens to an event, and the safe text of any error for logs and `last_error`.
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

/** The reason why a command failed, with its remedy; printed without a stack, exit code 1. */
export class CommandError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'CommandError';
  }
}

// Symbol.for: the same symbols in every copy of this module (`dist/` beside `src/`, a bundle, a second installation).
const permanentMark: unique symbol = Symbol.for('postbell.PermanentError');
const laterMark: unique symbol = Symbol.for('postbell.Later');

/** Thrown by a handler: a retry cannot succeed. The event becomes a dead letter at once. */
export class PermanentError extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'PermanentError';
  }

  get [permanentMark](): true {
    return true;
  }
}

/** Thrown by a handler: defers the event. It runs again later without a failure, up to MAX_DEFERRALS times. */
export class Later extends Error {
  readonly afterSeconds: number;
  /**
   * @param options.afterSeconds pause before the next run, 1 s to 30 days; default 60. @param options.reason for the log.
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

/** True for a PermanentError of any copy of the package. */
export function isPermanent(thrown: unknown): thrown is PermanentError {
  return read(thrown, permanentMark) === true;
}

/** True for a Later of any copy of the package. Its `afterSeconds` is unchecked input: see `readLater`. */
export function isLater(thrown: unknown): thrown is Later {
  return read(thrown, laterMark) === true;
}

/**
 * Converts a Later of another copy of the package into this copy's.
 * @returns any other thrown value unchanged; for a wrong `afterSeconds` the RangeError of `Later`, an ordinary failure
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

// A WeakMap, and no property: an error may be frozen, and its properties are logged by others.
const failures = new WeakMap<object, { statement: string; message: string }>();

/**
 * Tells `describeError` which statement failed, before anybody else gets the error: Knex writes the statement with its values
 * into the message. The first statement told stays.
 */
export function rememberStatement(error: unknown, statement: string): void {
  if (isObject(error) && !failures.has(error))
    failures.set(error, { statement, message: readText(error, 'message') });
}

const maxTextLength = 2_000;
/** Most characters of a statement that failed, which is one of the causes. */
const maxStatementLength = 600;
const maxStackLength = 4_000;
/** Characters that are read of one message: a message of 50 MB must not take time. */
const maxReadLength = 10_000;
/** Most errors in one text: an error, its causes, and their causes. */
const maxErrorsDescribed = 8;
/** Most characters for all causes. */
const maxCausesLength = 1_200;

/** Safe to store and to log: no enumerable properties, no value that Postgres quotes, no NUL. */
export interface ErrorText {
  /** `Name: message (code); statement: INSERT …; cause: Name: message (code) …`, at most 2,000 characters. */
  text: string;
  /** Only the frames of the error itself, at most 4,000 characters. */
  stack: string | null;
}

/** The text for operators: an error and its causes (`cause`, and `errors` of an AggregateError). Never throws. */
export function describeError(thrown: unknown): ErrorText {
  const { own, behind } = describe(thrown, new Set());
  const causes = behind
    // Drizzle's message begins with the statement.
    .filter((text) => !(own.includes('Failed query: ') && text.startsWith('statement: ')))
    .map((text) => `; ${text}`)
    .join('')
    .slice(0, maxCausesLength);
  return {
    text: storable(`${own.slice(0, maxTextLength - causes.length)}${causes}`, maxTextLength),
    stack: stackOf(thrown),
  };
}

interface Description {
  /** The error without its causes. */
  own: string;
  /** The causes, each with its label. */
  behind: string[];
  /** Postgres' messages among the causes, which wrappers quote: the full text and the safe one. */
  quotable: { raw: string; safe: string }[];
}

function describe(thrown: unknown, seen: Set<unknown>): Description {
  if (!isObject(thrown)) {
    return {
      own: withoutCredentials(`thrown value: ${String(thrown).slice(0, 3_000)}`),
      behind: [],
      quotable: [],
    };
  }
  seen.add(thrown);
  const failure = failures.get(thrown);
  const behind = failure ? [`statement: ${statementText(failure.statement)}`] : [];
  const quotable: Description['quotable'] = [];
  for (const { label, error } of causesOf(thrown)) {
    if (seen.has(error) || seen.size >= maxErrorsDescribed) continue;
    const described = describe(error, seen);
    behind.push(`${label}: ${described.own}`, ...described.behind);
    quotable.push(...described.quotable);
  }
  const { words, raw } = wordsOf(thrown);
  if (raw) {
    // Knex has changed the message since Postgres sent it.
    const message = readText(thrown, 'message').slice(0, maxReadLength);
    quotable.push({ raw: message, safe: words }, { raw, safe: words });
  }
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
  const list = Array.isArray(errors) ? errors.slice(0, maxErrorsDescribed) : [];
  return [
    ...(cause === undefined || cause === null ? [] : [{ label: 'cause', error: cause }]),
    // Lists of other things have this name as well: a validation's issues are in its message already.
    ...list.filter(isError).map((error, index) => ({ label: `error ${index + 1} of ${list.length}`, error })),
  ];
}

/** The message with its code. `raw`: Postgres' full message, whose quoted values are not in `words`. */
function wordsOf(thrown: object): { words: string; raw?: string } {
  const message = (failures.get(thrown)?.message ?? readText(thrown, 'message')).slice(0, maxReadLength);
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

/** Replaces Postgres' message inside a wrapper's message, and cuts the values that Drizzle lists after its statement. */
function withoutQuotes(message: string, quotable: Description['quotable']): string {
  let text = message.replace(
    /(Failed query: )([\s\S]*?)(\nparams:)[\s\S]*/,
    (_all, start, statement, params) => `${start}${withoutLiterals(statement)}${params} …`,
  );
  for (const { raw, safe } of quotable) {
    text = text.replaceAll(raw, () => safe);
    // The wrapper, or our own limit, may have cut the message.
    const begin = raw.slice(0, 200);
    const at = raw.length > begin.length ? text.indexOf(begin) : -1;
    if (at !== -1) text = `${text.slice(0, at)}${safe}`;
  }
  return text;
}

// In this order: what begins first decides what a quotation mark is.
const literalOrComment = new RegExp(
  [
    String.raw`\b[eE]'(?:[^'\\]|''|\\[\s\S])*(?:'|$)`,
    `'(?:[^']|'')*(?:'|$)`,
    String.raw`(?<![\w$])(\$(?:[A-Za-z_]\w*)?\$)[\s\S]*?(?:\1|$)`,
    `"(?:[^"]|"")*(?:"|$)`,
    '--[^\\n\\r]*',
    String.raw`\/\*[\s\S]*?(?:\*\/|$)`,
  ].join('|'),
  'g',
);

/** A statement without its comments and its literals, which may be values; placeholders stay. */
function withoutLiterals(statement: string): string {
  const text = statement.replaceAll(literalOrComment, (found) => {
    if (/^(--|\/\*)/.test(found)) return ' ';
    // A name that is none may be a value in the wrong quotation marks.
    return /^"[A-Za-z_][\w$]*"$/.test(found) ? found : '…';
  });
  return withoutNumbers(text);
}

/** On one line. */
function statementText(statement: string): string {
  const text = withoutLiterals(statement.slice(0, maxReadLength)).replaceAll(/\s+/g, ' ').trim();
  return text.length > maxStatementLength ? `${text.slice(0, maxStatementLength - 1)}…` : text;
}

function stackOf(thrown: unknown): string | null {
  const stack = readText(thrown, 'stack').slice(-60_000);
  const message = readText(thrown, 'message');
  // A message of several lines may contain text that looks like frames.
  const at = message && message.length < 60_000 ? stack.indexOf(message) : -1;
  const frames = (at === -1 ? stack : stack.slice(at + message.length))
    .split('\n')
    .filter((line) => /^\s+at .*(?::\d+:\d+\)?|\((?:<anonymous>|native|index \d+)\))$/.test(line))
    .slice(0, 40)
    .join('\n');
  return frames ? storable(frames, maxStackLength) : null;
}

// Postgres' text type rejects a NUL and a lone surrogate: the failure could not be recorded.
function storable(text: string, maxLength: number): string {
  return text.slice(0, maxLength).replaceAll('\0', '').toWellFormed();
}

// Drivers and fetch wrappers put connection strings, with their passwords, into messages.
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
    return undefined; // `throw undefined`, or a getter that throws
  }
}

function readText(thrown: unknown, property: string): string {
  const value = read(thrown, property);
  return typeof value === 'string' ? value : '';
}

/** The SQLSTATE of a Postgres error, or undefined for anything else. */
export function sqlState(thrown: unknown): string | undefined {
  const code = readText(thrown, 'code');
  // Node's codes begin with E (EPIPE, EPERM); no SQLSTATE does, and every SQLSTATE has a digit.
  return /^[0-9A-DF-Z][0-9A-Z]{4}$/.test(code) && /\d/.test(code) ? code : undefined;
}

/** Postgres ended the statement: it took longer than statement_timeout, or somebody cancelled it. */
export function isCancelled(thrown: unknown): boolean {
  return sqlState(thrown) === '57014';
}
