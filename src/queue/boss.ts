// pg-boss, told to use our connections and our transactions.
import { PgBoss } from 'pg-boss';
import type { Database, Queryable } from '../database/database.ts';
import { describeError } from '../errors.ts';
import type { Logger } from '../logger.ts';

export const jobs = 'webhooks';
/** Events that were lost with a worker, one per job: a worker runs such a job while it runs nothing else. */
export const isolatedJobs = 'webhooks-isolated';
/** Events that wait for the end of a pause: no worker fetches such a job. */
export const pausedJobs = 'webhooks-paused';
/** Events of handlers with `concurrency`: a worker takes such a job only while the handler has a free lane. */
export const limitedJobs = 'webhooks-limited';
export const deadLetters = 'webhooks-dead-letters';

export const ownQueues: ReadonlySet<string> = new Set([
  jobs,
  isolatedJobs,
  pausedJobs,
  limitedJobs,
  deadLetters,
]);

// pg-boss speaks plain SQL to whatever runs it: our pool, so that a process has one, or our transaction.
/** @param isHot the statements run per event: they are prepared, and a job's nine times stay text, since only pg-boss reads them */
export function bridge(queryable: Queryable, isHot = false) {
  return {
    executeSql: async (text: string, values?: unknown[]) => {
      const name = isHot ? statementName(text) : undefined;
      return queryable.query({
        text,
        isVerbatim: true,
        timesAsText: isHot,
        ...(values ? { values } : {}),
        ...(name ? { name } : {}),
      });
    },
  };
}

// Prepared once per connection. Bounded: fetch's text varies with its limit.
const statementNames = new Map<string, string>();
function statementName(text: string): string | undefined {
  const known = statementNames.get(text);
  if (known || statementNames.size >= 30) return known;
  const name = `pgboss_${statementNames.size}`;
  statementNames.set(text, name);
  return name;
}

export function openBoss(
  database: Database,
  log: Logger,
  options: { supervise: boolean; superviseSeconds?: number },
) {
  const boss = new PgBoss({
    db: bridge(database),
    schema: database.schemas.queue,
    createSchema: false,
    supervise: options.supervise,
    schedule: false,
    // Its spans would hold the texts of errors, and be one for each look into an empty queue.
    openTelemetry: { enabled: false },
    registerInstance: false,
    monitorVacuum: options.supervise,
    // webhook_backlog tells about the backlog; a burst is what this is made for.
    warningQueueSize: 1_000_000,
    // Whether the schema is new enough is checked before; `true` accepts a newer one, `false` wants equality.
    migrate: true,
    ...(options.superviseSeconds
      ? {
          superviseIntervalSeconds: options.superviseSeconds,
          monitorIntervalSeconds: options.superviseSeconds,
        }
      : {}),
  });
  boss.on('error', (error) => log.error({ error: describeError(error).text }, 'pg-boss reported an error'));
  boss.on('warning', (warning) => log.warn({ warning: warning.message }, 'pg-boss reported a warning'));
  return boss;
}
