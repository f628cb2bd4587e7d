// What every verb has in common: help, exit codes, errors without stacks or secrets, .env.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { createCli } from '../support/cli.ts';
import { createTestDatabase } from '../support/database.ts';
import { newEvent, openInboxOn, storeEvents } from '../support/inbox.ts';
import { plainEnvironment } from '../support/processes.ts';

const verbs =
  'init web worker ops start dev demo migrate status alerts events show replay recover quarantine rehearse pause resume capture erase send forward doctor setup providers keys'.split(
    ' ',
  );
const unreachable = 'postgres://ada:sesame-open@127.0.0.1:1/shop';
const cliFile = fileURLToPath(new URL('../../src/cli.ts', import.meta.url));
const { url } = await createTestDatabase(t);
const cli = createCli(t, { DATABASE_URL: url });

t.test('every verb has --json and help with an example', async (t) => {
  for (const verb of verbs) {
    const { code, stdout } = await cli.inside([verb, '--help']);
    t.equal(code, 0);
    t.match(stdout, '--json', verb);
    t.match(stdout, `Example:\n  $ postbell ${verb}`, verb);
  }
});

t.test('help and version are answers; a line that makes no sense ends with 2', async (t) => {
  t.match(await cli(['--version']), { code: 0, stdout: /^\d+\.\d+\.\d+\n$/ });
  t.match(await cli.inside(['--help']), { code: 0, stdout: /Commands:/ });
  t.match(await cli([]), { code: 2, stderr: /Usage: postbell/, stdout: /^$/ });
  t.match(await cli.inside(['evnts']), { code: 2, stderr: /Did you mean events/ });
  t.match(await cli.inside(['show']), { code: 2, stderr: /missing required argument 'id'/ });
  t.match(await cli.inside(['events', '--since', 'yesterday']), { code: 2, stderr: /15m, 2h/ });
  t.match(await cli.inside(['events', '--limit', '0']), { code: 2, stderr: /from 1 to/ });
  t.match(await cli.inside(['replay', '--status', 'PENDING']), {
    code: 2,
    stderr: /FAILED, IGNORED, PROCESSED/,
  });
});

t.test('every problem of the configuration is told, one per line, with 78', async (t) => {
  const env = { DATABASE_URL: '', PORT: 'abc', LOG_LEVEL: 'loud', STRIPE_WEBHOOK_SECRET: 'sesame-open' };
  const { code, stdout, stderr } = await cli(['web'], { env });
  t.equal(code, 78);
  t.equal(stdout, '');
  t.same(
    stderr
      .trimEnd()
      .split('\n')
      .map((line) => line.split(' ')[0]),
    ['DATABASE_URL', 'PORT', 'LOG_LEVEL', 'STRIPE_WEBHOOK_SECRET'],
  );
  t.notMatch(stderr, 'sesame-open');
});

t.test('looking at the inbox does not depend on the sources', async (t) => {
  t.match(await cli(['status'], { env: { STRIPE_WEBHOOK_SECRET: 'wrong' } }), { code: 0 });
});

t.test('a database that cannot be reached is one line, without its password', async (t) => {
  const { code, stdout, stderr } = await cli(['status'], { env: { DATABASE_URL: unreachable } });
  t.equal(code, 1);
  t.equal(stdout, '');
  t.match(stderr, /^the database: no server listens .*; start Postgres, or correct DATABASE_URL\n$/);
  t.notMatch(stderr, 'sesame-open');
});

t.test('the stack is shown with LOG_LEVEL=debug only', async (t) => {
  const env = { DATABASE_URL: unreachable, LOG_LEVEL: 'debug' };
  const { code, stderr } = await cli(['status'], { env });
  t.equal(code, 1);
  t.match(stderr, /\n {4}at /);
  t.notMatch(stderr, 'sesame-open');
});

t.test('a database without the schema names the remedy', async (t) => {
  const { url: emptyUrl } = await createTestDatabase(t, { migrated: false });
  for (const args of [['status'], ['events'], ['show', 'x'], ['replay', '--yes']]) {
    const result = await cli.inside(args, { env: { DATABASE_URL: emptyUrl } });
    t.match(result, { code: 1, stderr: /run: postbell migrate/ }, args.join(' '));
  }
});

t.test('--database-url works, with a warning', async (t) => {
  const result = await cli(['status', '--json', '--database-url', url], { env: { DATABASE_URL: '' } });
  t.match(result, {
    code: 0,
    stdout: /^\{"sources":\[\],"processes":\[.*\n$/,
    stderr: /every user of this machine can read --database-url/,
  });
  t.match(await cli.inside(['status', '--database-url', 'sesame-open']), {
    code: 78,
    stderr: /must look like/,
  });
  t.notMatch(await cli.inside(['status', '--database-url', 'sesame:open']), { stderr: /sesame/ });
});

t.test('.env is read, and the real environment wins', async (t) => {
  const inFolder = createCli(t);
  writeFileSync(join(inFolder.folder, '.env'), `DATABASE_URL=${url}\nPORT=abc\n`);
  t.match(await inFolder(['status']), { code: 78, stderr: 'PORT must be a whole number\n' });
  t.match(await inFolder(['status'], { env: { PORT: '3000' } }), { code: 0 });
});

t.test('a .env that cannot be read is a problem of the configuration', async (t) => {
  const inFolder = createCli(t, { DATABASE_URL: url });
  mkdirSync(join(inFolder.folder, '.env'));
  t.match(await inFolder(['status']), { code: 78, stderr: '.env cannot be read; make it a readable file\n' });
});

t.test('a reader that goes away early is no error', async (t) => {
  const inbox = await openInboxOn(t, url);
  const headers = { note: 'x'.repeat(400) };
  await storeEvents(
    inbox,
    Array.from({ length: 400 }, () => newEvent({ topic: 't'.repeat(200), headers })),
  );
  // Through a shell: its pipes break as users' pipes do, those between Node's processes are sockets.
  const command = `{ "$0" "$1" events --json --limit 400; echo "code $?" >&2; } | head -c 10`;
  const child = spawn('/bin/sh', ['-c', command, process.execPath, cliFile], {
    env: { ...plainEnvironment(), DATABASE_URL: url },
    cwd: cli.folder,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let stderr = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
  });
  child.stdout.resume();
  await once(child, 'close');
  t.equal(stderr, 'code 0\n');
});
