// Runs the rehearsals that operators ask for on their page: web has no handlers. A background task of the worker.
import type { Database } from '../../database/database.ts';
import { describeError } from '../../errors.ts';
import { readStoredEvents } from '../../events/event.ts';
import { endRehearsal, takeRehearsal } from '../../events/rehearsals.ts';
import { durable } from '../../events/release.ts';
import type { Handler } from '../../handlers/handler.ts';
import type { EventKey } from '../../queue/queue.ts';
import { InterruptedError } from '../attempt-errors.ts';
import { type RehearsalDeps, rehearse } from './rehearsal.ts';

export interface RehearsalTaskOptions extends Omit<RehearsalDeps, 'handlers' | 'signal'> {
  handlers: () => readonly Handler[];
  /** Opens a database for one rehearsal: the pool's connections are for the events. */
  openDatabase: () => Database;
  /** How often it looks, should a notification be lost, in ms. */
  intervalMs: number;
}

/** Names the task to `wake`. */
export const rehearsalTaskName = 'rehearsals';

export function rehearsalTask(options: RehearsalTaskOptions) {
  const { database, timeoutMs, intervalMs } = options;
  return {
    name: rehearsalTaskName,
    intervalMs,
    failureMessage: 'a rehearsal could not be run',
    pass: async (signal: AbortSignal) => {
      while (!signal.aborted) {
        // Durable: calls to the outside must not happen a second time after a crash of Postgres.
        const taken = await database.transaction((tx) => takeRehearsal(tx, timeoutMs), durable);
        if (!taken) return;
        await endRehearsal(database, taken.id, await run(taken, options, signal));
      }
    },
  };
}

async function run(
  key: EventKey,
  { openDatabase, ...options }: RehearsalTaskOptions,
  signal: AbortSignal,
): Promise<Parameters<typeof endRehearsal>[2]> {
  const database = openDatabase();
  const interrupting = new AbortController();
  const onStop = () => interrupting.abort(new InterruptedError('its worker stops'));
  signal.addEventListener('abort', onStop, { once: true });
  const { source, eventId } = key;
  try {
    const [event] = await readStoredEvents(database, [{ source, eventId }]);
    if (!event) return { problem: 'the event is no longer there' };
    const deps = { ...options, handlers: options.handlers(), database, signal: interrupting.signal };
    return { result: await rehearse(event, deps) };
  } catch (error) {
    return { problem: describeError(error).text };
  } finally {
    signal.removeEventListener('abort', onStop);
    await database.close();
  }
}
