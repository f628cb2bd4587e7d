// graphile-worker: transactional like us, a transaction each; plainly and at its best setting.
import { countWebhooks, makeTables, web, workerOf } from './peer.ts';
import type { System } from './system.ts';

const perFill = 5_000;

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
      // Many at a time by its own call for that: add_job for each of 100,000 in one statement takes minutes.
      for (let from = 1; from <= count; from += perFill) {
        await query(
          `SELECT count(*) FROM graphile_worker.add_jobs(ARRAY(
             SELECT ('webhook', json_build_object('id', 'evt_' || substr(md5('event' || n), 1, 24), 'amount', 4200),
               NULL, NULL, NULL, NULL, NULL, NULL)::graphile_worker.job_spec
             FROM generate_series($1::int, $2::int) AS n))`,
          [from, Math.min(from + perFill - 1, count)],
        );
      }
    }),
};
