// Prints dev's welcome: the URLs of the sources, and the commands that send an event and open the database.
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { findProvider } from '../providers/index.ts';
import type { OutputStream } from '../terminal/io.ts';
import { printLine } from '../terminal/print.ts';

export interface Welcome {
  webUrl: string;
  /** URL of the embedded Postgres; undefined if DATABASE_URL is set. */
  databaseUrl: string | undefined;
  sources: readonly string[];
  /** Password of the operators' page, or the place where the password stands; undefined: `web` has no such page. */
  opsPassword: string | undefined;
  /** Its code is watched. Undefined where events are only forwarded. */
  codeFolder: string | undefined;
  folder: string;
}

const packageFolder = fileURLToPath(new URL('../../', import.meta.url));

export function printWelcome(out: OutputStream, welcome: Welcome): void {
  const { webUrl, databaseUrl, sources, codeFolder, folder, opsPassword } = welcome;
  const isOwnRepository = path.resolve(folder) === path.resolve(packageFolder);
  const command = isOwnRepository ? 'npm run postbell --' : 'npx postbell';
  const width = Math.max(...sources.map((source) => source.length));
  const lines = [
    '',
    'Postbell is up. Ctrl-C ends it.',
    '',
    ...sources.map((source) => `  ${source.padEnd(width)}  ${webUrl}/api/webhooks/${source}`),
    '',
    codeFolder
      ? `  code:     ${codeFolder} (the worker is reloaded when code in this folder changes)`
      : '  handlers: none; every event is forwarded (FORWARD_URL)',
    ...(opsPassword ? [`  requests: ${webUrl}/ops/requests (password: ${opsPassword})`] : []),
    `  database: psql ${databaseUrl ? `'${databaseUrl}'` : '"$DATABASE_URL"'}`,
    '',
    'Send an event, from another terminal in this folder:',
    '',
    ...examplesFor(sources).map((example) => `  ${command} send ${example}`),
    `  ${command} status`,
    '',
  ];
  for (const line of lines) printLine(out, line);
}

/** Source and topic of two events, the best known providers first. */
function examplesFor(sources: readonly string[]): string[] {
  const known = ['stripe', 'shopify'].filter((name) => sources.includes(name));
  return [...new Set([...known, ...sources])]
    .flatMap((source) => {
      const topics = Object.keys(findProvider(source)?.samples ?? {}).filter((topic) => topic !== '*');
      return topics.length > 0 ? [`${source} ${topics[0]}`] : [];
    })
    .slice(0, 2);
}
