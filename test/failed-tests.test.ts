// What .ci/run tells again of a failed run of tap.
import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import t from 'tap';

const script = fileURLToPath(new URL('../.ci/failed-tests.awk', import.meta.url));

const log = `TAP version 14
# Subtest: test/a.test.ts
    # Subtest: holds
        ok 1 - fine
        1..1
    ok 1 - holds # time=1ms
    # Subtest: outer
        # Subtest: inner
            ok 1 - fine
            not ok 2 - equal things
              ---
              diff: |
                --- expected
                +++ actual
              ...
            1..2
        not ok 1 - inner # time=2ms
        1..1
    not ok 2 - outer # time=3ms
    1..2
not ok 1 - test/a.test.ts # time=4ms
  ---
  command: node
  exitCode: 1
  ...
# Subtest: test/b.test.ts
    ok 1 - fine
    1..1
ok 2 - test/b.test.ts # time=5ms
not ok 3 - test/c.test.ts # time=240000ms
  ---
  command: node
  signal: SIGKILL
  ...
1..3
`;

t.test('the failed tests, each with its place and its block', async (t) => {
  const told = execFileSync('awk', ['-f', script], { input: log, encoding: 'utf8' });
  t.same(told.trimEnd().split('\n'), [
    'test/a.test.ts > outer > inner > not ok 2 - equal things',
    '              diff: |',
    '                --- expected',
    '                +++ actual',
    'test/a.test.ts > outer > not ok 1 - inner # time=2ms',
    'test/a.test.ts > not ok 2 - outer # time=3ms',
    'not ok 1 - test/a.test.ts # time=4ms',
    '  exitCode: 1',
    'not ok 3 - test/c.test.ts # time=240000ms',
    '  signal: SIGKILL',
  ]);
});
