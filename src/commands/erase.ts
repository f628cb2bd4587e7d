// `postbell erase <path> <value>`: removes the bodies of the events that have the value, after counting them.
import { userInfo } from 'node:os';
import { text as readText } from 'node:stream/consumers';
import type { Config } from '../config.ts';
import type { Database } from '../database/database.ts';
import { CommandError } from '../errors.ts';
import { countBeyondEvents, type Erasure, minSoughtChars, type RowsBeyondEvents } from '../events/erase.ts';
import { countErasure, type ErasureProgress, erase } from '../events/erasure.ts';
import type { EventStatus } from '../events/event.ts';
import { hashText } from '../providers/index.ts';
import { withDatabase } from '../runtime/with-database.ts';
import { confirm } from '../terminal/confirm.ts';
import type { CommandIo, CommonOptions } from '../terminal/io.ts';
import { countText, printJson, printLine } from '../terminal/print.ts';
import { sourceHint } from './source-hint.ts';

export interface EraseOptions extends CommonOptions {
  source?: string;
  since?: Date;
  until?: Date;
  yes?: boolean;
  /** Also PENDING events. */
  force?: boolean;
}

type Counts = Record<EventStatus, number>;

const interruptedExitCode = 130;
const eraseLine = '\r\x1b[K';
const maxKeysOfPath = 50;
const maxOperatorLength = 60;

/** @returns 1 when nothing matched or not all could be erased, 130 when it was interrupted */
export async function runErase(
  io: CommandIo,
  path: string,
  value: string,
  options: EraseOptions,
): Promise<number> {
  const keys = readPath(path);
  const sought = value === '-' ? (await readText(io.input)).replace(/\r?\n$/, '') : value;
  if (sought === '' || sought.includes('\0'))
    throw new CommandError('the value is empty, or holds a NUL: give the text of the value');
  return withDatabase(io.env, 'erase', async ({ database, config }) => {
    const erasure = erasureOf(keys, sought, config, options);
    const signal = io.interrupted();
    const counts = await withProgress(io, options, 'looked at', (onProgress) =>
      countErasure(database, erasure, { onProgress, signal }),
    );
    if (signal.aborted) return interrupted(io, options, 0, 0);
    const matched = counts.PENDING + counts.PROCESSED + counts.FAILED + counts.IGNORED;
    if ([...sought].length < minSoughtChars)
      printLine(
        io.err,
        `warning: a value of fewer than ${minSoughtChars} characters is sought in events only, not in rejected or captured requests, reasons and error texts: too many others contain it`,
      );
    // Other tables may have the value still, e.g. of events that were purged.
    const others = await countBeyondEvents(database, erasure);
    if (matched === 0 && others.length === 0) return nothingFound(io, database, options);
    await checkAndAsk(io, matched, others, counts, options);
    return eraseAll(io, database, erasure, { matched, others, signal, options });
  });
}

/** @throws CommandError */
function readPath(path: string): string[] {
  const keys = path.split('.');
  if (keys.includes('') || keys.length > maxKeysOfPath)
    throw new CommandError(
      `the path must be 1 to ${maxKeysOfPath} keys with dots between them, e.g. data.object.customer; * stands for each item or any key`,
    );
  return keys;
}

/** Where `<SOURCE>_REDACT` hashed the value, its hash is what is stored. */
function erasureOf(
  path: readonly string[],
  value: string,
  { REDACT_KEY: key }: Config,
  { source, since, until }: EraseOptions,
): Erasure {
  const values = key === undefined ? [value] : [value, hashText(key, value)];
  return { path, values, source, receivedSince: since, receivedBefore: until };
}

/** @throws CommandError if events are PENDING, unless forced; and unless a person agrees */
async function checkAndAsk(
  io: CommandIo,
  matched: number,
  others: readonly RowsBeyondEvents[],
  { PENDING: pending, FAILED: failed }: Counts,
  { yes, force }: EraseOptions,
): Promise<void> {
  const events = countText(matched, 'event');
  const rows = sumOf(others);
  const all = [matched > 0 && events, rows > 0 && countText(rows, matched > 0 ? 'other row' : 'row')]
    .filter(Boolean)
    .join(' and ');
  if (pending > 0 && !force)
    throw new CommandError(
      `${events} ${matched === 1 ? 'matches' : 'match'}, ${pending} of them PENDING: wait until they have run, or add --force to give them up; nothing was erased`,
    );
  const lost = pending + failed;
  if (lost > 0)
    printLine(
      io.err,
      `warning: ${countText(lost, 'PENDING or FAILED event')} among them: no handler will ever run them`,
    );
  if (rows > 0)
    printLine(
      io.err,
      `the value is in ${others.map((one) => `${one.table} (${countText(one.rows, 'row')})`).join(', ')}: requests are deleted whole, also those that could still be promoted`,
    );
  printLine(
    io.err,
    'what handlers wrote to your own tables stays: erase that yourself; backups and logs, too',
  );
  if (yes) return;
  await confirm(io, {
    question: `Erase ${all}? This cannot be undone.`,
    rejection: `${all} would be erased: add --yes to do it`,
    declined: 'nothing was erased',
  });
}

const sumOf = (others: readonly RowsBeyondEvents[]) => others.reduce((sum, { rows }) => sum + rows, 0);

interface Work {
  matched: number;
  others: readonly RowsBeyondEvents[];
  signal: AbortSignal;
  options: EraseOptions;
}

async function eraseAll(
  io: CommandIo,
  database: Database,
  erasure: Erasure,
  { matched, others: confirmed, signal, options }: Work,
): Promise<number> {
  const { erased, others } = await withProgress(io, options, 'looked at again', (onProgress) =>
    erase(database, erasure, {
      ...{
        operator: operatorName(),
        matched: matched + sumOf(confirmed),
        force: options.force ?? false,
        signal,
      },
      onProgress,
    }),
  );
  if (signal.aborted) return interrupted(io, options, matched, erased);
  if (options.json) printJson(io.out, { matched, erased, otherRows: others });
  else
    printLine(
      io.out,
      `${countText(erased, 'event')} erased${others > 0 ? `, and the value in ${countText(others, 'other row')}` : ''}; ids, topics and times are kept`,
    );
  if (erased < matched)
    printLine(
      io.err,
      `${countText(matched - erased, 'event')} not erased, because another session locked or changed them: run erase again`,
    );
  return erased < matched ? 1 : 0;
}

async function nothingFound(
  { out, err }: CommandIo,
  database: Database,
  { json, source }: EraseOptions,
): Promise<number> {
  if (json) printJson(out, { matched: 0, erased: 0, otherRows: 0 });
  printLine(err, `no event has this value there: nothing was erased${await sourceHint(database, source)}`);
  return 1;
}

function interrupted(io: CommandIo, { json }: EraseOptions, matched: number, erased: number): number {
  if (json) printJson(io.out, { matched, erased, interrupted: true });
  printLine(io.err, `interrupted: ${countText(erased, 'event')} erased; the same command goes on`);
  return interruptedExitCode;
}

/** Shows the progress where a person watches. */
async function withProgress<T>(
  { err }: CommandIo,
  { json }: EraseOptions,
  what: string,
  work: (onProgress: (progress: ErasureProgress) => void) => Promise<T>,
): Promise<T> {
  const isWatched = !json && err.isTTY;
  const result = await work(({ scanned, found }) => {
    if (isWatched) err.write(`\r${countText(scanned, 'event')} ${what}, ${found} found `);
  });
  if (isWatched) err.write(eraseLine);
  return result;
}

/** For the record of the erasure. */
function operatorName(): string {
  try {
    return userInfo().username.slice(0, maxOperatorLength) || 'unknown';
  } catch {
    return 'unknown';
  }
}
