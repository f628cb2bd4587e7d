// Accepting and processing with a million events waiting, and with five million finished.
import { cloneFinished, clonePending } from '../systems/clone-events.ts';
import type { Session, System } from '../systems/system.ts';
import { type AcceptResult, acceptOn, measureAccept } from './accept.ts';
import { measureProcess, type ProcessResult, processOn } from './process.ts';
import { onDatabase, prepare, templateOf } from './stage.ts';

export interface GrowthResult {
  tables: 'empty' | 'pending' | 'finished';
  /** Events in the tables beforehand. */
  events: number;
  accept: AcceptResult;
  process: ProcessResult[];
}

export interface GrowthOptions {
  pending: number;
  finished: number;
  connections: number;
  seconds: number;
  warmUpSeconds: number;
  queueEvents: number;
}

/** Postbell alone. Empty tables before and after: what the machine itself did in between shows. */
export async function measureGrowth(
  session: Session,
  system: System,
  options: GrowthOptions,
): Promise<GrowthResult[]> {
  await prepare(session, system);
  return [
    await onEmpty(session, system, options),
    await onFilled(session, system, 'pending', options.pending, options),
    await onFilled(session, system, 'finished', options.finished, options),
    await onEmpty(session, system, options),
  ];
}

async function onEmpty(session: Session, system: System, options: GrowthOptions): Promise<GrowthResult> {
  session.say('  empty tables');
  const [accept] = await measureAccept(session, system, { ...options, connections: [options.connections] });
  const process: ProcessResult[] = [];
  for (const variant of system.workers) {
    process.push(await measureProcess(session, system, variant, { ...options, events: options.queueEvents }));
  }
  return { tables: 'empty', events: 0, accept: accept!, process };
}

async function onFilled(
  session: Session,
  system: System,
  tables: 'pending' | 'finished',
  events: number,
  options: GrowthOptions,
): Promise<GrowthResult> {
  const database = `filled_${tables}`;
  await session.cluster.create(database, templateOf(system));
  const startedAt = performance.now();
  await session.cluster.within(database, async (query) => {
    if (tables === 'pending') await clonePending(query, events);
    else await cloneFinished(query, events);
    await query('VACUUM (FREEZE, ANALYZE)');
  });
  const filledSeconds = (performance.now() - startedAt) / 1_000;
  session.say(`  ${events} ${tables} events (filled in ${filledSeconds.toFixed(0)} s)`);
  try {
    return await onDatabase(session, database, async (run) => {
      const [accept] = await acceptOn(run, system, { ...options, connections: [options.connections] });
      const process: ProcessResult[] = [];
      for (const [index, variant] of system.workers.entries()) {
        if (tables === 'finished') {
          const queued = Math.min(
            options.queueEvents,
            variant.mostPerSecond * (options.seconds + options.warmUpSeconds),
          );
          // The queue was empty so far, and Postgres knows it so: a burst that comes after an idle time.
          await run.cluster.within(database, (query) => query('ANALYZE pgboss.job'));
          // Each with numbers of its own: the ids must be new.
          await run.cluster.within(database, (query) =>
            clonePending(query, queued, (index + 1) * 100_000_000),
          );
        }
        await run.cluster.query('CHECKPOINT');
        process.push(await processOn(run, system, variant, options));
      }
      return { tables, events, accept: accept!, process };
    });
  } finally {
    await session.cluster.drop(database);
  }
}
