// What commands print: no control character reaches a terminal, columns align, lines fit.
import t from 'tap';
import { printable, printableJson } from '../../src/printable.ts';
import { countText, durationText, printTable, timeText } from '../../src/terminal/print.ts';

interface Pair {
  name: string;
  count: number;
}

function table(rows: readonly Pair[], stream: { isTTY?: boolean; columns?: number } = {}): string[] {
  let text = '';
  const out = { ...stream, write: (chunk: string) => (text += chunk) };
  printTable(out, rows, [
    { title: 'NAME', value: (row) => row.name },
    { title: 'COUNT', value: (row) => String(row.count), isNumber: true },
  ]);
  return text.trimEnd().split('\n');
}

t.test('control characters are shown, not sent', async (t) => {
  t.equal(printable('\x1b[31mred\x1b[0m\r\n\t\x07'), '\\x1b[31mred\\x1b[0m\\x0d\\x0a\\x09\\x07');
  t.equal(printable('\x7f\x9b2J\u202egnp.exe\u2066'), '\\x7f\\x9b2J\\u202egnp.exe\\u2066');
  t.equal(printable('Grüße, 東京 👋'), 'Grüße, 東京 👋', 'other languages are left alone');
});

t.test('JSON stays the same JSON without the control characters that JSON.stringify leaves', async (t) => {
  const value = { text: 'a\x1b\x7f\x9b\u2028\u202e' };
  const json = printableJson(JSON.stringify(value));
  t.match(json, /^[\x20-\x7e]*$/);
  t.same(JSON.parse(json), value);
});

t.test('columns align, numbers to the right, wide characters counted as two', async (t) => {
  t.same(
    table([
      { name: 'stripe', count: 5 },
      { name: '東京', count: 1_200 },
    ]),
    ['NAME    COUNT', 'stripe      5', '東京     1200'],
  );
});

t.test('on a terminal the widest column is cut, elsewhere nothing is', async (t) => {
  const rows = [{ name: 'x'.repeat(40), count: 5 }];
  t.same(table(rows, { isTTY: true, columns: 25 }), [
    `NAME${' '.repeat(14)}  COUNT`,
    `${'x'.repeat(17)}…      5`,
  ]);
  t.equal(table(rows, { columns: 25 })[1], `${'x'.repeat(40)}      5`);
});

t.test('times are UTC, durations and counts are short', async (t) => {
  t.equal(timeText(new Date('2026-11-23T23:41:05.123Z')), '2026-11-23 23:41:05Z');
  t.equal(timeText(null), '-');
  t.same([5, 119, 120, 7_199, 7_200, 172_800].map(durationText), [
    '5 s',
    '119 s',
    '2 min',
    '120 min',
    '2 h',
    '2 d',
  ]);
  t.same([countText(1, 'event'), countText(12_000, 'event')], ['1 event', '12,000 events']);
});
