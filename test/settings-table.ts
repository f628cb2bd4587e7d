// The table of settings in docs/settings.md, made from the comments and defaults of src/config.ts. `node test/settings-table.ts`
// writes it; test/readme.test.ts checks that it is current.
import { readFileSync } from 'node:fs';
import { parseConfig } from '../src/config.ts';
import { type GeneratedRegion, writeRegion } from './support/generated-region.ts';

/** Settings that the schema does not list, because their names depend on the sources. */
const ofSources: readonly (readonly [string, string, string])[] = [
  [
    '`<SOURCE>_WEBHOOK_SECRET`',
    '',
    'Turns the source on. Comma-separated for rotation, newest first; a public key where the scheme has one.',
  ],
  ['`POSTBELL_SOURCES`', '', 'Further sources, `name=provider`, comma-separated.'],
  ['`<SOURCE>_VERIFY_TOKEN`', '', "The token that Meta's kind of handshake must contain."],
  [
    '`<SOURCE>_WEBHOOK_URL`',
    '',
    'The exact URL given to the provider, if it is not PUBLIC_URL plus the path.',
  ],
  [
    '`<SOURCE>_REPEATED_BODIES`',
    '',
    '`run` where equal bodies under different ids are normal and no signature covers the id: every id runs.',
  ],
  [
    '`<SOURCE>_QUARANTINE_MB`',
    '0',
    'Keeps rejected requests of the source, up to so many MB (1 to 1,000), to be promoted once the secret is right: docs/operations.md.',
  ],
  [
    '`<SOURCE>_REDACT`',
    '',
    'Paths of values that are never stored, comma-separated; `:hash` behind a path stores a keyed hash: docs/privacy.md.',
  ],
  ['`<SOURCE>_RETENTION_DAYS`', '', 'PAYLOAD_RETENTION_DAYS of this source alone; 0: for ever.'],
  ['`<SOURCE>_API_KEY`', '', "Key of the provider's API, for `postbell recover` and RECOVER_MINUTES."],
  ['`<SOURCE>_API_URL`', '', "Address of the provider's API, where it is not the usual one."],
  [
    '`<SOURCE>_API_PATH`, `<SOURCE>_API_TOPICS`, `<SOURCE>_API_ENDPOINT`',
    '',
    'What to list, where the API has to be told: docs/recover.md.',
  ],
  [
    '`<SOURCE>_API_ITEMS`, `<SOURCE>_API_ID`, …',
    '',
    'The list of a source that is only pulled (`POSTBELL_SOURCES=erp=pulled`): docs/recover.md.',
  ],
  ['`<SOURCE>_FORWARD_URL`', '', 'FORWARD_URL of this source alone.'],
  ['`<SOURCE>_FORWARD_SECRET`', '', 'FORWARD_SECRET of this source alone.'],
];

export function settingsTable(): GeneratedRegion {
  const source = readFileSync(new URL('../src/config.ts', import.meta.url), 'utf8');
  const { config } = parseConfig({});
  const rows = [...source.matchAll(/^ {2}\/\*\* (.+?) \*\/\n {2}([A-Z_]+): /gm)].map(([, meaning, name]) => {
    const fallback = config?.[name as keyof typeof config];
    return [`\`${name}\``, fallback === undefined ? '' : `\`${fallback}\``, meaning!] as const;
  });
  const text = [['setting', 'default', 'meaning'], ['---', '---', '---'], ...rows, ...ofSources]
    .map((cells) => `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |\n`)
    .join('');
  return { file: new URL('../docs/settings.md', import.meta.url), name: 'settings', text };
}

if (import.meta.main) writeRegion(settingsTable());
