// Our scan against the judge itself: what it lets through, Postgres takes, and both read the same values.
import fc from 'fast-check';
import pg from 'pg';
import t from 'tap';
import { scanJson } from '../../src/providers/body/jsonb.ts';
import { atEnd } from '../support/at-end.ts';
import { createTestDatabase } from '../support/database.ts';

const database = await createTestDatabase(t, { migrated: false });
const client = new pg.Client({ connectionString: database.url });
await client.connect();
atEnd(t, () => client.end());
await client.query(`
  CREATE FUNCTION try_jsonb(body text) RETURNS jsonb LANGUAGE plpgsql AS $$
  BEGIN RETURN jsonb_build_object('value', body::jsonb);
  EXCEPTION WHEN OTHERS THEN RETURN NULL;
  END $$`);

/** What Postgres makes of each text: undefined where it refuses. */
async function jsonbOf(texts: readonly string[]): Promise<(string | undefined)[]> {
  const { rows } = await client.query<{ id: string | null; taken: boolean }>(
    `SELECT try_jsonb(body) IS NOT NULL AS taken, try_jsonb(body) #>> '{value,id}' AS id
     FROM unnest($1::text[]) WITH ORDINALITY AS list (body, nth) ORDER BY nth`,
    [texts],
  );
  return rows.map(({ taken, id }) => (taken ? (id ?? '') : undefined));
}

function parses(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

const oddStrings = fc
  .array(
    fc.oneof(
      fc.constantFrom(
        '\\u0000',
        '\\ud83d',
        '\\ude00',
        '\\uD83D\\uDE00',
        '\\\\',
        '\\"',
        '\\n',
        '\\/',
        '\\u0041',
        '\\u',
        '{',
      ),
      fc.string({ maxLength: 3 }).map((text) => JSON.stringify(text).slice(1, -1)),
    ),
    { maxLength: 6 },
  )
  .map((pieces) => `"${pieces.join('')}"`);
const oddNumbers = fc
  .tuple(
    fc.constantFrom('', '-'),
    fc.constantFrom('0', '7', '12345678901234567890', '9'.repeat(999), '9'.repeat(1001)),
    fc.constantFrom('', '.0', '.50', `.${'1'.repeat(400)}`),
    fc.constantFrom('', 'e5', 'E-5', 'e+400', 'e500', 'e501', 'e-20000', 'e131072', 'e0000000000001'),
  )
  .map((parts) => parts.join(''));
const texts = fc
  .tuple(oddStrings, oddNumbers, oddStrings, fc.integer({ min: 0, max: 210 }))
  .map(
    ([id, number, other, depth]) =>
      `{"id":"x","id":${id},"n":${number},"o":${other},"d":${'['.repeat(depth)}${']'.repeat(depth)}}`,
  );

t.test('Postgres takes every text that passes the scan and the parser, and reads the same id', async (t) => {
  const sample = fc.sample(texts, { numRuns: 3_000, seed: 1 });
  const taken = await jsonbOf(sample);
  let passed = 0;
  for (const [index, text] of sample.entries()) {
    if (scanJson(text).problem !== null || !parses(text)) continue;
    passed++;
    if (taken[index] !== JSON.parse(text).id) t.fail(`differs: ${text.slice(0, 300)}`);
  }
  t.ok(passed > 300, `${passed} texts passed`);
});

t.test('what the scan refuses for its characters, Postgres refuses too', async (t) => {
  const sample = fc.sample(oddStrings, { numRuns: 2_000, seed: 2 }).filter(parses);
  const taken = await jsonbOf(sample);
  let refused = 0;
  for (const [index, text] of sample.entries()) {
    if (scanJson(text).problem === null) continue;
    refused++;
    if (taken[index] !== undefined) t.fail(`refused for nothing: ${text}`);
  }
  t.ok(refused > 100, `${refused} texts were refused`);
});
