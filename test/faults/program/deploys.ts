// F24-F26: many processes migrate at once, a migration under load, a newer schema under older code.
import { readdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { createTestDatabase } from '../../support/database.ts';
import { runProcess } from '../../support/processes.ts';
import { startLoad } from '../load.ts';
import { copySource } from '../mutants/source-copy.ts';
import { testProfile } from '../rig.ts';
import { isAck } from '../sender.ts';
import type { Fault, FaultContext } from './fault.ts';

const together = 20;

export const manyMigrations: Fault = {
  id: 'F24',
  title: `${together} processes migrate an empty database at once; then one a version behind`,
  isAlone: true,
  run: async (context) => {
    const repeats = context.repeats(1, 3);
    const newer = copyWithMigration(context);
    for (let round = 0; round < repeats; round++) {
      const { url } = await createTestDatabase(context.t, { migrated: false });
      for (const script of [undefined, path.join(newer, 'src/cli.ts')]) {
        const startedAt = performance.now();
        const env = { ...testProfile, DATABASE_URL: url };
        const ends = await Promise.all(
          Array.from({ length: together }, () =>
            runProcess(['migrate'], { env, ...(script ? { script } : {}) }),
          ),
        );
        const failed = ends.filter(({ code }) => code !== 0);
        context.expect(failed.length === 0, `${failed.length} failed: ${failed[0]?.stderr.slice(0, 200)}`);
        context.recovered(performance.now() - startedAt, 60_000, `${together} migrations`);
      }
    }
    context.note(`recovery: all ${together} done`);
    const rig = await context.rig();
    await Promise.all([rig.web(), rig.worker()]);
    await rig.sender.deliverUntilAcked({ id: 'evt' });
    await context.balance(rig);
  },
};

export const migrationUnderLoad: Fault = {
  id: 'F25',
  title: 'a migration of webhook_events while the old processes are at work',
  run: async (context) => {
    const repeats = context.repeats(1, 10);
    const rig = await context.rig();
    const processes = await Promise.all([rig.web(), rig.worker()]);
    const load = startLoad(rig, { prefix: 'evt', perSecond: 150 });
    const newer = copyWithMigration(context, repeats);
    for (let round = 0; round < repeats; round++) {
      await delay(1_000);
      await migrate(context, newer, rig.pool.options.connectionString!);
    }
    await delay(1_000);
    await load.stop();
    const refused = rig.sender.sent.filter((sent) => !isAck(sent));
    context.expect(refused.length === 0, `${refused.length} deliveries were answered ${refused[0]?.status}`);
    context.expect(
      processes.every((process) => !process.output().includes('40P01')),
      'a deadlock',
    );
    await context.balance(rig);
  },
};

export const rollingDeploy: Fault = {
  id: 'F26',
  title: 'old and new code side by side, then old code alone on the newer schema',
  run: async (context) => {
    const rig = await context.rig();
    const url = rig.pool.options.connectionString!;
    const newer = copyWithMigration(context);
    const young = await context.rig({ url, root: newer, hasTables: true });
    const [oldWeb, oldWorker] = await Promise.all([rig.web(), rig.worker()]);
    const load = startLoad(rig, { prefix: 'old', perSecond: 50 });
    await migrate(context, newer, url);
    const [newWeb, newWorker] = await Promise.all([young.web(), young.worker()]);
    const sender = rig.newSender({ urls: () => [newWeb.url] });
    const youngLoad = startLoad(rig, { prefix: 'new', perSecond: 50, sender });
    await delay(context.isFull ? 90_000 : 5_000);
    await youngLoad.stop();
    // Rollback: the release phase runs again, with the old code, and its processes start anew.
    const again = await runProcess(['migrate'], { env: { ...testProfile, DATABASE_URL: url } });
    context.expect(
      again.code === 0,
      `migrate by the old code ended with ${again.code}: ${again.stderr.slice(0, 200)}`,
    );
    const rolledBack = [await rig.web(), await rig.worker()];
    for (const process of [newWeb, newWorker, oldWeb, oldWorker]) process.kill('SIGTERM');
    await rig.sender.deliverUntilAcked({ id: 'rolled_back' });
    await rig.waitForStatus('rolled_back', 'PROCESSED');
    await load.stop();
    context.expect(rolledBack.length === 2, 'old code did not start on the newer schema');
    context.note('no older release exists: the newer one is this code with one more migration');
    await context.balance(rig, {
      attempts: [...rig.attempts(), ...young.attempts()],
      mayExceedAttemptsBy: 5,
    });
  },
};

async function migrate(context: FaultContext, root: string, url: string): Promise<void> {
  const { code, stderr } = await runProcess(['migrate'], {
    script: path.join(root, 'src/cli.ts'),
    env: { ...testProfile, DATABASE_URL: url },
  });
  context.expect(code === 0, `migrate ended with ${code}: ${stderr.slice(0, 200)}`);
}

/** A release that does not exist yet: this one, with further migrations that touch the busiest table. */
function copyWithMigration({ t }: FaultContext, count = 1): string {
  const root = copySource(t);
  const newest = Math.max(...readdirSync(path.join(root, 'sql')).map((name) => Number.parseInt(name, 10)));
  for (let index = 1; index <= count; index++) {
    const id = String(newest + index).padStart(3, '0');
    writeFileSync(
      path.join(root, `sql/${id}_add-note-${index}.sql`),
      `ALTER TABLE webhook_events ADD COLUMN note_${index} text;\nCREATE INDEX ON webhook_events (note_${index}) WHERE note_${index} IS NOT NULL;\n`,
    );
  }
  return root;
}
