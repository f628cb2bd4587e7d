// `postbell capture`: for some minutes the requests of a source are kept and shown, accepted or rejected.
import { setTimeout as delay } from 'node:timers/promises';
import type { Database } from '../database/database.ts';
import { CommandError } from '../errors.ts';
import {
  type Capture,
  type CapturedSummary,
  endCapture,
  keptMinutes,
  listCaptured,
  listCaptures,
  openCapture,
} from '../events/captures.ts';
import { printable } from '../printable.ts';
import { parseSources } from '../providers/sources.ts';
import { remedyFor } from '../receive/rejection-remedies.ts';
import { unknownSourceProblem } from '../runtime/known-sources.ts';
import { withDatabase } from '../runtime/with-database.ts';
import { actingUser } from '../terminal/acting-user.ts';
import type { CommandIo, CommonOptions } from '../terminal/io.ts';
import { countText, printJson, printLine, timeText, untilText } from '../terminal/print.ts';

export interface CaptureOptions extends CommonOptions {
  /** Default: 30. */
  minutes?: number;
  follow?: boolean;
  stop?: boolean;
}

const pollIntervalMs = 1_000;
const readAtOnce = 200;
const defaultMinutes = 30;

/** Without a source: lists the captures. @returns 1 when there was none to stop @throws CommandError */
export async function runCapture(
  io: CommandIo,
  source: string | undefined,
  options: CaptureOptions,
): Promise<number> {
  if (source === undefined && (options.stop || options.follow))
    throw new CommandError('name a source, e.g. postbell capture stripe');
  return withDatabase(io.env, 'capture', async ({ database }) => {
    if (source === undefined) return printCaptures(io, await listCaptures(database), options);
    if (options.stop) return stop(io, database, source, options);
    const problem = await unknownSourceProblem(database, source, parseSources(io.env));
    if (problem) throw new CommandError(problem);
    const [last] = await listCaptured(database, { source, limit: 1 });
    const open = (await listCaptures(database)).find((one) => one.source === source && one.isOpen);
    const isJoined = options.follow === true && options.minutes === undefined;
    const capture =
      isJoined && open
        ? open
        : await openCapture(database, source, options.minutes ?? defaultMinutes, actingUser());
    announce(io, capture, options);
    return options.follow ? follow(io, database, capture, last?.id ?? 0, options) : 0;
  });
}

function announce({ out, err }: CommandIo, capture: Capture, { json, follow }: CaptureOptions): void {
  const { source, endsAt } = capture;
  if (json && !follow) {
    printJson(out, capture);
    return;
  }
  const to = follow ? err : out;
  printLine(to, `requests of ${source} are kept until ${timeText(endsAt)} (${untilText(endsAt)}),`);
  printLine(
    to,
    `also those whose signature is wrong; they are deleted ${countText(keptMinutes, 'minute')} later`,
  );
  printLine(to, `see them: the page Live requests of /ops, or postbell capture ${source} --follow`);
  printLine(to, `to end it: postbell capture ${source} --stop`);
}

async function stop(
  { out, err }: CommandIo,
  database: Database,
  source: string,
  { json }: CaptureOptions,
): Promise<number> {
  const isEnded = await endCapture(database, source);
  if (!isEnded) printLine(err, printable(`no capture of ${source} is open`));
  else if (json) printJson(out, { source, ended: true });
  else
    printLine(out, `the capture of ${source} has ended; its requests are deleted in ${keptMinutes} minutes`);
  return isEnded ? 0 : 1;
}

function printCaptures({ out }: CommandIo, captures: readonly Capture[], { json }: CommonOptions): number {
  const open = captures.filter(({ isOpen }) => isOpen);
  for (const capture of open) {
    const { source, endsAt, openedBy } = capture;
    if (json) printJson(out, capture);
    else printLine(out, printable(`${source} until ${timeText(endsAt)}, opened by ${openedBy}`));
  }
  if (open.length === 0 && !json) printLine(out, 'no capture is open');
  return 0;
}

/** Prints each request as it arrives, until the capture ends or Ctrl-C, which leaves it open. */
async function follow(
  io: CommandIo,
  database: Database,
  { source }: Capture,
  lastId: number,
  { json }: CaptureOptions,
): Promise<number> {
  const interrupted = io.interrupted();
  const known = parseSources(io.env);
  let after = lastId;
  for (let isOpen = true; isOpen && !interrupted.aborted; ) {
    isOpen = (await listCaptures(database)).some((one) => one.source === source && one.isOpen);
    const requests = await listCaptured(database, { source, after, limit: readAtOnce });
    after = requests[0]?.id ?? after;
    for (const request of requests.reverse()) {
      if (json) printJson(io.out, request);
      else printRequest(io, request, known);
    }
    if (isOpen) await delay(pollIntervalMs, undefined, { signal: interrupted }).catch(() => undefined);
  }
  return 0;
}

function printRequest(
  { out }: CommandIo,
  request: CapturedSummary,
  known: Parameters<typeof remedyFor>[1],
): void {
  const { source, receivedAt, status, outcome, method, url, bodyBytes, topic, eventId, reason, detail } =
    request;
  const what = eventId === null ? `${method} ${url}` : `${topic} ${eventId}`;
  const line = `${timeText(receivedAt)}  ${status} ${outcome}  ${what}  ${countText(bodyBytes, 'byte')}`;
  printLine(out, printable(line));
  if (reason === null) return;
  printLine(out, printable(`  ${reason}${detail === null ? '' : ` (${detail})`}`));
  printLine(out, printable(`  remedy: ${remedyFor({ source, reason, detail }, known)}`));
}
