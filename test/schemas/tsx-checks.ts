// Handlers that Node's own TypeScript cannot run, under tsx: run by `npm run test:schemas`, which installs it.
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { createTestDatabase } from '../support/database.ts';
import { temporaryFolder } from '../support/folders.ts';
import { runProcess, startProcess } from '../support/processes.ts';

const library = fileURLToPath(new URL('../../src/index.ts', import.meta.url));
const tsx = { NODE_OPTIONS: `--import ${import.meta.resolve('tsx')}` };

const handlers = `
  import { defineHandler } from '${library}';
  import { Topic } from './topic';
  export default [defineHandler({ provider: 'stripe', topic: Topic.Paid, async handle() {} })];`;
const topic = `export enum Topic { Paid = 'invoice.paid' }`;

for (const type of ['module', 'commonjs']) {
  const folder = temporaryFolder(t);
  mkdirSync(join(folder, 'handlers'));
  writeFileSync(join(folder, 'package.json'), JSON.stringify({ type }));
  writeFileSync(join(folder, 'handlers/index.ts'), handlers);
  writeFileSync(join(folder, 'handlers/topic.ts'), topic);

  t.test(`a package of type ${type}: an enum and an import without its ending`, async (t) => {
    const { url } = await createTestDatabase(t);
    const env = { ...tsx, DATABASE_URL: url };
    const worker = startProcess(t, ['worker'], { cwd: folder, env });
    t.match(await worker.waitForLog('ready'), { handlers: 1 });
  });

  t.test(`a package of type ${type}: an error names its place in the source`, async (t) => {
    writeFileSync(join(folder, 'handlers/topic.ts'), `${topic}\n\nthrow new Error('no such topic');`);
    const env = { ...tsx, DATABASE_URL: 'postgres://nobody@127.0.0.1:1/none' };
    const { code, stderr } = await runProcess(['worker'], { cwd: folder, env });
    t.equal(code, 1);
    const shown = "throw new Error('no such topic');\n      ^";
    t.ok(stderr.endsWith(`Error: no such topic\n${join(folder, 'handlers/topic.ts')}:3\n${shown}\n`), stderr);
  });
}
