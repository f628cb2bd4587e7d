// Spoils bytes, texts and JSON at random.
import type { Random } from './random.ts';

/** One to four small changes: bits, bytes, pieces cut out, doubled or moved. May come out as it was. */
export function mutateBytes(random: Random, bytes: Buffer): Buffer {
  let changed = Buffer.from(bytes);
  for (let n = random.below(4) + 1; n > 0; n--) {
    const at = random.below(changed.length + 1);
    const length = random.below(random.chance(0.2) ? 64 : 4) + 1;
    const [before, after] = [changed.subarray(0, at), changed.subarray(at)];
    const piece = changed.subarray(at, at + length);
    switch (random.below(6)) {
      case 0:
        if (at < changed.length) changed[at]! ^= 1 << random.below(8);
        break;
      case 1:
        changed = Buffer.concat([before, random.bytes(length), after]);
        break;
      case 2:
        changed = Buffer.concat([before, after.subarray(length)]);
        break;
      case 3:
        changed = Buffer.concat([before, piece, after]);
        break;
      case 4:
        changed = Buffer.from(before);
        break;
      default:
        changed = Buffer.concat([before, Buffer.from(random.pick(oddTexts)), after]);
    }
  }
  return changed;
}

/** The same for what stands in a header: no line break gets in, so that the request stays one. */
export function mutateHeaderValue(random: Random, value: string): string {
  const odd = random.below(8);
  if (odd === 0) return value.toUpperCase();
  if (odd === 1) return `${value},${value}`;
  if (odd === 2) return value.split('').reverse().join('');
  if (odd === 3) return value.slice(random.below(value.length + 1));
  const bytes = mutateBytes(random, Buffer.from(value, 'latin1')).toString('latin1');
  return bytes.replace(/[^\t\x20-\x7e\x80-\xff]/g, '?');
}

const oddTexts = [
  '\0',
  '\\u0000',
  '\\ud800',
  '"',
  '\\',
  '{',
  ']',
  ',',
  '1e999',
  '-',
  '\ufeff',
  '\r\n',
  '%00',
  '__proto__',
  'é',
  '🔔',
  "'",
  '$(x)',
];
const oddValues = [
  'null',
  'true',
  '-0',
  '1e400',
  '1E-20000',
  '9'.repeat(40),
  '12345678901234567890',
  '"\\u0000"',
  '"\\udfff"',
  '""',
  '[]',
  '{}',
  '"__proto__"',
  '01',
  '.5',
  '+1',
  'NaN',
  "'x'",
  '"\u2028"',
  `"${'x'.repeat(300)}"`,
  '"\\',
  '\u00a0',
  '/**/',
];

/** A JSON text after some mistakes of grammar, or one that never was any. */
export function mutateJson(random: Random, text: string): string {
  if (random.chance(0.1)) return randomJson(random, 0);
  if (random.chance(0.02)) return '['.repeat(random.below(5_000));
  let changed = text;
  for (let n = random.below(3) + 1; n > 0; n--) {
    const tokens = changed.match(/"(?:[^"\\]|\\.)*"|-?[0-9.eE+-]+|true|false|null|[{}[\]:,]|\s+|./gs) ?? [];
    const at = random.below(tokens.length + 1);
    const kind = random.below(7);
    if (kind === 0) tokens.splice(at, 1);
    else if (kind === 1) tokens.splice(at, 0, random.pick(oddValues));
    else if (kind === 2) tokens[at] = random.pick(oddValues);
    else if (kind === 3) tokens.splice(at, 0, tokens[random.below(tokens.length)] ?? '');
    else if (kind === 4) tokens.splice(at, random.below(10));
    else if (kind === 5) tokens[at] = randomJson(random, 0);
    else
      return `${random.pick(['\ufeff', ' ', '\0', ")]}',\n", ''])}${changed}${random.pick(['', '\n', '}', changed, '\0'])}`;
    changed = tokens.join('');
  }
  return changed;
}

function randomJson(random: Random, depth: number): string {
  const kind = random.below(depth > 5 ? 3 : 5);
  if (kind < 2) return random.pick(oddValues);
  if (kind === 2) return JSON.stringify(random.bytes(random.below(12)).toString('latin1'));
  const items = Array.from({ length: random.below(5) }, () => randomJson(random, depth + 1));
  if (kind === 3) return `[${items.join(',')}]`;
  return `{${items.map((item) => `${random.pick(['"id"', '"type"', '"__proto__"', '"a"', '""'])}:${item}`).join(',')}}`;
}
