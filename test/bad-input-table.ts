// The table in docs/bad-input.md, made from the rows of test/bad-input/. `node test/bad-input-table.ts` writes it;
// test/readme.test.ts checks that it is current.
import { rowsByFile } from './bad-input/all-rows.ts';
import { type BadInput, rowCount } from './bad-input/rows.ts';
import { type GeneratedRegion, writeRegion } from './support/generated-region.ts';

/** A row per bad input, in the order of the numbers. */
export function badInputTable(): GeneratedRegion {
  const rows = Object.entries(rowsByFile)
    .flatMap(([file, inputs]) => inputs.map((input) => ({ file, ...input })))
    .sort((a, b) => numberOf(a) - numberOf(b))
    .map(({ file, id, title, notApplicable }) => [
      id,
      title,
      notApplicable ? `not applicable: ${notApplicable}` : `[${file}.ts](../test/bad-input/${file}.ts)`,
    ]);
  if (rows.length !== rowCount) throw new Error(`${rows.length} rows instead of ${rowCount}`);
  const text = [['', 'bad input', 'test'], ['---', '---', '---'], ...rows]
    .map(
      (cells) =>
        `| ${cells.map((cell) => cell.replaceAll('|', '\\|').replaceAll('<', '&lt;')).join(' | ')} |\n`,
    )
    .join('');
  return { file: new URL('../docs/bad-input.md', import.meta.url), name: 'bad-input', text };
}

const numberOf = ({ id }: Pick<BadInput, 'id'>) => Number(id.slice(1));

if (import.meta.main) writeRegion(badInputTable());
