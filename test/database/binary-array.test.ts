// What Postgres reads out of our binary arrays is what went in, for every type and its corners.
import t from 'tap';
import {
  boolArray,
  byteaArray,
  int4Array,
  jsonbArray,
  textArray,
  timestamptzArray,
  uuidArray,
} from '../../src/database/binary-array.ts';
import { testServerUrl } from '../support/database.ts';
import { openSession } from '../support/inbox.ts';

const sql = await openSession(t, await testServerUrl());

async function elements(type: string, array: Buffer, as = 'element'): Promise<unknown[]> {
  const text = `SELECT ${as} AS value FROM unnest($1::${type}[]) WITH ORDINALITY AS a (element, n) ORDER BY n`;
  return (await sql(text, [array])).map(({ value }) => value);
}

t.test('text', async (t) => {
  const values = ['plain', '', null, 'Ünïcode 🎉 東京', '{a,"b"}\\\'', 'NULL', ' blanks \n\t'];
  t.same(await elements('text', textArray(values)), values);
});

t.test('an empty list, and a list of nothing but NULL', async (t) => {
  t.same(await elements('text', textArray([])), []);
  t.same(await sql('SELECT cardinality($1::uuid[]) AS count', [uuidArray([])]), [{ count: 0 }]);
  t.same(await elements('jsonb', jsonbArray([null, null])), [null, null]);
});

t.test('jsonb, with numbers beyond JavaScript', async (t) => {
  const values = ['{"a": 12345678901234567890}', null, '"ü 🎉 \\" {,}"', '[]', 'null'];
  t.same(await elements('jsonb', jsonbArray(values), 'element::text'), [
    '{"a": 12345678901234567890}',
    null,
    '"ü 🎉 \\" {,}"',
    '[]',
    'null',
  ]);
  await t.rejects(elements('jsonb', jsonbArray(['{"a":1}', '{"a":']), 'element::text'), { code: '22P02' });
});

t.test('bytea, uuid, bool, int4', async (t) => {
  const bytes = [Buffer.from([0, 255, 92, 34]), null, Buffer.alloc(0)];
  t.same(await elements('bytea', byteaArray(bytes)), bytes);
  const uuids = ['00000000-0000-0000-0000-000000000000', null, 'f81d4fae-7dec-41d0-a765-00a0c91e6bf6'];
  t.same(await elements('uuid', uuidArray(uuids)), uuids);
  t.same(await elements('bool', boolArray([true, null, false])), [true, null, false]);
  const numbers = [0, null, 2_147_483_647, -2_147_483_648];
  t.same(await elements('int4', int4Array(numbers)), numbers);
});

t.test('timestamptz, before 2000 and at the ends of what a provider may say', async (t) => {
  const dates = ['2026-01-02T03:04:05.678Z', '2000-01-01T00:00:00.000Z', '1969-12-31T23:59:59.999Z'];
  const values = [...dates.map((date) => new Date(date)), null, new Date('9999-12-31T23:59:59.999Z')];
  t.same(await elements('timestamptz', timestamptzArray(values)), values);
});
