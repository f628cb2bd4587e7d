// The static half of B17. It needs no server, so npm test has it.
import t from 'tap';
import { comparedSecrets, sourceFiles } from './source-files.ts';

t.test('one function compares secrets and digests', async (t) => {
  const files = sourceFiles();
  t.ok(files.length > 100, 'all of the source was read');
  const users = files.filter(({ text }) => text.includes('timingSafeEqual('));
  t.same(
    users.map(({ name }) => name),
    ['providers/equal.ts'],
    'the one place',
  );
  t.same(comparedSecrets(files), [], 'and nowhere by ===');
  const spoilt = {
    name: 'x.ts',
    text: 'if (digest === candidate) return; if (given !== source.secret) throw 1;',
  };
  t.equal(comparedSecrets([spoilt]).length, 2, 'which would be seen');
  const buffers = files.filter(({ text }) =>
    /(digest|signature|secret|mac)\w*\.(equals|compare)\(/i.test(text),
  );
  t.same(
    buffers.map(({ name }) => name),
    [],
    'nor as buffers',
  );
});
