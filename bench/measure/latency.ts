// At a calm 200 events a second: until the answer, and until the handler's row is committed.
import { setTimeout as delay } from 'node:timers/promises';
import { runPaced } from '../load/paced.ts';
import { percentile } from '../load/percentile.ts';
import type { Run, Session, System, WorkerVariant } from '../systems/system.ts';
import { withRun, withWeb, withWorker } from './stage.ts';

export interface LatencyResult {
  system: string;
  variant: string;
  ackP50Ms: number;
  ackP99Ms: number;
  committedP50Ms: number;
  committedP99Ms: number;
  sent: number;
  /** Answered 2xx and not processed within the time: must be 0. */
  missing: number;
}

const perSecond = 200;
const patienceMs = 20_000;

/** @param session a cluster that keeps the times of commits */
export async function measureLatency(
  session: Session,
  system: System,
  variant: WorkerVariant,
  options: { seconds: number; warmUpSeconds: number },
): Promise<LatencyResult> {
  return withRun(session, system, (run) =>
    withWeb(run, system, (web) =>
      withWorker(run, system, variant, async () => {
        await runPaced({ url: web.url, perSecond, seconds: options.warmUpSeconds });
        const events = await runPaced({ url: web.url, perSecond, seconds: options.seconds });
        const accepted = events.filter(({ status }) => status >= 200 && status < 300);
        const commits = await commitTimes(run, accepted);
        const acksMs = sorted(accepted.map(({ ackMs }) => ackMs));
        const committedMs = sorted(
          accepted.flatMap(({ id, sentAtMs }) => (commits.has(id) ? [commits.get(id)! - sentAtMs] : [])),
        );
        const result = {
          system: system.name,
          variant: variant.name,
          ackP50Ms: percentile(acksMs, 50),
          ackP99Ms: percentile(acksMs, 99),
          committedP50Ms: percentile(committedMs, 50),
          committedP99Ms: percentile(committedMs, 99),
          sent: events.length,
          missing: accepted.length - committedMs.length + (events.length - accepted.length),
        };
        session.say(line(result));
        return result;
      }),
    ),
  );
}

/** When the transaction of each handler's row was committed, by Postgres' own record of it. */
async function commitTimes(run: Run, events: readonly { id: string }[]): Promise<Map<string, number>> {
  const ids = events.map(({ id }) => id);
  const deadline = performance.now() + patienceMs;
  for (;;) {
    const rows = await run.cluster.within(run.database, (query) =>
      query<{ id: string; ms: number }>(
        `SELECT event_id AS id, extract(epoch FROM pg_xact_commit_timestamp(xmin))::float8 * 1000 AS ms
         FROM effects WHERE event_id = ANY ($1)`,
        [ids],
      ),
    );
    if (rows.length === ids.length || performance.now() > deadline) {
      return new Map(rows.map(({ id, ms }) => [id, ms]));
    }
    await delay(200);
  }
}

const sorted = (values: number[]) => values.sort((a, b) => a - b);

function line({ system, variant, ...result }: LatencyResult): string {
  return (
    `  ${`${system} ${variant}`.padEnd(28)} answered p50 ${result.ackP50Ms.toFixed(1)} ms, p99 ${result.ackP99Ms.toFixed(1)} ms` +
    `  committed p50 ${result.committedP50Ms.toFixed(1)} ms, p99 ${result.committedP99Ms.toFixed(1)} ms` +
    `${result.missing ? `  MISSING ${result.missing}` : ''}`
  );
}
