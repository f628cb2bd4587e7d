// The example of docs/testing.md runs as a reader would run it: node:test, with the handler of docs/handlers.md.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { createTestDatabase } from '../support/database.ts';
import { temporaryFolder } from '../support/folders.ts';
import { openSession } from '../support/inbox.ts';
import { runProcess } from '../support/processes.ts';

const root = fileURLToPath(new URL('../../', import.meta.url));

/** What the pattern's group finds in a document, with the package's names as files of this repository. */
function example(name: string, pattern: RegExp): string {
  const text = readFileSync(join(root, 'docs', name), 'utf8');
  return pattern
    .exec(text)![1]!
    .replace(`'postbell/testing'`, `'${root}src/testing/index.ts'`)
    .replace(`'postbell'`, `'${root}src/index.ts'`)
    .replace(`'zod'`, `'${import.meta.resolve('zod')}'`);
}

t.test('the example passes, and fails where the handler does not', async (t) => {
  const { url } = await createTestDatabase(t);
  const sql = await openSession(t, url);
  await sql(example('testing.md', /`(CREATE TABLE [^`]*)`/));
  const folder = temporaryFolder(t);
  mkdirSync(join(folder, 'handlers'));
  const handler = example('handlers.md', /```ts\n(.*?)```/s);
  writeFileSync(
    join(folder, 'handlers/order-paid.test.ts'),
    example('testing.md', /```typescript\n(.*?)```/s),
  );
  const run = (code: string) => {
    writeFileSync(join(folder, 'handlers/order-paid.ts'), code);
    const args = ['--test', '--test-reporter=tap', 'handlers/order-paid.test.ts'];
    return runProcess(args, { program: process.execPath, cwd: folder, env: { DATABASE_URL: url } });
  };
  const passed = await run(handler);
  t.equal(passed.code, 0, passed.stdout + passed.stderr);
  t.match(passed.stdout, /# pass 2\n/);
  const failed = await run(handler.replace('paid = $2', 'paid = $2 + 1'));
  t.equal(failed.code, 1);
  t.match(failed.stdout, /# fail 1\n/);
  t.same(await sql('SELECT * FROM orders'), []);
});
