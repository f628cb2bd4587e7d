// The variables of a source that is only pulled, and what follows from them.
import t from 'tap';
import { readPulledSettings } from '../../src/providers/catalogue/pulled-settings.ts';
import { findProvider, providers } from '../../src/providers/index.ts';
import { parseSources } from '../../src/providers/sources.ts';

const problemsOf = (values: Record<string, string>) =>
  readPulledSettings({ API_PATH: '/v1', ...values }).problems.map(
    ({ name, problem }) => `${name} ${problem}`,
  );

t.test('each wrong variable is named', async (t) => {
  const wrong: readonly (readonly [Record<string, string>, RegExp])[] = [
    [{ API_PATH: 'v1' }, /^API_PATH must begin with \//],
    [{ API_PATH: '//evil.example.com/v1' }, /^API_PATH must begin with \//],
    [{ API_KEY_HEADER: 'x key' }, /^API_KEY_HEADER must be the name of a header/],
    [{ API_KEY_SCHEME: 'two words' }, /^API_KEY_SCHEME must be a word/],
    [{ API_ITEMS: 'data rows' }, /^API_ITEMS must be the path/],
    [{ API_ID: 'id,,rev' }, /^API_ID must be the path/],
    [{ API_OCCURRED_AT: 'at', API_OCCURRED_AT_UNIT: 'minutes' }, /^API_OCCURRED_AT_UNIT must be iso/],
    [{ API_OCCURRED_AT_UNIT: 's' }, /^API_OCCURRED_AT_UNIT has no effect without API_OCCURRED_AT/],
    [{ API_CURSOR_PARAM: 'after' }, /^API_CURSOR is missing/],
    [{ API_CURSOR: 'last:id' }, /^API_CURSOR_PARAM is missing/],
    [{ API_CURSOR: 'header:x', API_CURSOR_PARAM: 'after' }, /^API_CURSOR must be body:/],
    [{ API_NEXT: 'links.next' }, /^API_NEXT must be header:link or body:/],
    [{ API_NEXT: 'header:link', API_CURSOR: 'last:id' }, /^API_NEXT and API_CURSOR exclude each other/],
  ];
  for (const [values, problem] of wrong) {
    const problems = problemsOf(values);
    t.equal(problems.length, 1, problems.join('; '));
    t.match(problems[0], problem);
  }
  t.match(readPulledSettings({}).problems, [{ name: 'API_PATH', problem: /^is missing/ }]);
});

t.test('the word before the key goes with the header', async (t) => {
  const schemeOf = (values: Record<string, string>) => readPulledSettings(values).settings.keyScheme;
  t.equal(schemeOf({}), 'Bearer');
  t.equal(schemeOf({ API_KEY_SCHEME: 'Token' }), 'Token');
  t.equal(schemeOf({ API_KEY_HEADER: 'x-api-key' }), '');
});

t.test('it needs no secret, and is no provider that could be sent for', async (t) => {
  const env = { POSTBELL_SOURCES: 'erp=pulled', ERP_API_PATH: '/v1', ERP_API_URL: 'https://erp.example.com' };
  const { sources, waiting, problems } = parseSources(env);
  t.same(problems, []);
  t.notOk(sources.has('erp'));
  t.equal(waiting.get('erp')?.recover?.pull?.endpoint, 'GET /v1');
  t.notOk(Object.hasOwn(providers, 'pulled'));
  t.equal(findProvider('pulled')?.isOnlyPulled, true);
});
