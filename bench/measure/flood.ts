// Forgeries as fast as they come: how many are refused, what SQL they cause, what valid traffic feels.
import { setTimeout as delay } from 'node:timers/promises';
import { type LoadResult, runLoad } from '../load/load.ts';
import { runPaced } from '../load/paced.ts';
import { percentile } from '../load/percentile.ts';
import type { Run, Session, System } from '../systems/system.ts';
import { requestsFor, warmUp, withRun, withWeb } from './stage.ts';

export interface FloodResult {
  system: string;
  refusedPerSecond: number;
  refused: number;
  /** Must be 0. */
  acceptedForgeries: number;
  seconds: number;
  /** Statements that the web process sent while idle, for as long as the flood. */
  idleStatements: number;
  /** And during the flood. */
  statements: number;
  /** Which, with their counts. */
  statementTexts: Record<string, number>;
  validPerSecond: number;
  validP50Ms: number;
  validP99Ms: number;
  /** Valid deliveries beside the flood without a 2xx: must be 0. */
  validUnanswered: number;
}

const connections = 256;
const validPerSecond = 50;
const forgersSecret = 'whsec_of_somebody_else_0123456789abcdefghijk';

/** @param session a cluster that counts statements */
export async function measureFlood(
  session: Session,
  system: System,
  options: { seconds: number; warmUpSeconds: number },
): Promise<FloodResult> {
  const { seconds } = options;
  return withRun(session, system, (run) =>
    withWeb(run, system, async ({ url }) => {
      await warmUp(run, url, options.warmUpSeconds);
      const requests = requestsFor(run, 50_000, forgersSecret);
      const flood = (forSeconds = seconds) => runLoad({ url, connections, seconds: forSeconds, requests });
      await flood(options.warmUpSeconds);

      const idleStatements = total(await statementsOf(run, () => delay(seconds * 1_000)));
      let alone: LoadResult | undefined;
      const statementTexts = await statementsOf(run, async () => {
        alone = await flood();
      });
      const [beside, valid] = await Promise.all([
        flood(),
        runPaced({ url, perSecond: validPerSecond, seconds }),
      ]);
      const answeredMs = valid
        .filter(({ status }) => status === 200)
        .map(({ ackMs }) => ackMs)
        .sort((a, b) => a - b);
      const result: FloodResult = {
        system: system.name,
        refusedPerSecond: alone!.refused / seconds,
        refused: alone!.refused,
        acceptedForgeries: alone!.accepted + beside.accepted,
        seconds,
        idleStatements,
        statements: total(statementTexts),
        statementTexts,
        validPerSecond,
        validP50Ms: percentile(answeredMs, 50),
        validP99Ms: percentile(answeredMs, 99),
        validUnanswered: valid.length - answeredMs.length,
      };
      session.say(line(result));
      return result;
    }),
  );
}

/** What the database of this run was asked while `work` ran; our own questions go to another database. */
async function statementsOf(run: Run, work: () => Promise<unknown>): Promise<Record<string, number>> {
  const { query } = run.cluster;
  await query('CREATE EXTENSION IF NOT EXISTS pg_stat_statements');
  await query('SELECT pg_stat_statements_reset()');
  await work();
  const rows = await query<{ text: string; calls: number }>(
    `SELECT regexp_replace(query, '\\s+', ' ', 'g') AS text, sum(calls)::int AS calls FROM pg_stat_statements
     WHERE dbid = (SELECT oid FROM pg_database WHERE datname = $1) GROUP BY 1 ORDER BY 2 DESC`,
    [run.database],
  );
  return Object.fromEntries(rows.map(({ text, calls }) => [text.slice(0, 100), calls]));
}

const total = (counts: Record<string, number>) =>
  Object.values(counts).reduce((sum, count) => sum + count, 0);

function line(result: FloodResult): string {
  return (
    `  ${result.system.padEnd(16)} ${result.refusedPerSecond.toFixed(0)}/s refused; SQL statements: ${result.statements} for ` +
    `${result.refused} forgeries in ${result.seconds} s (idle: ${result.idleStatements}); ${validPerSecond}/s valid beside it: ` +
    `p50 ${result.validP50Ms.toFixed(1)} ms, p99 ${result.validP99Ms.toFixed(1)} ms` +
    `${result.validUnanswered ? `, UNANSWERED ${result.validUnanswered}` : ''}${result.acceptedForgeries ? `, ACCEPTED ${result.acceptedForgeries}` : ''}`
  );
}
