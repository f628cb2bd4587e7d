// How long each process takes to start, and the memory it has then.
import type { Session, System } from '../systems/system.ts';
import { withRun, withWeb, withWorker } from './stage.ts';

export interface FootprintResult {
  system: string;
  process: string;
  listeningMs: number;
  readyMs: number;
  rssMb: number | undefined;
}

export async function measureFootprint(session: Session, system: System): Promise<FootprintResult[]> {
  const results = await withRun(session, system, async (run) => {
    const results = [
      await withWeb(run, system, async ({ listeningMs, readyMs, usage }) => ({
        system: system.name,
        process: 'web',
        listeningMs,
        readyMs,
        rssMb: usage().rssMb,
      })),
    ];
    const variant = system.workers[0];
    if (variant) {
      results.push(
        await withWorker(run, system, variant, async ({ listeningMs, readyMs, usage }) => ({
          system: system.name,
          process: 'worker',
          listeningMs,
          readyMs,
          rssMb: usage().rssMb,
        })),
      );
    }
    return results;
  });
  for (const result of results) {
    session.say(
      `  ${`${result.system} ${result.process}`.padEnd(24)} listening after ${result.listeningMs.toFixed(0)} ms, ` +
        `ready after ${result.readyMs.toFixed(0)} ms, ${result.rssMb ?? '?'} MB`,
    );
  }
  return results;
}
