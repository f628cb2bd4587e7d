// `postbell demo`: plays a shop's day of webhooks over real HTTP against real processes, and checks the ledger.
import { setTimeout as delay } from 'node:timers/promises';
import type { Environment } from '../config.ts';
import type { Database } from '../database/database.ts';
import { type BookLine, type Found, makeBooks, unbalancedLines } from '../demo/books.ts';
import { createClient } from '../demo/client.ts';
import { playDay } from '../demo/day.ts';
import {
  countUnfinished,
  readDeadLetters,
  readEventFigures,
  replayBySql,
  replayStatement,
  statementsToTry,
} from '../demo/event-queries.ts';
import { expectedShop } from '../demo/expected-shop.ts';
import { createJournal, type Journal } from '../demo/journal.ts';
import { createPatience } from '../demo/patience.ts';
import { printDeadLetters, printLedger, printShop } from '../demo/print-ledger.ts';
import { readRejections } from '../demo/rejections.ts';
import type { ShopEvent } from '../demo/shop-events.ts';
import { addLoyaltyRate, readShopFigures, readShopTables } from '../demo/shop-queries.ts';
import { openStage, type Stage } from '../demo/stage.ts';
import { listenForStop } from '../runtime/stop-signal.ts';
import type { OutputStream } from '../terminal/io.ts';
import { printJson, printLine } from '../terminal/print.ts';

export interface DemoOptions {
  output: OutputStream;
  /** One document at the end instead of lines. */
  json?: boolean;
  /** Runs between the end of the day and the ledger. A test changes tables here: the ledger must then not balance. */
  beforeBooks?: (database: Database) => Promise<unknown>;
}

const exitCodes = { balanced: 0, unbalanced: 1, interrupted: 130 };
const countingTimeoutMs = 10_000;
/** A failed attempt is retried after 2 s, and the machine may be busy. */
const standstillMs = 60_000;

/**
 * Plays the day in a new database (of an embedded Postgres, or on DATABASE_URL's server), which it deletes at the end.
 * @returns the exit code: 0 only when the ledger balances before and after the replay
 */
export async function runDemo(env: Environment, options: DemoOptions): Promise<number> {
  const { output, json = false } = options;
  const startedAt = performance.now();
  const seconds = () => ((performance.now() - startedAt) / 1_000).toFixed(1);
  const out: OutputStream = json ? { write: () => {} } : output;
  const say = (text: string) => printLine(out, `${seconds().padStart(5)} s  ${text}`);
  using stop = listenForStop();
  try {
    await using stage = await openStage(env, say, stop);
    const playing = play(stage, { ...options, out, say, signal: stop.signal });
    playing.catch(() => {}); // after a stop it still fails, since its database was deleted
    const { lines, isBalanced } = await Promise.race([playing, stop.stopped, stage.broken]);
    if (json) printJson(output, { isBalanced, seconds: Number(seconds()), ledger: lines });
    say(
      isBalanced ? 'the ledger balances: every event once, every effect once' : 'THE LEDGER DOES NOT BALANCE',
    );
    return isBalanced ? exitCodes.balanced : exitCodes.unbalanced;
  } catch (error) {
    // Ctrl-C reaches the child processes as well: an error after it is its consequence.
    if (!stop.signal.aborted) throw error;
    say(stop.signal.reason.message);
    return exitCodes.interrupted;
  }
}

interface Play extends DemoOptions {
  out: OutputStream;
  say(text: string): void;
  signal: AbortSignal;
}

async function play(stage: Stage, { out, say, signal, beforeBooks }: Play) {
  const { database, webUrl, sources, maxAttempts } = stage;
  const journal = createJournal();
  const client = createClient({ webUrl, sources, journal, signal });
  const patience = createPatience(standstillMs);
  const poison = await playDay({ client, database, maxAttempts, patience, say });
  await patience.waitForNone(() => countUnfinished(database, journal.acknowledged()));
  await beforeBooks?.(database);
  const lines = await balance(stage, journal);

  say('the day is over\n');
  printLedger(out, lines);
  printLine(out);
  printShop(out, await readShopTables(database));
  printLine(out);
  printDeadLetters(out, await readDeadLetters(database));
  printLine(out);
  reportUnbalanced(out, lines);
  if (unbalancedLines(lines).length > 0) return { lines, isBalanced: false };

  await replay(database, poison, say);
  const after = await balance(stage, journal);
  say(
    `the ledger once more: ${after.length - unbalancedLines(after).length} of ${after.length} lines balance`,
  );
  reportUnbalanced(out, after);
  printSqlToTry(out);
  return { lines: after, isBalanced: unbalancedLines(after).length === 0 };
}

/** Reads all figures, for some seconds until they balance: duplicates of a locked event are counted a moment later. */
async function balance(stage: Stage, journal: Journal): Promise<BookLine[]> {
  const deadline = performance.now() + countingTimeoutMs;
  for (;;) {
    const found: Found = {
      events: await readEventFigures(stage.database, journal.acknowledged()),
      shop: await readShopFigures(stage.database, expectedShop(journal.events())),
      rejections: await readRejections(stage.webUrl, stage.metricsToken),
    };
    const lines = makeBooks(journal, found);
    if (unbalancedLines(lines).length === 0 || performance.now() > deadline) return lines;
    await delay(100);
  }
}

/** Fixes the cause, then replays the event by SQL, as an operator would. */
async function replay(database: Database, poison: ShopEvent, say: (text: string) => void): Promise<void> {
  say(`an operator fixes the cause of a dead letter: ${await addLoyaltyRate(database)}`);
  await replayBySql(database, poison);
  say(`and replays it: ${statementFor(poison)}`);
  await createPatience(standstillMs).waitForNone(() => countUnfinished(database, [poison]));
  poison.fate = 'PROCESSED'; // expected from now on; the ledger compares
}

function statementFor({ source, eventId }: ShopEvent): string {
  return replayStatement.replace('$1', `'${source}'`).replace('$2', `'${eventId}'`);
}

function reportUnbalanced(out: OutputStream, lines: readonly BookLine[]): void {
  for (const { what, expected, found } of unbalancedLines(lines)) {
    printLine(out, `does not balance: ${what}: expected ${expected}, found ${found}`);
  }
}

function printSqlToTry(out: OutputStream): void {
  printLine(
    out,
    '\nThe demo deletes its database at the end. To try SQL yourself: run dev, send an event, and in psql:',
  );
  for (const statement of statementsToTry) printLine(out, `  ${statement};`);
  printLine(out);
}
