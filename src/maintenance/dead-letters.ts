// The dead-letter queue: jobs that pg-boss gave up because their workers died and none of our JavaScript ran.
import { type ChargedEvent, chargeLoss, type ReleaseDeps, splitLostJob } from '../events/release.ts';
import { failpoint } from '../failpoint.ts';
import type { Logger } from '../logger.ts';
import type { DeadJob, Queue } from '../queue/queue.ts';

const batchSize = 100;

export interface DeadLetterDeps extends ReleaseDeps {
  queue: Queue;
  log: Logger;
  /** A failure that no worker saw was charged. */
  onCharged?: (event: ChargedEvent) => void;
}

/**
 * Charges the event of an isolated job: its worker died while nothing else ran there. FAILED where no failure is left. The
 * events of a shared job run alone next, uncharged.
 * @param signal when aborted, no further job is looked at
 * @returns how many jobs were settled
 */
export async function settleDeadLetters(deps: DeadLetterDeps, signal?: AbortSignal): Promise<number> {
  let total = 0;
  while (!signal?.aborted) {
    const dead = await deps.queue.fetchDead(batchSize);
    for (const job of dead) {
      if (signal?.aborted) return total;
      await settle(job, deps);
      total++;
    }
    if (dead.length < batchSize) break;
  }
  return total;
}

async function settle(job: DeadJob, deps: DeadLetterDeps): Promise<void> {
  const { database, queue, log } = deps;
  const { jobId, events } = job;
  const complete = async (tx: Parameters<Queue['completeDead']>[0]) => {
    await failpoint('worker.dead-letter');
    await queue.completeDead(tx, [job]);
  };
  // Somebody else inserted the copy: no event bears its job.
  if (jobId === null) return database.transaction(complete);
  if (!job.isIsolated) return void (await splitLostJob(deps, { id: jobId, events }, complete));
  // A worker that was to charge a loss may have died as well: then pg-boss gives up before the event has no failure left.
  const charged = await chargeLoss(deps, { ...job, id: jobId }, complete);
  for (const event of charged) {
    const { source, eventId, attempts, isDead } = event;
    if (isDead) log.error({ source, eventId, attempts }, 'the event is a dead letter');
    deps.onCharged?.(event);
  }
}
