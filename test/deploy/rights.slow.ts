// A role that migrates and a role that only runs, with the GRANTs of docs/deploy.md: the second is enough for everything but
// migrations, and a missing right is named with its object.
import { randomBytes } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import t from 'tap';
import { countEvents } from '../../src/maintenance/count.ts';
import { purge } from '../../src/maintenance/purge.ts';
import { atEnd } from '../support/at-end.ts';
import { createCli } from '../support/cli.ts';
import { createTestDatabase } from '../support/database.ts';
import { openPool, openSession } from '../support/inbox.ts';
import { startProcess } from '../support/processes.ts';
import { waitFor } from '../support/wait.ts';

const root = new URL('../../', import.meta.url);
const library = pathToFileURL(new URL('src/index.ts', root).pathname).href;
// Roles belong to the whole server, which other tests share.
const suffix = randomBytes(4).toString('hex');
const roles = { migrate: `postbell_migrate_${suffix}`, run: `postbell_run_${suffix}` };
const statements = [
  ...readFileSync(new URL('docs/deploy.md', root), 'utf8').matchAll(/^```postgresql\n([\s\S]*?)^```/gm),
].map(([, text]) =>
  text!.replaceAll(/\bpostbell_(migrate|run)\b/g, (_all, role: 'migrate' | 'run') => roles[role]),
);
const schemas = { inbox: 'postbell', queue: 'postbell_queue' };

const { url, name } = await createTestDatabase(t, { migrated: false });
const sql = await openSession(t, url);
atEnd(t, async () => {
  for (const role of Object.values(roles)) await sql(`DROP OWNED BY ${role}`);
  for (const role of Object.values(roles)) await sql(`DROP ROLE ${role}`);
});
const urlOf = (role: string) => {
  const own = new URL(url);
  own.username = role;
  own.password = '…';
  return own.href;
};
const env = {
  POSTBELL_SCHEMA: schemas.inbox,
  POSTBELL_QUEUE_SCHEMA: schemas.queue,
  STRIPE_WEBHOOK_SECRET: 'whsec_0123456789abcdef',
  HOST: '127.0.0.1',
  PORT: '0',
};
const cli = createCli(t, env);
mkdirSync(join(cli.folder, 'handlers'));
writeFileSync(
  join(cli.folder, 'handlers/index.ts'),
  `import { defineHandler } from '${library}';
   export default [defineHandler({ provider: 'stripe', topic: '*', entity: () => 'one', whenStale: 'handle',
     async handle({ event }) { if (event.topic === 'charge.refunded') throw new Error('again'); } })];`,
);
const as = (role: string, ...args: string[]) => cli.inside(args, { env: { DATABASE_URL: urlOf(role) } });

t.test(
  'without the right to create its schemas, migrate names the right, the object and the GRANT',
  async (t) => {
    await sql(`CREATE ROLE ${roles.run} LOGIN PASSWORD '…'`);
    const { code, stderr } = await as(roles.run, 'migrate');
    t.equal(code, 1);
    t.match(stderr, `the user ${roles.run} lacks CREATE on the database ${name}`);
    t.match(stderr, `GRANT CREATE ON DATABASE ${name} TO "${roles.run}"`);
    await sql(`DROP ROLE ${roles.run}`);
  },
);

t.test('the GRANTs of the page are enough', async (t) => {
  t.equal(statements.length, 3);
  const [first, maintain] = statements as [string, string];
  await sql(first);
  await sql(maintain);
  t.match(await as(roles.migrate, 'migrate'), { code: 0, stderr: '' });
  t.match(
    await as(roles.run, 'migrate'),
    { code: 0, stdout: /^nothing to do/ },
    'there is nothing to create',
  );

  const start = (verb: string) =>
    startProcess(t, [verb], { env: { ...env, DATABASE_URL: urlOf(roles.run) }, cwd: cli.folder });
  const [web, worker] = [start('web'), start('worker')];
  const { address } = await web.waitForLog(({ msg }) => msg === 'listening');
  await Promise.all([web.waitForLog('ready'), worker.waitForLog('ready')]);
  for (const topic of ['invoice.paid', 'charge.refunded'])
    t.match(await as(roles.run, 'send', 'stripe', topic, '--id', `evt_${topic}`, '--url', String(address)), {
      code: 0,
    });
  const reached = (what: string, condition: string) =>
    waitFor(async () => (await sql(`SELECT FROM postbell.webhook_events WHERE ${condition}`)).length > 0, {
      what,
    });
  await reached('an event to be PROCESSED', `status = 'PROCESSED'`);
  await reached('a failure to be recorded', 'failures = 1');
  t.match(await as(roles.run, 'replay', 'evt_invoice.paid', '--status', 'PROCESSED'), { code: 0 });
  await reached(
    'the replay to run',
    `event_id = 'evt_invoice.paid' AND attempts = 2 AND status = 'PROCESSED'`,
  );
  const doctor = await as(roles.run, 'doctor');
  t.match(doctor, { code: 0, stdout: /ok +rights/ });
  t.notMatch(web.output() + worker.output(), /permission denied|must be owner/);

  const database = openPool(t, urlOf(roles.run), { schemas });
  await sql(`UPDATE postbell.webhook_events SET received_at = received_at - interval '1 day',
    processed_at = processed_at - interval '1 day'`);
  await countEvents({ database });
  t.match(await purge({ database, retentionMs: 0 }), { events: 1 });
  await database.query('ANALYZE (SKIP_LOCKED) {queue}.job');
  const analyzed = await sql(
    `SELECT FROM pg_stat_user_tables WHERE schemaname = 'postbell_queue' AND analyze_count > 0`,
  );
  t.not(analyzed.length, 0, 'MAINTAIN lets a worker renew the statistics');
  await t.rejects(database.query('CREATE TABLE {inbox}.more (id int)'), { code: '42501' });
  await t.rejects(database.query('DROP TABLE {inbox}.tombstones'), { code: '42501' });
});

t.test(
  'a missing right is named with its object, by doctor, a command and a process that does not start',
  async (t) => {
    await sql(`REVOKE INSERT, DELETE ON postbell.tombstones FROM ${roles.run}`);
    const doctor = await as(roles.run, 'doctor');
    t.equal(doctor.code, 1);
    t.match(doctor.stdout, `the user ${roles.run} lacks INSERT, DELETE on the table postbell.tombstones`);
    t.match(doctor.stdout, `GRANT INSERT, DELETE ON TABLE postbell.tombstones TO "${roles.run}";`);
    await sql(`REVOKE USAGE ON SCHEMA postbell FROM ${roles.run}`);
    const status = await as(roles.run, 'status');
    t.match(status, {
      code: 1,
      stderr: /lacks a right: .*permission denied for schema postbell.*postbell doctor/,
    });
    const web = startProcess(t, ['web'], {
      env: { ...env, DATABASE_URL: urlOf(roles.run) },
      cwd: cli.folder,
    });
    const { remedy } = await web.waitForLog('the database cannot be reached');
    t.match(remedy, `lacks USAGE on the schema postbell, INSERT, DELETE on the table postbell.tombstones`);
    // The page's last GRANTs, for a database that was migrated before.
    await sql(`GRANT USAGE ON SCHEMA postbell TO ${roles.run}`);
    await sql(statements[2]!);
    await web.waitForLog('ready');
  },
);
