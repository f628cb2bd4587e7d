// The tables of providers in README.md and docs/providers.md, made from the registry. `node test/providers-table.ts`
// writes both; test/readme.test.ts checks that it was.
import { readFileSync, writeFileSync } from 'node:fs';
import { describeHandshakes, describeId, type Provider, providers } from '../src/providers/index.ts';

const region = /(<!-- providers -->\n)[\s\S]*?(<!-- \/providers -->)/;
const all = Object.values<Provider>(providers).sort((a, b) => (a.name < b.name ? -1 : 1));

export interface GeneratedTable {
  file: URL;
  text: string;
}

/** What must stand between the markers of each file. */
export function providerTables(): GeneratedTable[] {
  return [
    { file: new URL('../README.md', import.meta.url), text: overview() },
    { file: new URL('../docs/providers.md', import.meta.url), text: details() },
  ];
}

export function regionOf(file: URL): string | undefined {
  return region.exec(readFileSync(file, 'utf8'))?.[0].split('\n').slice(1, -1).join('\n').concat('\n');
}

/** One row per way of proving a request: a row per provider would bury the rest of the README. */
function overview(): string {
  const groups = Map.groupBy(all, kindOf);
  const rows = kinds
    .filter((kind) => groups.has(kind))
    .map((kind) => {
      const members = groups.get(kind) ?? [];
      return [kind, members.map(({ name }) => `\`${name}\``).join(' ')];
    });
  return [
    '<details>',
    `<summary>All ${all.length} providers, by what proves their requests</summary>`,
    '',
    ...tableLines([['proof', 'providers'], ...rows]),
    '',
    '</details>',
    '',
  ].join('\n');
}

const kinds = [
  'HMAC of body and time',
  'HMAC of the body',
  'HMAC of the URL, and the body',
  'HMAC of a part of the body',
  'HMAC, or a static credential',
  'public-key signature',
  'signed token (JWT)',
  'hash with the secret inside',
  'static credential',
  'described by variables',
] as const;

function kindOf(provider: Provider): (typeof kinds)[number] {
  const { scheme } = provider;
  const { summary } = scheme;
  if (provider.configure) return 'described by variables';
  if (/JW[ST]|ES512|RS256/.test(summary)) return 'signed token (JWT)';
  if (/^(Ed25519|ECDSA|RSA)|certificate/.test(summary)) return 'public-key signature';
  if (summary.startsWith('plain ')) return 'hash with the secret inside';
  if (!summary.includes('HMAC')) return 'static credential';
  if (!scheme.signsBody)
    return /static|basic auth/.test(summary) ? 'HMAC, or a static credential' : 'HMAC of a part of the body';
  if (scheme.signsUrl) return 'HMAC of the URL, and the body';
  return scheme.freshness ? 'HMAC of body and time' : 'HMAC of the body';
}

function details(): string {
  const rows = all.map((provider) => {
    const { name, title, docsUrl, scheme, secret } = provider;
    return [
      `\`${name}\``,
      docsUrl === undefined ? title : `[${title}](${docsUrl})`,
      scheme.summary,
      describeHandshakes(provider).join(', ') || '-',
      describeId(provider),
      `${secret.label}: ${secret.format}`,
      secret.where,
    ];
  });
  const head = [
    'provider',
    'who',
    'scheme and header',
    'handshake',
    'event id',
    'secret',
    'where it is found',
  ];
  return `${tableLines([head, ...rows]).join('\n')}\n`;
}

function tableLines([head = [], ...rows]: readonly (readonly string[])[]): string[] {
  const line = (cells: readonly string[]) =>
    `| ${cells.map((cell) => cell.replaceAll('|', '\\|').replaceAll('<', '&lt;')).join(' | ')} |`;
  return [line(head), line(head.map(() => '---')), ...rows.map(line)];
}

if (import.meta.main)
  for (const { file, text } of providerTables()) {
    const before = readFileSync(file, 'utf8');
    writeFileSync(
      file,
      before.replace(region, (_, start: string, end: string) => start + text + end),
    );
  }
