// `postbell show <id>`: prints one event with its payload and every failed attempt.
import { type EventDetail, findEvents } from '../events/queries.ts';
import { findTombstones, type Tombstone } from '../events/retention.ts';
import { indentJson } from '../exact-json.ts';
import { printable, printableJson } from '../printable.ts';
import { variableOf } from '../providers/sources.ts';
import { withDatabase } from '../runtime/with-database.ts';
import type { CommandIo, CommonOptions, OutputStream } from '../terminal/io.ts';
import { countText, printLine, timeText, untilText } from '../terminal/print.ts';
import { sourceHint } from './source-hint.ts';

export interface ShowOptions extends CommonOptions {
  source?: string;
}

/** Several sources may have the same id: all their events are printed. @returns 1 when nothing was found */
export async function runShow(io: CommandIo, eventId: string, options: ShowOptions): Promise<number> {
  const { events, tombstones, hint } = await withDatabase(io.env, 'show', async ({ database }) => {
    const events = await findEvents(database, eventId, options.source);
    const tombstones = await findTombstones(database, eventId, options.source);
    const isFound = events.length + tombstones.length > 0;
    return { events, tombstones, hint: isFound ? '' : await sourceHint(database, options.source) };
  });
  for (const [index, event] of events.entries()) {
    if (options.json) printDocument(io.out, event);
    else {
      if (index > 0) printLine(io.out);
      printEvent(io.out, event);
    }
  }
  for (const tombstone of tombstones) {
    printLine(
      io.out,
      options.json ? printableJson(JSON.stringify(tombstone)) : printable(describe(tombstone)),
    );
  }
  if (events.length + tombstones.length > 0) return 0;
  const where = options.source === undefined ? '' : ` of ${options.source}`;
  printLine(io.err, printable(`there is no event ${eventId}${where}${hint}`));
  return 1;
}

function describe({ source, eventId, processedOn, purgedOn }: Tombstone): string {
  const end = processedOn ? `PROCESSED on ${processedOn}` : 'IGNORED';
  return `${source} ${eventId} was ${end} and purged on ${purgedOn} (PAYLOAD_RETENTION_DAYS or ${variableOf(source)}_RETENTION_DAYS)`;
}

/** Inserts the payload as text: JavaScript would round its large numbers. */
function printDocument(out: OutputStream, { payloadText, rawBody, ...event }: EventDetail): void {
  const rest = JSON.stringify({ ...event, rawBody: rawBody?.toString('base64') ?? null });
  printLine(out, printableJson(`${rest.slice(0, -1)},"payload":${payloadText ?? 'null'}}`));
}

function printEvent(out: OutputStream, event: EventDetail): void {
  const fields: [string, string | null][] = [
    ['source', event.source === event.provider ? event.source : `${event.source} (${event.provider})`],
    ['event', event.eventId],
    ['topic', event.topic],
    ['status', event.status],
    ['next try', event.nextTryAt && `${timeText(event.nextTryAt)} (${untilText(event.nextTryAt)})`],
    ['paused', event.pausedSince && `since ${timeText(event.pausedSince)}; why: postbell pause`],
    ['reason', event.ignoredReason],
    ['last error', event.lastError],
    ['received', timeText(event.receivedAt)],
    ['received by', event.receivedBy === 'webhook' ? null : event.receivedBy],
    ['occurred', event.occurredAt && timeText(event.occurredAt)],
    ['processed', event.processedAt && timeText(event.processedAt)],
    ['erased', event.erasedAt && timeText(event.erasedAt)],
    ['entity', event.entity],
    ['attempts', String(event.attempts)],
    ['deferred', event.deferrals ? countText(event.deferrals, 'time') : null],
    ['duplicates', String(event.duplicates)],
    ['job', event.jobId],
    ['body sha256', event.bodySha256],
  ];
  for (const [name, value] of fields) {
    if (value !== null) printLine(out, `${name.padEnd(12)} ${printable(value)}`);
  }
  printBlock(
    out,
    'headers',
    Object.entries(event.headers).map(([name, value]) => `${name}: ${value}`),
  );
  const title = event.payloadError ? `body, not kept as JSON (${event.payloadError})` : 'payload';
  printBlock(out, title, bodyLines(event));
  if (event.failures.length > 0) printBlock(out, 'failed attempts, oldest first', failureLines(event));
}

function printBlock(out: OutputStream, title: string, lines: readonly string[]): void {
  printLine(out, `\n${title}`);
  for (const line of lines) printLine(out, `  ${printable(line)}`);
}

function bodyLines({ payloadText, rawBody }: EventDetail): string[] {
  if (payloadText !== null) return indentJson(payloadText).split('\n');
  return (rawBody?.toString('utf8') ?? '').split('\n');
}

function failureLines({ failures }: EventDetail): string[] {
  return failures.flatMap(({ error, stack, startedAt, failedAt }) => {
    const seconds =
      startedAt === null ? '' : ` after ${((failedAt.getTime() - startedAt.getTime()) / 1_000).toFixed(1)} s`;
    return [`${timeText(failedAt)}${seconds}  ${error}`, ...(stack?.split('\n') ?? [])];
  });
}
