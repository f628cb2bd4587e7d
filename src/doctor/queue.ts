// Checks the schema, the queue's policy against the settings, and that every PENDING event has its job.
import type { Schemas } from '../database/schemas.ts';
import { countVanishedJobs } from '../maintenance/reconcile.ts';
import {
  findSchemaClashes,
  readSchemaState,
  type SchemaState,
  schemaProblem,
} from '../migrations/migrate.ts';
import { findMissingRights, rightsProblem } from '../migrations/rights.ts';
import { openQueue } from '../queue/open-queue.ts';
import { differencesFromPolicy } from '../queue/policy.ts';
import { type Check, type CheckContext, fail, needsPerson, ok, warn } from './check.ts';

/** Names rights and objects; before `checkSchema`, which reads the tables. */
export async function checkRights({ database }: CheckContext): Promise<Check[]> {
  const problem = rightsProblem(await findMissingRights(database));
  if (problem === undefined) return [ok('rights', 'the user may read and write every table')];
  const [message = problem, remedy = ''] = problem.split('; ');
  return [fail('rights', message, remedy)];
}

export async function checkSchema({ database, log }: CheckContext): Promise<Check[]> {
  const state = await readSchemaState(database, log);
  const problem = schemaProblem(state);
  if (problem) {
    const [message = problem, remedy = 'run: postbell migrate'] = problem.split('; ');
    const clashes = await findSchemaClashes(database);
    return [fail('schema', message, remedy), ...clashes.map(describeClash)];
  }
  return [ok('schema', describe(state, database.schemas))];
}

function describeClash(clash: string): Check {
  const [message = clash, remedy = ''] = clash.split('; ');
  return fail('schema', message, remedy);
}

function describe(
  { installed, needed, queueInstalled, queueNeeded }: SchemaState,
  { inbox, queue }: Schemas,
): string {
  const isNewer = installed > needed || (queueInstalled ?? 0) > queueNeeded;
  return `${inbox} has version ${installed}, ${queue} pg-boss ${queueInstalled}${isNewer ? ' (newer than this code; they work together)' : ''}`;
}

/** Needs the schema: opening a queue would create pg-boss's schema. */
export async function checkQueue({ database, config, log }: CheckContext): Promise<Check[]> {
  const queue = await openQueue(database, log, { supervise: false });
  try {
    return [
      checkPolicy(await differencesFromPolicy(database, config, log)),
      checkJobs(await countVanishedJobs({ database, queue })),
    ];
  } finally {
    await queue.stop();
  }
}

function checkPolicy(differences: readonly string[]): Check {
  if (differences.length === 0) return ok('queue', 'follows the settings');
  const message = `differs from the settings: ${differences.join(', ')}`;
  return needsPerson(
    warn('queue', message, 'restart a worker with these settings, or run: postbell migrate'),
  );
}

function checkJobs({ vanished, examined }: { vanished: number; examined: number }): Check {
  if (vanished === 0) return ok('jobs', 'every pending event has its job');
  const message = `${vanished} of the ${examined} oldest pending events have lost their job`;
  return warn('jobs', message, 'a running worker restores the jobs; run: postbell worker');
}
