// The flags that choose events.
import { Command } from 'commander';
import t from 'tap';
import { filterFlags } from '../../src/commands/filter-flags.ts';
import { addVerb, type Verb } from '../../src/commands/verb.ts';
import { type FilterOptions, filterOf } from '../../src/events/parse-filter.ts';
import type { CommandIo, CommonOptions } from '../../src/terminal/io.ts';

async function optionsOf(args: readonly string[]): Promise<FilterOptions> {
  const program = new Command().exitOverride().configureOutput({ writeErr: () => {} });
  let found: FilterOptions = {};
  const verb: Verb<FilterOptions & CommonOptions> = {
    name: 'list',
    summary: 'a verb with a filter',
    examples: [],
    flags: filterFlags(),
    run: async (_io, options) => {
      found = options;
    },
  };
  addVerb(program, verb, {} as CommandIo, () => {});
  await program.parseAsync(['list', ...args], { from: 'user' });
  return found;
}

t.test('options become a filter, with nothing for those that were not given', async (t) => {
  const filterFor = async (args: string[]) => filterOf(await optionsOf(args));
  t.same(await filterFor([]), {});
  t.same(await filterFor(['--source', 'stripe', '--topic', 'invoice.*', '--status', 'failed,Ignored']), {
    source: 'stripe',
    topic: 'invoice.*',
    statuses: ['FAILED', 'IGNORED'],
  });
  const times = ['--since', '2026-08-01', '--until', '2026-08-02'];
  t.same(await filterFor([...times, '--entity', 'e', '--error', 'x']), {
    receivedSince: new Date('2026-08-01'),
    receivedBefore: new Date('2026-08-02'),
    entity: 'e',
    error: 'x',
  });
});

t.test('a wrong text is a wrong argument of its option', async (t) => {
  for (const args of [
    ['--since', 'yesterday'],
    ['--status', 'done'],
    ['--error', 'x'.repeat(501)],
  ])
    await t.rejects(optionsOf(args), { code: 'commander.invalidArgument', message: args[0]! });
});
