// `postbell send`: delivers correctly signed events of any source that is on, as its provider would.
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { CommandError } from '../errors.ts';
import { printable } from '../printable.ts';
import {
  asDelivery,
  type DeliveryOptions,
  findProvider,
  type OutgoingRequest,
  readEvents,
  type Source,
  signDelivery,
} from '../providers/index.ts';
import { variableOf } from '../providers/sources.ts';
import { loadSettings } from '../runtime/settings.ts';
import { deliver } from '../terminal/deliver.ts';
import type { CommandIo, CommonOptions } from '../terminal/io.ts';
import { printJson, printLine } from '../terminal/print.ts';

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
  const source = sources.get(sourceName) ?? throwUnknownSource(sourceName, [...sources.keys()]);
  const url = endpointOf(options.url ?? `http://127.0.0.1:${config.PORT}`, sourceName);
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

function throwUnknownSource(name: string, on: readonly string[]): never {
  const others = on.length > 0 ? `; sources that are on: ${on.join(', ')}` : '';
  const provider = findProvider(name);
  const remedy =
    provider && !provider.configure
      ? `set ${variableOf(name)}_WEBHOOK_SECRET (for a trial: postbell keys ${name})`
      : `declare it with POSTBELL_SOURCES=${name}=<provider>; all providers: postbell providers`;
  throw new CommandError(`the source ${name} is not on: ${remedy}${others}`);
}

/** An address without a path gets the path of our own route. */
function endpointOf(address: string, sourceName: string): string {
  const url = URL.canParse(address) ? new URL(address) : undefined;
  if (!url || !/^https?:$/.test(url.protocol)) {
    throw new CommandError('--url must be like http://127.0.0.1:3000 or https://shop.example.com/webhooks/x');
  }
  if (url.username || url.password) throw new CommandError('--url must not hold a user or a password');
  if (url.pathname === '/') url.pathname = `/api/webhooks/${sourceName}`;
  return url.href;
}

async function readBody(io: CommandIo, path: string): Promise<Buffer> {
  return path === '-' ? buffer(io.input) : readBytes(io, path);
}

function readBytes(io: CommandIo, path: string): Buffer {
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
