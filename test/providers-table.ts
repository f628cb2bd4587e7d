// The number of providers in README.md and their list in docs/providers.md, made from the registry.
// `node test/providers-table.ts` writes both; test/readme.test.ts checks that they are current.
import {
  describeProvider,
  type Provider,
  type ProviderGuide,
  providers,
  usualAnswer,
} from '../src/providers/index.ts';
import { variableOf } from '../src/providers/sources.ts';
import { type GeneratedRegion, writeRegion } from './support/generated-region.ts';

const all = Object.values<Provider>(providers).sort((a, b) => (a.name < b.name ? -1 : 1));

export function providerTables(): GeneratedRegion[] {
  const name = 'providers';
  return [
    { file: new URL('../README.md', import.meta.url), name, text: summary() },
    { file: new URL('../docs/providers.md', import.meta.url), name, text: details() },
    { file: new URL('../docs/recover.md', import.meta.url), name: 'recover', text: recoverable() },
  ];
}

/** One line: the list itself is in docs/providers.md. */
function summary(): string {
  return `**${all.length} providers** are known by name: [docs/providers.md](docs/providers.md).\n`;
}

/** A section for each provider whose API can be asked for what is missing. */
function recoverable(): string {
  const lines = all.flatMap(({ name, title, recover }) => {
    if (!recover) return [];
    const { redeliver, pull, wants, keptHours } = recover;
    const variable = variableOf(name);
    const rows: [string, string | undefined][] = [
      ['Sends again', redeliver && `\`${redeliver.endpoint}\``],
      ['Pull', pull && `\`${pull.endpoint}\``],
      ['Key', `\`${variable}_API_KEY\`: ${escaped(recover.key)}`],
      ['List', wants && `\`${variable}_API_${wants.setting}\`: ${escaped(wants.example)}`],
      ['Address', recover.url ?? `\`${variable}_API_URL\` is needed`],
      ['Kept', keptHours === undefined ? 'not documented' : `${keptHours / 24} days`],
      ['Lost', recover.lost],
    ];
    const told = rows.flatMap(([label, text]) => (text ? [`- **${label}**: ${text}`] : []));
    return [`### ${name}`, '', title, '', ...told, ''];
  });
  return lines.join('\n');
}

/** A row for each proof, with links to the providers' sections. */
function overview(): string[] {
  const groups = Map.groupBy(all, kindOf);
  const rows = kinds
    .filter((kind) => groups.has(kind))
    .map((kind) => {
      const members = groups.get(kind) ?? [];
      return [kind, members.map(({ name }) => `[\`${name}\`](#${name})`).join(' ')];
    });
  return [
    `All ${all.length} providers, by the proof of their requests:`,
    '',
    ...tableLines([['proof', 'providers'], ...rows]),
  ];
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

/** The overview, then a section for each provider: how to set it up, and the effect of a failure. */
function details(): string {
  return [...overview(), '', ...all.flatMap(section)].join('\n');
}

function section(provider: Provider): string[] {
  const guide = describeProvider(provider, `${variableOf(provider.name)}_WEBHOOK_SECRET`);
  const { bodyLimitBytes } = guide;
  const title = guide.docsUrl === null ? guide.title : `[${guide.title}](${guide.docsUrl})`;
  const signsUrl = guide.signsUrl
    ? ', and set `PUBLIC_URL` or `<SOURCE>_WEBHOOK_URL` to it, since it is signed'
    : '';
  const secret = `${guide.secretLabel}, ${guide.secretFormat}. ${guide.secretWhere}`;
  const rows: [string, string | null][] = [
    ['Paste', `\`${guide.url}\`${guide.urlWhere ? ` at ${escaped(guide.urlWhere)}` : ''}${signsUrl}`],
    ['Set', `\`${guide.secretVariable}\`: ${escaped(secret)}`],
    ['Pick', guide.events],
    ['Set-up', guide.handshakes.length > 0 ? `${guide.handshakes.join(', ')}: answered` : null],
    ['Answers', answersOf(guide)],
    ['Retries', escaped(guide.retries)],
    ['Again', guide.redelivery === null ? null : escaped(guide.redelivery)],
    ['Size', bodyLimitBytes === null ? null : `bodies of up to ${bodyLimitBytes / 1_048_576} MiB are read`],
    ['Event id', escaped(guide.eventId)],
  ];
  const lines = rows.filter(([, text]) => text !== null).map(([label, text]) => `- **${label}**: ${text}`);
  return [`### ${guide.name}`, '', `${title} · ${escaped(guide.scheme)}`, '', ...lines, ''];
}

/** Only answers that differ from the usual, and only effects that are known. */
function answersOf({ accepted, rejected, unavailable, fatal }: ProviderGuide): string | null {
  const known = [unavailable, rejected].filter(({ effect }) => effect !== 'unknown');
  const told = [...Map.groupBy(known, ({ meaning }) => meaning)].map(
    ([meaning, given]) => `after ${given.map(({ status }) => status).join(' and ')} ${meaning}`,
  );
  const parts = [
    ...(accepted === usualAnswer ? [] : [`\`${accepted}\``]),
    ...told,
    ...(fatal.length > 0 ? [`${fatal.join(' or ')} would end the webhook, and is never sent`] : []),
  ];
  return parts.length > 0 ? parts.join('; ') : null;
}

function escaped(text: string): string {
  return text.replaceAll('<', '&lt;');
}

function tableLines([head = [], ...rows]: readonly (readonly string[])[]): string[] {
  const line = (cells: readonly string[]) =>
    `| ${cells.map((cell) => cell.replaceAll('|', '\\|').replaceAll('<', '&lt;')).join(' | ')} |`;
  return [line(head), line(head.map(() => '---')), ...rows.map(line)];
}

if (import.meta.main) for (const region of providerTables()) writeRegion(region);
