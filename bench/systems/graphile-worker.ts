// graphile-worker: transactional like us, a transaction each; plainly and at its best setting.
import { countWebhooks, makeTables, web, workerOf } from './peer.ts';
import type { System } from './system.ts';

export const graphileWorker: System = {
  name: 'graphile-worker',
  title: 'Fastify + insert + graphile-worker add_job, a transaction each',
  needsPackages: true,
  prepare: async (session, name, databaseUrl) => {
    const { runMigrations } = await import('graphile-worker');
    await makeTables(session, name);
    await runMigrations({ connectionString: databaseUrl });
  },
  web: web('graphile-worker'),
  stored: countWebhooks,
  workers: [
    workerOf('graphile-worker', 'plain', 'graphile-worker, 20 at a time', 8_000, { CONCURRENCY: '20' }),
    workerOf(
      'graphile-worker',
      'local-queue',
      'graphile-worker, local queue of 500, batched completion',
      18_000,
      {
        CONCURRENCY: '24',
        LOCAL_QUEUE: '500',
      },
    ),
  ],
  fill: ({ cluster, database }, count) =>
    cluster.within(database, async (query) => {
      await query(
        `SELECT graphile_worker.add_job('webhook', json_build_object('id', 'evt_' || substr(md5('event' || n), 1, 24),
           'amount', 4200)) FROM generate_series(1, $1::int) AS n`,
        [count],
      );
    }),
};
