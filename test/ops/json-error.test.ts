// The place of an error in JSON: found exactly where JSON.parse finds one, for a thousand broken texts.
import t from 'tap';
import { findJsonError } from '../../src/ops/json-error.ts';
import { createRandom } from '../bad-input/random.ts';

t.test('the first character that cannot be there', (t) => {
  const cases: [string, number, string][] = [
    ['', 0, 'a value'],
    ['{"a":1,}', 7, 'a key'],
    ['{"a" 1}', 5, ':'],
    ['[1 2]', 3, ', or ]'],
    ['{"a":\n "x\ty"}', 9, 'the rest of a string'],
    ['{"a":1} x', 8, 'the end'],
    ['[tru]', 1, 'a value or ]'],
    ['[1,2', 4, ', or the end'],
  ];
  for (const [text, at, expected] of cases) t.match(findJsonError(text), { at, expected }, text);
  t.match(findJsonError('{\n  "a": 1,\n  b\n}'), { line: 3, column: 3 });
  t.equal(findJsonError(' {"a":[1.5e-3,"\\u00e9\\"",null,{}],"b":true} '), undefined);
  t.end();
});

t.test('the same texts are broken for JSON.parse', (t) => {
  const base = '{"a":[1,-2.5e3,"x\\u00e9\\"",true,null,{"b":{}}],"c":"d"}';
  const characters = '{}[]",:0123456789-+.eE\\u truefalsn\n ';
  const { below: pick } = createRandom(1);
  let differing = 0;
  for (let count = 0; count < 20_000; count++) {
    const at = pick(base.length);
    const text = base.slice(0, at) + characters[pick(characters.length)] + base.slice(at + pick(3));
    let isJson = true;
    try {
      JSON.parse(text);
    } catch {
      isJson = false;
    }
    if (isJson !== (findJsonError(text) === undefined)) differing++;
  }
  t.equal(differing, 0);
  t.end();
});
