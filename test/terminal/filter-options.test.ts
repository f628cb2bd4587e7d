// What people type to choose events.
import { Command } from 'commander';
import t from 'tap';
import { addFilterOptions, filterOf, parseTime } from '../../src/terminal/filter-options.ts';

process.env.TZ = 'America/New_York'; // what is printed and typed is UTC wherever one sits
const now = new Date('2026-08-02T12:00:00Z');
const parsed = (text: string) => parseTime(text, undefined, now).toISOString();

t.test('a time is so long ago, or an ISO time in UTC', async (t) => {
  t.equal(parsed('90s'), '2026-08-02T11:58:30.000Z');
  t.equal(parsed('15m'), '2026-08-02T11:45:00.000Z');
  t.equal(parsed('2h'), '2026-08-02T10:00:00.000Z');
  t.equal(parsed('1w'), '2026-07-26T12:00:00.000Z');
  t.equal(parsed('2026-08-01'), '2026-08-01T00:00:00.000Z');
  t.equal(parsed('2026-08-01 09:30'), '2026-08-01T09:30:00.000Z');
  t.equal(parsed('2026-08-01T09:30:05Z'), '2026-08-01T09:30:05.000Z');
  t.equal(parsed('2026-08-01T09:30+02:00'), '2026-08-01T07:30:00.000Z');
});

t.test('anything else is no time', async (t) => {
  for (const text of ['', 'yesterday', '2', '2y', '-2h', '2026-13-01', '2026-08-01T25:00', '99999999999h']) {
    t.throws(() => parsed(text), { code: 'commander.invalidArgument' }, text);
  }
});

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
