// The handlers in docs/orms.md, which `npm run test:orms` runs. `node test/orms/guide.ts` writes them into the page.
import { readFileSync } from 'node:fs';
import { type GeneratedRegion, writeRegion } from '../support/generated-region.ts';

export function guideRegions(): GeneratedRegion[] {
  return ['drizzle', 'kysely', 'knex'].map((name) => {
    const code = readFileSync(new URL(`guide/${name}.ts`, import.meta.url), 'utf8');
    const text = `\`\`\`ts\n${code.replace("'../../../src/index.ts'", "'postbell'")}\`\`\`\n`;
    return { file: new URL('../../docs/orms.md', import.meta.url), name, text };
  });
}

if (import.meta.main) for (const region of guideRegions()) writeRegion(region);
