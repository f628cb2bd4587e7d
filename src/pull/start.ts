// Starts what RECOVER_MINUTES asks for, in a worker.
import type { Config } from '../config.ts';
import { startTasks } from '../maintenance/background-tasks.ts';
import type { ReceiverOptions } from '../receive/receiver.ts';
import type { RecoverSchedule } from '../runtime/settings.ts';
import { maxRecoversAtOnce } from '../runtime/worker-connections.ts';
import { createPullReceiver } from './receiver.ts';
import { recoverTask } from './recover-task.ts';
import { createSlots } from './slots.ts';

export interface RecoveringOptions extends Pick<ReceiverOptions, 'database' | 'queue' | 'log'> {
  config: Pick<Config, 'RECOVER_MINUTES' | 'STORE_RAW_BODY' | 'PAYLOAD_RETENTION_DAYS' | 'SAME_BODY_HOURS'>;
  /** `<SOURCE>_RETENTION_DAYS`, which goes before PAYLOAD_RETENTION_DAYS. */
  retentionDays: ReadonlyMap<string, number>;
  schedule: RecoverSchedule;
}

/** Does nothing where the schedule has no source. */
export function startRecovering(options: RecoveringOptions): { stop(): Promise<void> } {
  const { config, log } = options;
  const { sources: recovers } = options.schedule;
  if (recovers.length === 0) return { stop: async () => {} };
  log.info(
    { sources: recovers.map(({ source }) => source.name), everyMinutes: config.RECOVER_MINUTES },
    'the providers are asked for events that no webhook brought',
  );
  const receiver = createPullReceiver({
    ...options,
    sameBodyHours: config.SAME_BODY_HOURS,
    concurrentRuns: Math.min(maxRecoversAtOnce, recovers.length),
  });
  const slots = createSlots(maxRecoversAtOnce);
  const tasks = startTasks(
    recovers.map((recover) => {
      const task = recoverTask({ ...options, recover, receiver });
      return { ...task, pass: (signal) => slots.run(signal, () => task.pass(signal)) };
    }),
    log,
  );
  return {
    stop: async () => {
      await tasks.stop();
      await receiver.close();
    },
  };
}
