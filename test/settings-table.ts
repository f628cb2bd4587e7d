// The table of settings in docs/settings.md, made from the comments and defaults of src/config.ts. `node test/settings-table.ts`
// writes it; test/readme.test.ts checks that it is current.
import { readFileSync, writeFileSync } from 'node:fs';
import { parseConfig } from '../src/config.ts';

const page = new URL('../docs/settings.md', import.meta.url);
const region = /(<!-- settings -->\n)[\s\S]*?(<!-- \/settings -->)/;

/** Settings that the schema does not list, because their names depend on the sources. */
const ofSources: readonly (readonly [string, string, string])[] = [
  [
    '`<SOURCE>_WEBHOOK_SECRET`',
    '',
    'Turns the source on. Comma-separated for rotation, newest first; a public key where the scheme has one.',
  ],
  ['`POSTBELL_SOURCES`', '', 'Further sources, `name=provider`, comma-separated.'],
  ['`<SOURCE>_VERIFY_TOKEN`', '', "The token that Meta's kind of handshake must contain."],
  ['`PUBLIC_URL`', '', 'The public address of `web`, for schemes that sign the URL.'],
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
];

export function settingsTable(): string {
  const source = readFileSync(new URL('../src/config.ts', import.meta.url), 'utf8');
  const { config } = parseConfig({});
  const rows = [...source.matchAll(/^ {2}\/\*\* (.+?) \*\/\n {2}([A-Z_]+): /gm)].map(([, meaning, name]) => {
    const fallback = config?.[name as keyof typeof config];
    return [`\`${name}\``, fallback === undefined ? '' : `\`${fallback}\``, meaning!] as const;
  });
  return [['setting', 'default', 'meaning'], ['---', '---', '---'], ...rows, ...ofSources]
    .map((cells) => `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |\n`)
    .join('');
}

export function writtenSettingsTable(): string {
  return region.exec(readFileSync(page, 'utf8'))?.[0].split('\n').slice(1, -1).join('\n').concat('\n') ?? '';
}

if (import.meta.main) {
  const text = readFileSync(page, 'utf8');
  writeFileSync(
    page,
    text.replace(region, (_, start: string, end: string) => `${start}${settingsTable()}${end}`),
  );
}
