// A log of a process of its own: nothing is lost however it ends, and the net under secrets holds.
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import t from 'tap';

const logger = fileURLToPath(new URL('../src/logger.ts', import.meta.url));

const programOf = (code: string) =>
  `import { createLogger, createUnredactedLogger } from '${logger}'; const log = createLogger('info', 'test'); ${code}`;

/** The lines of a process that runs `code` with a logger `log`. */
function linesOf(code: string): Record<string, unknown>[] {
  const { stdout } = spawnSync(process.execPath, ['--input-type=module', '-e', programOf(code)], {
    encoding: 'utf8',
  });
  return stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>);
}

const messages = (code: string) => linesOf(code).map(({ msg }) => msg);

t.test('every line arrives, in order, however the process ends', async (t) => {
  const three = `for (const text of ['a', 'b', 'c']) log.info(text);`;
  t.same(messages(three), ['a', 'b', 'c'], 'by itself');
  t.same(messages(`${three} process.exit(3);`), ['a', 'b', 'c'], 'by process.exit');
  t.same(messages(`${three} throw new Error('thrown');`), ['a', 'b', 'c'], 'by an exception');
  t.same(
    messages(`${three} log.fatal('dead'); process.exit(1);`),
    ['a', 'b', 'c', 'dead'],
    'after a fatal line',
  );
});

// F48: a synchronous write would block the event loop until somebody reads.
t.test('a process whose log nobody reads works on, and ends', async (t) => {
  const code = `for (let line = 0; line < 5_000; line++) log.info('x'.repeat(100)); setTimeout(() => process.exit(7), 500);`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', programOf(code)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const tooLong = setTimeout(() => child.kill('SIGKILL'), 20_000);
  const [exitCode] = await once(child, 'exit');
  clearTimeout(tooLong);
  child.stdout.destroy();
  t.equal(exitCode, 7);
});

t.test('what is named like a secret is censored, but not on the log of hot lines', async (t) => {
  const [line, hot] = linesOf(
    `log.info({ secret: 's', source: 'stripe' }, 'a'); createUnredactedLogger(log).info({ eventId: 'e' }, 'b');`,
  );
  t.match(line, { secret: '[redacted]', source: 'stripe', name: 'test', pid: Number });
  t.match(hot, { eventId: 'e', msg: 'b', name: 'test', pid: Number });
});
