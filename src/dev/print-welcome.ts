// Prints dev's welcome: the URLs of the sources, and the commands that send an event and open the database.
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import type { OutputStream } from '../terminal/io.ts';
import { printLine } from '../terminal/print.ts';

export interface Welcome {
  webUrl: string;
  /** URL of the embedded Postgres; undefined if DATABASE_URL is set. */
  databaseUrl: string | undefined;
  sources: readonly string[];
  /** Undefined where events are only forwarded. */
  handlersModule: string | undefined;
  folder: string;
}

const packageFolder = fileURLToPath(new URL('../../', import.meta.url));

export function printWelcome(out: OutputStream, welcome: Welcome): void {
  const { webUrl, databaseUrl, sources, handlersModule, folder } = welcome;
  const isOwnRepository = path.resolve(folder) === path.resolve(packageFolder);
  const command = isOwnRepository ? 'npm run postbell --' : 'npx postbell';
  const width = Math.max(...sources.map((source) => source.length));
  const lines = [
    '',
    'Postbell is up. Ctrl-C ends it.',
    '',
    ...sources.map((source) => `  ${source.padEnd(width)}  ${webUrl}/api/webhooks/${source}`),
    '',
    handlersModule
      ? `  handlers: ${path.dirname(handlersModule)} (reloaded when a file in this folder changes)`
      : '  handlers: none; every event is forwarded (FORWARD_URL)',
    `  database: psql ${databaseUrl ? `'${databaseUrl}'` : '"$DATABASE_URL"'}`,
    '',
    'Send an event, from another terminal in this folder:',
    '',
    `  ${command} send stripe payment_intent.succeeded`,
    `  ${command} send shopify orders/create`,
    `  ${command} status`,
    '',
  ];
  for (const line of lines) printLine(out, line);
}
