// `postbell rehearse <id>`: runs an event's handlers, shows what they would change, and rolls back.
import type { Database } from '../database/database.ts';
import { CommandError } from '../errors.ts';
import { readStoredEvents, type StoredEvent } from '../events/event.ts';
import { findEvents } from '../events/queries.ts';
import { printable } from '../printable.ts';
import { connect } from '../runtime/connection.ts';
import { loadConnectedSettings } from '../runtime/settings.ts';
import { commandLogger } from '../runtime/with-database.ts';
import { confirm } from '../terminal/confirm.ts';
import type { CommandIo, CommonOptions } from '../terminal/io.ts';
import { countText, printJson, printLine, printTable, timeText } from '../terminal/print.ts';
import { workerSessionSettings } from '../worker/attempt.ts';
import { limitsOf, type Rehearsal, rehearse } from '../worker/rehearsal/rehearsal.ts';
import { rehearsalVerdict, rowCountText } from '../worker/rehearsal/rehearsal-texts.ts';
import { loadAllHandlers } from './find-handlers.ts';

export interface RehearseOptions extends CommonOptions {
  source?: string;
  yes?: boolean;
}

/** @returns 0 if the event would be PROCESSED, else 1. @throws ConfigError, CommandError */
export async function runRehearse(io: CommandIo, eventId: string, options: RehearseOptions): Promise<number> {
  const settings = loadConnectedSettings(io.env);
  const { config } = settings;
  const handlers = await loadAllHandlers(io.env, settings, io.folder);
  const log = commandLogger(config, 'rehearse');
  const timeoutMs = config.HANDLER_TIMEOUT_SECONDS * 1_000;
  const database = connect(settings, {
    applicationName: 'postbell rehearse',
    maxConnections: 1,
    sessionSettings: workerSessionSettings(timeoutMs, config.DATABASE_POOLER),
    log,
  });
  try {
    const event = await readOne(database, eventId, options.source);
    if (!options.yes) await askFirst(io, event);
    const rehearsal = await rehearse(event, { ...limitsOf(config), database, handlers, timeoutMs, log });
    if (options.json) printJson(io.out, { source: event.source, eventId, ...rehearsal });
    else printRehearsal(io, rehearsal);
    return rehearsal.outcome === 'processed' ? 0 : 1;
  } finally {
    await database.close();
  }
}

/** @throws CommandError unless one event has the id */
async function readOne(
  database: Database,
  eventId: string,
  source: string | undefined,
): Promise<StoredEvent> {
  const found = await findEvents(database, eventId, source, 1);
  if (found.length > 1)
    throw new CommandError(
      `${eventId} is an event of several sources: choose one with --source (${found.map((event) => event.source).join(', ')})`,
    );
  if (found[0]?.erasedAt)
    throw new CommandError(
      `${eventId} was erased on ${timeText(found[0].erasedAt)}: it has no body and cannot run`,
    );
  const [event] = found.length === 1 ? await readStoredEvents(database, found) : [];
  if (!event)
    throw new CommandError(`there is no event ${eventId}${source === undefined ? '' : ` of ${source}`}`);
  return event;
}

/** @throws CommandError unless a person agrees */
async function askFirst(io: CommandIo, { eventId }: StoredEvent): Promise<void> {
  printLine(
    io.err,
    'Only what the handlers do with tx is rolled back: their calls to the outside (HTTP, mail) HAPPEN.',
  );
  await confirm(io, {
    question: printable(`Run the handlers of ${eventId}?`),
    rejection: 'calls of the handlers to the outside would happen: add --yes to do it',
    declined: 'nothing was run',
  });
}

function printRehearsal({ out }: CommandIo, rehearsal: Rehearsal): void {
  const { outcome, reason, error, tables, statements, furtherStatements } = rehearsal;
  printLine(out, rehearsalVerdict(rehearsal));
  const why = error?.text ?? reason;
  if (why !== undefined) printLine(out, printable(why));
  for (const line of error?.stack?.split('\n') ?? []) printLine(out, printable(line));
  if (outcome === 'processed') printTables(out, tables);
  for (const { text, rowCount, rows } of statements) {
    printLine(out);
    for (const line of text.split('\n')) printLine(out, printable(line));
    printLine(out, `  ${rowCountText(rowCount)}`);
    for (const row of rows) printLine(out, `  ${printable(row)}`);
  }
  if (furtherStatements > 0) printLine(out, `\nand ${countText(furtherStatements, 'further statement')}`);
}

function printTables(out: CommandIo['out'], tables: Rehearsal['tables']): void {
  if (tables.length === 0) {
    printLine(out, 'no row was changed');
    return;
  }
  printLine(out);
  printTable(out, tables, [
    { title: 'TABLE', value: ({ table }) => table },
    { title: 'INSERTED', value: ({ inserted }) => String(inserted), isNumber: true },
    { title: 'UPDATED', value: ({ updated }) => String(updated), isNumber: true },
    { title: 'DELETED', value: ({ deleted }) => String(deleted), isNumber: true },
  ]);
}
