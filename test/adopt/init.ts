// A stranger's first minutes: an empty folder, `postbell init`, install, `dev`, and a signed delivery that is PROCESSED; then `demo`.
// By the packed package and npm's registry alone.
import fs from 'node:fs';
import path from 'node:path';
import t from 'tap';
import { packedPackage, run, shell } from '../deploy/deployment.ts';
import { temporaryFolder } from '../support/folders.ts';
import { startProcess } from '../support/processes.ts';

const tarball = await packedPackage(t);
const folder = temporaryFolder(t);

t.test('from nothing to PROCESSED', async (t) => {
  const startedAt = performance.now();
  const told = await run(folder, `npm exec --yes --package='${tarball}' -- postbell init --yes`);
  const [install, dev, send] = told.match(/^ {2}np[mx] .*$/gm)!.map((line) => line.trim());
  t.same([install, dev], ['npm install', 'npx postbell dev']);
  // Not published: the tarball stands for the version that package.json names.
  await run(folder, `npm install '${tarball}'`);
  // Without npx, which does not pass signals on.
  const running = startProcess(t, ...shell('node_modules/.bin/postbell dev', { cwd: folder }));
  await running.waitForOutput(/Postbell is up/);
  t.match(await run(folder, send!), /^200 \{"ok":true/);
  await running.waitForOutput(/outcome=processed/);
  t.comment(`from npx to PROCESSED: ${((performance.now() - startedAt) / 1_000).toFixed(1)} s`);
  t.match(
    await run(folder, 'npx --no-install postbell events'),
    /PROCESSED +stripe +evt_\w+ +payment_intent.succeeded/,
  );
  running.kill('SIGINT');
  t.same(await running.exited, { code: 0, signal: null });
});

t.test('init a second time, by the installed package, changes nothing', async (t) => {
  const texts = () =>
    ['package.json', '.env.example', 'handlers/index.ts'].map((name) =>
      fs.readFileSync(path.join(folder, name), 'utf8'),
    );
  const before = texts();
  t.match(await run(folder, 'npx --no-install postbell init --yes'), /Nothing was missing/);
  t.same(texts(), before);
});

t.test('demo from the package: the ledger balances', async (t) => {
  t.match(await run(folder, 'npx --no-install postbell demo'), /the ledger balances: every event once/);
});
