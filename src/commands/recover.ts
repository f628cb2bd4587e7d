// `postbell recover <source>`: asks the provider for events that no webhook brought.
import { CommandError, ConfigError } from '../errors.ts';
import type { Recovery } from '../events/recoveries.ts';
import { listRecoveries } from '../events/recoveries.ts';
import { type RecoverSource, unknownSource } from '../providers/index.ts';
import { variableOf } from '../providers/sources.ts';
import { createPullReceiver } from '../pull/receiver.ts';
import { RecoverError } from '../pull/recover-error.ts';
import { notArrivedText, type RunResult, runRecovery } from '../pull/run.ts';
import { openQueue } from '../queue/open-queue.ts';
import { UnavailableError } from '../receive/receiver.ts';
import { knownSources, loadSettings, type Settings } from '../runtime/settings.ts';
import { withDatabase } from '../runtime/with-database.ts';
import type { CommandIo, CommonOptions } from '../terminal/io.ts';
import { countText, printJson, printLine, timeText } from '../terminal/print.ts';

export interface RecoverOptions extends CommonOptions {
  since?: Date;
  dryRun?: boolean;
}

/** As long as most providers try themselves. */
const firstMs = 3 * 86_400_000;
const interruptedExitCode = 130;

/** @returns 1 where the run did not get to its end. @throws ConfigError, CommandError */
export async function runRecover(io: CommandIo, name: string, options: RecoverOptions): Promise<number> {
  const settings = loadSettings(io.env);
  const recover = recoverSource(settings, name);
  const { since, dryRun: isDryRun = false } = options;
  return withDatabase(io.env, 'recover', async ({ database, config, log }) => {
    const queue = await openQueue(database, log, { supervise: false });
    const receiver = createPullReceiver({ database, queue, log, sameBodyHours: config.SAME_BODY_HOURS });
    const signal = io.interrupted();
    try {
      const keptDays = settings.retentionDays.get(name) ?? config.PAYLOAD_RETENTION_DAYS;
      const result = await runRecovery({
        recover,
        database,
        receiver,
        log,
        signal,
        since,
        firstMs,
        keepsBytes: config.STORE_RAW_BODY,
        keptDays,
        isDryRun,
        isByHand: true,
      });
      if (!result)
        throw new CommandError(`${name} is being recovered by another process; try again when it has ended`);
      if (options.json) printJson(io.out, { ...result, dryRun: isDryRun });
      else print(io, result, isDryRun);
      return result.isComplete && result.missing === 0 ? 0 : 1;
    } catch (error) {
      const taken = isDryRun
        ? undefined
        : (await listRecoveries(database).catch(() => [])).find(({ source }) => source === name);
      if (signal.aborted) return interrupted(io, taken);
      if (error instanceof RecoverError || error instanceof UnavailableError)
        throw new CommandError(`${error.message}${taken ? `\n${takenText(taken)} before that` : ''}`);
      throw error;
    } finally {
      await receiver.close();
      await queue.stop();
    }
  });
}

function recoverSource(settings: Settings, name: string): RecoverSource {
  const { recovers, sources, waiting } = settings;
  const ready = recovers.ready.get(name);
  if (ready) return ready;
  const problems = recovers.problems.get(name);
  if (problems) throw new ConfigError(problems);
  const provider = sources.get(name)?.provider ?? waiting.get(name);
  if (!provider) throw new CommandError(unknownSource(name, knownSources(settings)));
  if (!provider.recover)
    throw new CommandError(
      `${provider.title} has no list of events that Postbell could read; docs/recover.md names those that have`,
    );
  throw new CommandError(`set ${variableOf(name)}_API_KEY: ${provider.recover.key}`);
}

function print({ out }: CommandIo, result: RunResult, isDryRun: boolean): void {
  const { since, until, pages, way, isComplete, missing } = result;
  printLine(
    out,
    `asked for the events from ${timeText(since)} to ${timeText(until)}, ${countText(pages, 'page')}`,
  );
  if (!isComplete)
    printLine(
      out,
      'a run reads no more pages. The list goes on; the next run goes on where this one stopped',
    );
  if (missing > 0) printLine(out, notArrivedText(result));
  const known = `already there ${result.known.toLocaleString('en-US')}`;
  const asked = result.asked.toLocaleString('en-US');
  const recovered = result.recovered.toLocaleString('en-US');
  if (way === 'pull') printLine(out, `${isDryRun ? 'would recover' : 'recovered'} ${recovered}, ${known}`);
  else if (isDryRun) printLine(out, `would ask the provider to send ${asked} again, ${known}`);
  else printLine(out, `recovered ${recovered} of ${asked} that were asked for again, ${known}`);
}

function takenText({ recovered, known, pages }: Recovery): string {
  return `recovered ${recovered.toLocaleString('en-US')}, already there ${known.toLocaleString('en-US')} (${countText(pages, 'page')})`;
}

function interrupted({ err }: CommandIo, taken: Recovery | undefined): number {
  printLine(err, `interrupted${taken ? `; ${takenText(taken)}; the next run goes on here` : ''}`);
  return interruptedExitCode;
}
