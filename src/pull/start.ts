// Starts what RECOVER_MINUTES asks for, in a worker.
import type { Config } from '../config.ts';
import { startTasks } from '../maintenance/background-tasks.ts';
import type { ParsedRecovers } from '../providers/index.ts';
import type { ReceiverOptions } from '../receive/receiver.ts';
import { createPullReceiver } from './receiver.ts';
import { recoverTask } from './recover-task.ts';

export interface RecoveringOptions extends Pick<ReceiverOptions, 'database' | 'queue' | 'log'> {
  config: Pick<Config, 'RECOVER_MINUTES' | 'STORE_RAW_BODY' | 'PAYLOAD_RETENTION_DAYS' | 'SAME_BODY_HOURS'>;
  recovers: ParsedRecovers;
}

/** Does nothing with RECOVER_MINUTES=0, or where no source has a key. */
export function startRecovering(options: RecoveringOptions): { stop(): Promise<void> } {
  const { config, log } = options;
  const recovers = config.RECOVER_MINUTES > 0 ? [...options.recovers.ready.values()] : [];
  if (recovers.length === 0) return { stop: async () => {} };
  const sources = recovers.map(({ source }) => source.name);
  log.info(
    { sources, everyMinutes: config.RECOVER_MINUTES },
    'the providers are asked for events that no webhook brought',
  );
  const receiver = createPullReceiver({ ...options, sameBodyHours: config.SAME_BODY_HOURS });
  const tasks = startTasks([recoverTask({ ...options, recovers, receiver })], log);
  return {
    stop: async () => {
      await tasks.stop();
      await receiver.close();
    },
  };
}
