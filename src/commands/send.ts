// `postbell send`: delivers correctly signed events of any source that is on, as its provider would.
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { CommandError } from '../errors.ts';
import { printable } from '../printable.ts';
import { type DeliveryOptions, type OutgoingRequest, type Source, signDelivery } from '../providers/index.ts';
import { loadSettings } from '../runtime/settings.ts';
import { type Answer, deliver } from '../terminal/deliver.ts';
import type { CommandIo, CommonOptions } from '../terminal/io.ts';
import { printJson, printLine } from '../terminal/print.ts';
import { endpointOf, sourceThatIsOn } from './delivery-target.ts';
import { type ReadDelivery, readDelivery } from './send-notes.ts';

export interface SendOptions extends CommonOptions {
  /** A file, JSON itself, or `-` for standard input. */
  data?: string;
  id?: string;
  url?: string;
  /** Number of different events. */
  count: number;
  /** Number of further deliveries of each event. */
  repeat: number;
  /** File with the private key, for schemes whose secret is a public key. */
  privateKey?: string;
}

const shownBodyChars = 2_000;

/** @returns 1 unless every delivery got a 2xx @throws CommandError also where an answer is missing */
export async function runSend(
  io: CommandIo,
  sourceName: string,
  topic: string,
  options: SendOptions,
): Promise<number> {
  const settings = loadSettings(io.env);
  const source = sourceThatIsOn(settings, sourceName);
  const url = endpointOf(options.url ?? `http://127.0.0.1:${settings.config.PORT}`, sourceName, '--url');
  if (options.id !== undefined && options.count > 1)
    throw new CommandError('--id names one event: leave out --count; --repeat delivers the event again');
  const body = options.data === undefined ? undefined : await readBody(io, options.data);
  const signing = {
    topic,
    url,
    ...(body === undefined ? {} : { body }),
    ...(options.id === undefined ? {} : { id: options.id }),
    ...(options.privateKey === undefined ? {} : { privateKey: readBytes(io, options.privateKey).toString() }),
  };
  const shown = { source: sourceName, url };
  const said = new Set<string>();
  const statuses = new Map<number, number>();
  let before: ReadDelivery | undefined;
  for (let number = 1; number <= options.count; number++) {
    const request = sign(source, { ...signing, now: new Date() });
    const read = readDelivery(source, request, topic, before?.draft);
    before = read;
    if (!options.json) sayNew(io, read.notes, said);
    for (let delivery = 0; delivery <= options.repeat; delivery++) {
      const answer = await deliver(request).catch((error) => failAfter(io, error, statuses, shown, options));
      statuses.set(answer.status, (statuses.get(answer.status) ?? 0) + 1);
      printAnswer(io, { ...shown, topic: read.topic, eventId: read.eventId }, answer, read.notes, options);
    }
  }
  return [...statuses.keys()].every((status) => status >= 200 && status <= 299) ? 0 : 1;
}

/** Each note once. */
function sayNew({ err }: CommandIo, notes: readonly string[], said: Set<string>): void {
  for (const note of notes.filter((note) => !said.has(note))) {
    said.add(note);
    printLine(err, printable(`note: ${note}`));
  }
}

function printAnswer(
  { out }: CommandIo,
  sent: { source: string; topic: string; eventId: string | null; url: string },
  { status, body }: Answer,
  notes: readonly string[],
  { json }: SendOptions,
): void {
  const cut = body.slice(0, shownBodyChars);
  if (json) printJson(out, { ...sent, status, body: cut, notes });
  else printLine(out, `${status} ${printable(cut)}  ${printable(sent.eventId ?? '')}`.trimEnd());
}

/** Ends the command where no answer came. @throws CommandError that says what was answered before */
function failAfter(
  { out }: CommandIo,
  error: unknown,
  statuses: ReadonlyMap<number, number>,
  shown: { source: string; url: string },
  { json, count, repeat }: SendOptions,
): never {
  if (!(error instanceof CommandError)) throw error;
  const planned = count * (repeat + 1);
  const answered = [...statuses.values()].reduce((sum, number) => sum + number, 0);
  if (json)
    printJson(out, {
      ...shown,
      planned,
      answered,
      statuses: Object.fromEntries(statuses),
      problem: error.message,
    });
  if (answered === 0) throw error;
  const each = Array.from(statuses, ([status, number]) => `${number.toLocaleString('en-US')} with ${status}`);
  throw new CommandError(
    `${answered.toLocaleString('en-US')} of ${planned.toLocaleString('en-US')} deliveries were answered (${each.join(', ')}); then ${error.message}`,
  );
}

/** A file, `-`, or JSON itself, which is sent unchanged. @throws CommandError */
async function readBody(io: CommandIo, data: string): Promise<Buffer> {
  if (data === '-') return buffer(io.input);
  if (/^\s*[{[]/.test(data)) {
    try {
      JSON.parse(data);
    } catch {
      throw new CommandError(
        `--data begins like JSON and is none: put it between single quotes, e.g. --data '{"id":"evt_1"}'`,
      );
    }
    return Buffer.from(data);
  }
  try {
    return readBytes(io, data);
  } catch (error) {
    const forms = `--data takes a file, JSON such as '{"id":"evt_1"}', or - for standard input`;
    throw new CommandError(`${(error as Error).message}; ${forms}`);
  }
}

/** @throws CommandError */
export function readBytes(io: CommandIo, path: string): Buffer {
  try {
    return readFileSync(resolve(io.folder, path));
  } catch (error) {
    throw new CommandError(`${path} cannot be read (${(error as NodeJS.ErrnoException).code})`);
  }
}

/** @throws CommandError that names a missing sample or key, and the remedy */
function sign(source: Source, options: DeliveryOptions): OutgoingRequest {
  try {
    return signDelivery(source, options);
  } catch (error) {
    if (error instanceof SyntaxError)
      // its message quotes the body
      throw new CommandError(
        `a body for ${source.provider.title} must be JSON: the signature needs its values`,
      );
    throw new CommandError((error as Error).message);
  }
}
