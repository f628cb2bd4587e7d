// `postbell providers`: all providers, how each proves its requests, and where its secret is found.
import { CommandError } from '../errors.ts';
import { printable } from '../printable.ts';
import {
  describeHandshakes,
  describeId,
  findProvider,
  type Provider,
  providers,
} from '../providers/index.ts';
import { variableOf } from '../sources.ts';
import type { CommandIo, CommonOptions } from './io.ts';
import { printJson, printLine, printTable } from './print.ts';

/** @throws CommandError for a name that is none */
export async function runProviders(
  { out }: CommandIo,
  name: string | undefined,
  { json }: CommonOptions,
): Promise<number> {
  const chosen = name === undefined ? Object.values<Provider>(providers) : [findOrRefuse(name)];
  if (json) for (const provider of chosen) printJson(out, describe(provider));
  else if (name === undefined) {
    printTable(out, chosen, [
      { title: 'PROVIDER', value: (provider) => provider.name },
      { title: 'SCHEME', value: (provider) => provider.scheme.summary },
      { title: 'HANDSHAKE', value: (provider) => describeHandshakes(provider).join(', ') || '-' },
      { title: 'SECRET', value: (provider) => `${provider.secret.label}: ${provider.secret.format}` },
      { title: 'WHERE', value: (provider) => provider.secret.where },
    ]);
  } else printOne(out, chosen[0]!);
  return 0;
}

export function findOrRefuse(name: string): Provider {
  const provider = findProvider(name);
  if (!provider) throw new CommandError(`there is no provider ${name}; all of them: postbell providers`);
  return provider;
}

function describe(provider: Provider) {
  return {
    name: provider.name,
    title: provider.title,
    scheme: provider.scheme.summary,
    signsBody: provider.scheme.signsBody,
    signsUrl: provider.scheme.signsUrl,
    handshakes: describeHandshakes(provider),
    secretVariable: `${variableOf(provider.name)}_WEBHOOK_SECRET`,
    secretLabel: provider.secret.label,
    secretFormat: provider.secret.format,
    secretWhere: provider.secret.where,
    eventId: describeId(provider),
    idIsSigned: provider.idIsSigned,
    retries: provider.retries,
    sampleTopics: sampleTopics(provider),
    docsUrl: provider.docsUrl ?? null,
  };
}

function printOne(out: CommandIo['out'], provider: Provider): void {
  const shown = describe(provider);
  const fields: [string, string][] = [
    ['provider', `${shown.name} (${shown.title})`],
    ['scheme', shown.scheme],
    ['signs URL', shown.signsUrl ? 'yes: set PUBLIC_URL or <SOURCE>_WEBHOOK_URL' : 'no'],
    ['handshake', shown.handshakes.join(', ') || 'none'],
    ['event id', shown.eventId],
    ['variable', shown.secretVariable],
    ['secret', `${shown.secretLabel}: ${shown.secretFormat}`],
    ['where', shown.secretWhere],
    ['retries', shown.retries],
    ['samples', shown.sampleTopics.join(', ')],
    ['docs', shown.docsUrl ?? '-'],
  ];
  for (const [name, value] of fields) printLine(out, `${name.padEnd(10)} ${printable(value)}`);
}

function sampleTopics({ samples }: Provider): string[] {
  return Object.keys(samples).map((topic) => (topic === '*' ? 'any other' : topic));
}
