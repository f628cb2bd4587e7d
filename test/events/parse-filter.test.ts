// What people type to choose events.
import t from 'tap';
import { FilterError, parseSearch, parseStatuses, parseTime } from '../../src/events/parse-filter.ts';

process.env.TZ = 'America/New_York'; // what is printed and typed is UTC wherever one sits
const now = new Date('2026-08-02T12:00:00Z');
const parsed = (text: string) => parseTime(text, now).toISOString();

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
    t.throws(() => parsed(text), FilterError, text);
  }
});

t.test('a text that means nothing is answered with a sentence that says which texts do', async (t) => {
  t.throws(() => parseTime('yesterday', now), { name: 'FilterError', message: /^Use an age such as .*\.$/ });
  t.throws(() => parseStatuses('DONE', ['FAILED', 'IGNORED']), { message: 'Use FAILED, IGNORED.' });
  t.throws(() => parseSearch('x'.repeat(501)), { message: 'Use at most 500 characters.' });
  t.same(parseStatuses('failed, Ignored'), ['FAILED', 'IGNORED']);
});
