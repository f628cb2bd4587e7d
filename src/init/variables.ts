// The environment variables of the chosen providers, for .env.example and the platforms' files.
import type { Provider } from '../providers/index.ts';
import { variableOf } from '../providers/sources.ts';

export interface Variable {
  name: string;
  /** For people: the place of its value. */
  meaning: string;
}

export function variablesOf(providers: readonly Provider[]): Variable[] {
  const secrets = providers.map(({ name, title, secret }) => ({
    name: `${variableOf(name)}_WEBHOOK_SECRET`,
    meaning: `${title}: ${secret.label} (${secret.format}), from ${secret.where}`,
  }));
  const signers = providers.filter(({ scheme }) => scheme.signsUrl).map(({ title }) => title);
  if (signers.length === 0) return secrets;
  const meaning = `The public address of \`postbell web\`, which ${signers.join(', ')} signs: https://…`;
  return [...secrets, { name: 'PUBLIC_URL', meaning }];
}

/** @returns `before`, with a block of the variables that it does not name */
export function extendEnvExample(before: string | undefined, variables: readonly Variable[]): string {
  const database = {
    name: 'DATABASE_URL',
    meaning: 'Postgres 15 to 18. Unset: `postbell dev` starts an embedded Postgres.',
  };
  const missing = [database, ...variables].filter(
    ({ name }) => !new RegExp(`^\\s*#?\\s*(export\\s+)?${name}=`, 'm').test(before ?? ''),
  );
  if (missing.length === 0 && before !== undefined) return before;
  const lines = missing.map(({ name, meaning }) => `# ${meaning}\n#${name}=\n`);
  const gap = before === undefined ? '' : `${before.trimEnd()}\n\n`;
  const title = '# Postbell. Copy into .env what you set. All settings: node_modules/postbell/.env.example\n';
  return `${gap}${title}${lines.join('')}`;
}
