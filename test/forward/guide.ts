// The app in docs/forwarding.md, which python-app.slow.ts runs. `node test/forward/guide.ts` writes it into the page.
import { readFileSync } from 'node:fs';
import { type GeneratedRegion, writeRegion } from '../support/generated-region.ts';

export function pythonRegion(): GeneratedRegion {
  const code = readFileSync(new URL('app.py', import.meta.url), 'utf8');
  const text = `\`\`\`python\n${code}\`\`\`\n`;
  return { file: new URL('../../docs/forwarding.md', import.meta.url), name: 'python', text };
}

if (import.meta.main) writeRegion(pythonRegion());
