// `postbell forward <source> <url>`: sends the new events of a database on to a laptop, as their provider would.
import { setTimeout as delay } from 'node:timers/promises';
import type { Database } from '../database/database.ts';
import { describeError } from '../errors.ts';
import { type ArrivedEvent, followEvents } from '../events/follow.ts';
import { printable } from '../printable.ts';
import { type OutgoingRequest, type Source, signDelivery } from '../providers/index.ts';
import { loadSettings } from '../runtime/settings.ts';
import { withDatabase } from '../runtime/with-database.ts';
import { deliver } from '../terminal/deliver.ts';
import type { CommandIo, CommonOptions } from '../terminal/io.ts';
import { printJson, printLine } from '../terminal/print.ts';
import { endpointOf, sourceThatIsOn } from './delivery-target.ts';
import { readBytes } from './send.ts';

export interface ForwardOptions extends CommonOptions {
  /** File with the private key, for schemes whose secret is a public key. */
  privateKey?: string;
}

const pollIntervalMs = 1_000;
const shownBodyChars = 2_000;

/** Runs until Ctrl-C. Reads the database only. @throws ConfigError, CommandError */
export async function runForward(
  io: CommandIo,
  sourceName: string,
  address: string,
  options: ForwardOptions,
): Promise<number> {
  const source = sourceThatIsOn(loadSettings(io.env), sourceName);
  const url = endpointOf(address, sourceName, 'the address');
  const privateKey =
    options.privateKey === undefined ? {} : { privateKey: readBytes(io, options.privateKey).toString() };
  return withDatabase(io.env, 'forward', async ({ database }) => {
    const interrupted = io.interrupted();
    for await (const event of newEvents(io, database, source, interrupted)) {
      const { eventId, topic } = event;
      const answer = await attempt(() =>
        signDelivery(source, {
          topic,
          id: eventId,
          url,
          body: bodyOf(event),
          now: new Date(),
          ...privateKey,
        }),
      );
      print(io, { source: sourceName, topic, eventId, url, ...answer }, options);
      if (interrupted.aborted) break;
    }
    return 0; // Ctrl-C is the usual end
  });
}

/** Ends when interrupted. */
async function* newEvents(
  { err }: CommandIo,
  database: Database,
  { name }: Source,
  interrupted: AbortSignal,
): AsyncGenerator<ArrivedEvent> {
  const next = await followEvents(database, name);
  printLine(err, `waiting for new events of ${name}; Ctrl-C ends it`);
  let isWarned = false;
  while (!interrupted.aborted) {
    const events = await next();
    if (!isWarned && events.some(({ rawBody }) => rawBody === null)) {
      isWarned = true;
      printLine(
        err,
        'the bytes were not kept: the bodies are equal JSON (for the bytes: STORE_RAW_BODY=true)',
      );
    }
    yield* events;
    if (events.length === 0)
      await delay(pollIntervalMs, undefined, { signal: interrupted }).catch(() => undefined);
  }
}

function bodyOf({ rawBody, payloadText }: ArrivedEvent): Buffer {
  return rawBody ?? Buffer.from(payloadText ?? '');
}

type Attempt = { status: number; body: string } | { status: null; problem: string };

/** An event that cannot be signed, or an app that does not run, does not end the command. */
async function attempt(sign: () => OutgoingRequest): Promise<Attempt> {
  try {
    const { status, body } = await deliver(sign(), 'Start your app');
    return { status, body: body.slice(0, shownBodyChars) };
  } catch (error) {
    const problem = error instanceof Error ? error.message : describeError(error).text;
    return { status: null, problem };
  }
}

function print(
  { out, err }: CommandIo,
  shown: { source: string; topic: string; eventId: string; url: string } & Attempt,
  { json }: ForwardOptions,
): void {
  const name = printable(`${shown.eventId}  ${shown.topic}`);
  if (json) printJson(out, shown);
  else if (shown.status === null) printLine(err, `${name}: ${printable(shown.problem)}`);
  else printLine(out, `${shown.status} ${printable(shown.body)}  ${name}`);
}
