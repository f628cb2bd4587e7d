// pg-boss as its docs show it: send in the request's own transaction, work in batches.
import { PgBoss } from 'pg-boss';
import { countWebhooks, makeTables, web, workerOf } from './peer.ts';
import type { System } from './system.ts';

const perInsert = 5_000;

async function withBoss(connectionString: string, work: (boss: PgBoss) => Promise<unknown>): Promise<void> {
  const boss = new PgBoss({ connectionString, supervise: false, schedule: false });
  boss.on('error', () => {}); // what matters is thrown by the call
  await boss.start();
  await work(boss);
  await boss.stop({ graceful: false });
}

export const pgBoss: System = {
  name: 'pg-boss',
  title: 'Fastify + insert + plain pg-boss send, a transaction each',
  prepare: async (session, name, databaseUrl) => {
    await makeTables(session, name);
    await withBoss(databaseUrl, (boss) => boss.createQueue('webhooks', { retryLimit: 4, retryDelay: 60 }));
  },
  web: web('pg-boss'),
  stored: countWebhooks,
  workers: [
    workerOf('pg-boss', 'batches', 'plain pg-boss, 2 × batches of 200', 15_000, { CONCURRENCY: '20' }),
  ],
  fill: (run, count) =>
    withBoss(run.databaseUrl, async (boss) => {
      for (let from = 0; from < count; from += perInsert) {
        const jobs = Array.from({ length: Math.min(perInsert, count - from) }, (_, index) => ({
          data: { id: `evt_${String(from + index).padStart(24, '0')}`, amount: 4200 },
        }));
        await boss.insert('webhooks', jobs);
      }
    }),
};
