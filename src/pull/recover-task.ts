// RECOVER_MINUTES: asks a source with a key again and again, and at once after an outage of ours.
import type { Config } from '../config.ts';
import type { Database } from '../database/database.ts';
import { describeError } from '../errors.ts';
import { hasArrived } from '../events/known-events.ts';
import { listOutages, type Outage } from '../events/processes.ts';
import { type Recovery, readRecovery } from '../events/recoveries.ts';
import type { Logger } from '../logger.ts';
import type { BackgroundTask } from '../maintenance/background-tasks.ts';
import type { RecoverSource } from '../providers/index.ts';
import type { Receiver } from '../receive/receiver.ts';
import { notArrivedText, overlapMs, type RunOptions, type RunResult, runRecovery } from './run.ts';

export interface RecoverTaskOptions extends Pick<RunOptions, 'limits' | 'maxPages' | 'arrivalMs'> {
  database: Database;
  receiver: Pick<Receiver, 'submit'>;
  recover: RecoverSource;
  config: Pick<Config, 'RECOVER_MINUTES' | 'STORE_RAW_BODY' | 'PAYLOAD_RETENTION_DAYS'>;
  /** `<SOURCE>_RETENTION_DAYS`, which goes before PAYLOAD_RETENTION_DAYS. */
  retentionDays?: ReadonlyMap<string, number>;
  log: Logger;
  /** How often it is looked whether the source is due; default 30,000. */
  intervalMs?: number;
}

/** One task for each source: a failure of one source keeps no other waiting. */
export function recoverTask({ intervalMs = 30_000, ...options }: RecoverTaskOptions): BackgroundTask {
  const { name } = options.recover.source;
  return {
    name: `recover ${name}`,
    intervalMs,
    failureMessage: `it could not be looked whether ${name} is to be recovered`,
    pass: (signal) => runIfDue(options, signal),
  };
}

async function runIfDue(options: RecoverTaskOptions, signal: AbortSignal): Promise<void> {
  const { recover, database, config, log } = options;
  const source = recover.source.name;
  const everyMs = config.RECOVER_MINUTES * 60_000;
  const { now, recovery } = await readRecovery(database, source);
  const outage = outageSince(await listOutages(database), recovery);
  if (!outage && recovery && !isDue(recovery, everyMs, now) && !(await isRung(recover, recovery, database)))
    return;
  try {
    const result = await runRecovery({
      ...options,
      signal,
      everyMs,
      firstMs: overlapMs,
      keepsBytes: config.STORE_RAW_BODY,
      keptDays: options.retentionDays?.get(source) ?? config.PAYLOAD_RETENTION_DAYS,
      reachesBackTo: outage && new Date(outage.beganAt.getTime() - overlapMs),
    });
    if (result) logResult(log, source, result, outage);
  } catch (error) {
    if (!signal.aborted)
      log.error(
        { source, error: describeError(error).text },
        'a source could not be recovered; trying again later',
      );
  }
}

/** The outages that no run has covered yet, as one stretch; undefined if there is none. */
function outageSince(outages: readonly Outage[], recovery: Recovery | undefined): Outage | undefined {
  const open = outages.filter(({ endedAt }) => recovery && endedAt > recovery.startedAt);
  const [newest] = open;
  if (!newest) return undefined;
  return {
    beganAt: new Date(Math.min(...open.map(({ beganAt }) => beganAt.getTime()))),
    endedAt: newest.endedAt,
  };
}

function isDue({ endedAt, startedAt, runSince, lastError }: Recovery, everyMs: number, now: Date): boolean {
  const isUnfinished = runSince !== null && (endedAt === null || lastError === null);
  return isUnfinished || now.getTime() - (endedAt ?? startedAt).getTime() >= everyMs;
}

/** The provider has said that there is something new. */
async function isRung(
  { spec, source }: RecoverSource,
  { startedAt }: Recovery,
  database: Database,
): Promise<boolean> {
  const topic = spec.ringTopic;
  return topic !== undefined && hasArrived(database, { source: source.name, topic, since: startedAt });
}

function logResult(log: Logger, source: string, result: RunResult, outage: Outage | undefined): void {
  const { recovered, known, asked, missing, since, until, isComplete } = result;
  const fields = { source, recovered, known, asked, missing, since, until, ...(outage && { outage }) };
  if (!isComplete)
    log.warn(fields, 'a source is recovered in parts: the run had read 1,000 pages, the next one goes on');
  else if (missing > 0) log.warn(fields, notArrivedText(result));
  else if (recovered > 0) log.info(fields, 'events were recovered that no webhook had brought');
  else if (outage) log.info(fields, 'nothing was missing after the outage');
  else log.debug(fields, 'nothing was missing');
}
