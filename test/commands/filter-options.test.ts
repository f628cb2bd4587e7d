// The options that choose events.
import { Command } from 'commander';
import t from 'tap';
import { addFilterOptions } from '../../src/commands/filter-options.ts';
import { filterOf } from '../../src/terminal/parse-filter.ts';

t.test('options become a filter, with nothing for those that were not given', async (t) => {
  const filterFor = (args: string[]) =>
    filterOf(addFilterOptions(new Command().exitOverride()).parse(args, { from: 'user' }).opts());
  t.same(filterFor([]), {});
  t.same(filterFor(['--source', 'stripe', '--topic', 'invoice.*', '--status', 'failed,Ignored']), {
    source: 'stripe',
    topic: 'invoice.*',
    statuses: ['FAILED', 'IGNORED'],
  });
  t.same(filterFor(['--since', '2026-08-01', '--until', '2026-08-02', '--entity', 'e', '--error', 'x']), {
    receivedSince: new Date('2026-08-01'),
    receivedBefore: new Date('2026-08-02'),
    entity: 'e',
    error: 'x',
  });
});

t.test('a wrong text is a wrong argument of its option', async (t) => {
  const command = addFilterOptions(new Command().exitOverride().configureOutput({ writeErr: () => {} }));
  for (const args of [
    ['--since', 'yesterday'],
    ['--status', 'done'],
    ['--error', 'x'.repeat(501)],
  ]) {
    t.throws(
      () => command.parse(args, { from: 'user' }),
      { code: 'commander.invalidArgument' },
      args.join(' ').slice(0, 40),
    );
  }
});
