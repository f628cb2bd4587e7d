// graphile-worker with the settings of its preset; LOCAL_QUEUE turns on what its docs on performance advise.
import { run } from 'graphile-worker';
import { insertEffect, openPool } from './database.ts';
import { ready } from './ready.ts';

const concurrentJobs = Number(process.env.CONCURRENCY);
const localQueueSize = Number(process.env.LOCAL_QUEUE ?? 0);
const runner = await run({
  preset: {
    worker: {
      concurrentJobs,
      pollInterval: 1_000,
      ...(localQueueSize
        ? { localQueue: { size: localQueueSize }, completeJobBatchDelay: 0, failJobBatchDelay: 0 }
        : {}),
    },
  },
  pgPool: openPool(concurrentJobs + 4),
  noHandleSignals: true,
  taskList: {
    webhook: async (payload, helpers) => {
      const { id, amount } = payload as { id: string; amount: number };
      await helpers.query(insertEffect(id, amount) as never);
    },
  },
});
ready(() => runner.stop());
