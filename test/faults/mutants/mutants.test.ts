// The mutants of the ledger are run by `npm run mutants`; here only that each still fits the source that it changes.
import t from 'tap';
import { mutants } from './mutants.ts';
import { copySource } from './source-copy.ts';

for (const { id, edits } of mutants) {
  t.test(`${id} still applies`, async (t) => {
    copySource(t, edits);
  });
}
