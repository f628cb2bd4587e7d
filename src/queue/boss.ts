// pg-boss, told to use our connections and our transactions.
import { PgBoss } from 'pg-boss';
import type { Queryable, Statement } from '../database/database.ts';
import { describeError } from '../errors.ts';
import type { Logger } from '../logger.ts';

export const jobs = 'webhooks';
export const deadLetters = 'webhooks-dead-letters';

// pg-boss speaks plain SQL to whatever runs it: our pool, so that a process has one, or our transaction.
export function bridge(
  queryable: Queryable,
  isPrepared = false,
  options: Pick<Statement, 'timesAsText'> = {},
) {
  return {
    executeSql: async (text: string, values?: unknown[]) => {
      const name = isPrepared ? statementName(text) : undefined;
      return queryable.query({ ...options, text, ...(values ? { values } : {}), ...(name ? { name } : {}) });
    },
  };
}

// The few statements of the hot path, prepared once per connection. Bounded: fetch's text varies with its limit.
const statementNames = new Map<string, string>();
function statementName(text: string): string | undefined {
  const known = statementNames.get(text);
  if (known || statementNames.size >= 30) return known;
  const name = `pgboss_${statementNames.size}`;
  statementNames.set(text, name);
  return name;
}

export function openBoss(
  database: Queryable,
  log: Logger,
  options: { supervise: boolean; superviseSeconds?: number },
) {
  const boss = new PgBoss({
    db: bridge(database),
    supervise: options.supervise,
    schedule: false,
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
