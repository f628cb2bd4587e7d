// `postbell send`: delivers correctly signed events of any source that is on, as its provider would.
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { CommandError } from '../errors.ts';
import { printable } from '../printable.ts';
import {
  asDelivery,
  type DeliveryOptions,
  type OutgoingRequest,
  readEvents,
  type Source,
  signDelivery,
} from '../providers/index.ts';
import { loadSettings } from '../runtime/settings.ts';
import { deliver } from '../terminal/deliver.ts';
import type { CommandIo, CommonOptions } from '../terminal/io.ts';
import { printJson, printLine } from '../terminal/print.ts';
import { endpointOf, sourceThatIsOn } from './delivery-target.ts';

export interface SendOptions extends CommonOptions {
  /** A file, or `-` for standard input. */
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

/** @returns 1 unless every delivery got a 2xx */
export async function runSend(
  io: CommandIo,
  sourceName: string,
  topic: string,
  options: SendOptions,
): Promise<number> {
  const { config, sources } = loadSettings(io.env);
  const source = sourceThatIsOn(sources, sourceName);
  const url = endpointOf(options.url ?? `http://127.0.0.1:${config.PORT}`, sourceName, '--url');
  const body = options.data === undefined ? undefined : await readBody(io, options.data);
  const signing = {
    topic,
    url,
    ...(body === undefined ? {} : { body }),
    ...(options.id === undefined ? {} : { id: options.id }),
    ...(options.privateKey === undefined ? {} : { privateKey: readBytes(io, options.privateKey).toString() }),
  };
  let notAccepted = 0;
  for (let number = 1; number <= options.count; number++) {
    const request = sign(source, { ...signing, now: new Date() });
    const event = readEvents(source, asDelivery(request, new Date()))[0];
    for (let delivery = 0; delivery <= options.repeat; delivery++) {
      const answer = await deliver(request);
      if (answer.status < 200 || answer.status > 299) notAccepted++;
      const { eventId = null, topic: readTopic = topic } = event ?? {};
      const shown = { ...answer, body: answer.body.slice(0, shownBodyChars) };
      if (options.json) printJson(io.out, { source: sourceName, topic: readTopic, eventId, url, ...shown });
      else
        printLine(io.out, `${answer.status} ${printable(shown.body)}  ${printable(eventId ?? '')}`.trimEnd());
    }
  }
  return notAccepted === 0 ? 0 : 1;
}

async function readBody(io: CommandIo, path: string): Promise<Buffer> {
  return path === '-' ? buffer(io.input) : readBytes(io, path);
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
    throw new CommandError((error as Error).message);
  }
}
