// `postbell setup <source>`: waits for a provider that sends its secret on first contact, and prints the secret once.
import { setTimeout as delay } from 'node:timers/promises';
import type { Database } from '../database/database.ts';
import { CommandError } from '../errors.ts';
import { findProvider, type Handover, type Provider, unknownSource } from '../providers/index.ts';
import { variableOf } from '../providers/sources.ts';
import {
  closeSetupWindow,
  openSetupWindow,
  readSetupWindow,
  type SetupWindow,
  setupTokenOf,
} from '../receive/setup-windows.ts';
import { loadSettings } from '../runtime/settings.ts';
import { withDatabase } from '../runtime/with-database.ts';
import type { CommandIo, CommonOptions } from '../terminal/io.ts';
import { countText, printJson, printLine, timeText } from '../terminal/print.ts';

export interface SetupOptions extends CommonOptions {
  minutes: number;
}

const pollIntervalMs = 500;
const interruptedExitCode = 130;

/** @returns 1 when nothing was handed over in time, 130 when it was interrupted; the window is closed in any case */
export async function runSetup(io: CommandIo, sourceName: string, options: SetupOptions): Promise<number> {
  const provider = providerOf(io, sourceName);
  const { handover } = provider;
  if (!handover) {
    throw new CommandError(
      `${provider.title} does not send its secret; you find the secret here: ${provider.secret.where}`,
    );
  }
  return withDatabase(io.env, 'setup', async ({ database }) => {
    const interrupted = io.interrupted();
    const window = await openSetupWindow(database, sourceName, options.minutes);
    try {
      announce(io, provider, handover, window, options.minutes);
      const secret = await waitForSecret(database, window, interrupted);
      if (secret === undefined) return interruptedExitCode;
      printSecret(io, provider, sourceName, secret, options);
      return 0;
    } finally {
      await closeSetupWindow(database, window);
    }
  });
}

/** The source may be on already (and gets a further secret) or wait for its first secret. */
function providerOf({ env }: CommandIo, name: string): Provider {
  const { sources, waiting } = loadSettings(env);
  const provider = sources.get(name)?.provider ?? waiting.get(name) ?? findProvider(name);
  if (provider) return provider;
  throw new CommandError(unknownSource(name, [...sources.keys(), ...waiting.keys()]));
}

function announce(
  { err, env }: CommandIo,
  { title }: Provider,
  { todo }: Handover,
  window: SetupWindow,
  minutes: number,
): void {
  const { source, expiresAt } = window;
  const url = `${env.PUBLIC_URL ?? 'https://<your host>'}/api/webhooks/${source}?setup=${setupTokenOf(window)}`;
  printLine(err, `open for ${source} until ${timeText(expiresAt)} (${countText(minutes, 'minute')})`);
  printLine(err, `now, at ${title}: ${todo.replace('{url}', url)}`);
  printLine(
    err,
    'use the whole URL, with the part after the ?: a secret sent to another URL is not accepted',
  );
}

/** @returns undefined when interrupted @throws CommandError when the window has closed */
async function waitForSecret(
  database: Database,
  window: SetupWindow,
  interrupted: AbortSignal,
): Promise<string | undefined> {
  while (!interrupted.aborted) {
    const found = await readSetupWindow(database, window);
    if (found.state === 'handed over') return found.secret;
    if (found.state === 'replaced')
      throw new CommandError('another postbell setup of this source was started and replaces this one');
    if (found.state === 'expired')
      throw new CommandError(
        'no secret arrived: check that web uses this database and that the provider reaches it, then try again',
      );
    await delay(pollIntervalMs, undefined, { signal: interrupted }).catch(() => undefined);
  }
  return undefined;
}

function printSecret(
  { out, err }: CommandIo,
  { title }: Provider,
  source: string,
  secret: string,
  { json }: SetupOptions,
): void {
  const variable = `${variableOf(source)}_WEBHOOK_SECRET`;
  if (json) {
    printJson(out, { source, variable, secret });
    return;
  }
  printLine(out, `${variable}=${secret}`);
  printLine(err, 'Postbell keeps no copy. Put the secret into the environment of web, and restart web.');
  printLine(err, `If ${variable} has a value already, put the new secret before it, with a comma.`);
  printLine(
    err,
    `If ${title} reports a failure now, another sender sent this secret: do not use it; run setup again.`,
  );
}
