// `postbell providers`: lists all providers, how each proves its requests, and where to find its secret.
import { CommandError } from '../errors.ts';
import { printable } from '../printable.ts';
import {
  describeHandshakes,
  describeProvider,
  findProvider,
  type Provider,
  type ProviderGuide,
  providers,
} from '../providers/index.ts';
import { variableOf } from '../providers/sources.ts';
import type { CommandIo, CommonOptions } from '../terminal/io.ts';
import { printJson, printLine, printTable } from '../terminal/print.ts';

/** @throws CommandError for an unknown name */
export async function runProviders(
  { out }: CommandIo,
  name: string | undefined,
  { json }: CommonOptions,
): Promise<number> {
  const chosen = name === undefined ? Object.values<Provider>(providers) : [requireProvider(name)];
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

export function requireProvider(name: string): Provider {
  const provider = findProvider(name);
  if (!provider) throw new CommandError(`there is no provider ${name}; all of them: postbell providers`);
  return provider;
}

function describe(provider: Provider): ProviderGuide {
  return describeProvider(provider, `${variableOf(provider.name)}_WEBHOOK_SECRET`);
}

function printOne(out: CommandIo['out'], provider: Provider): void {
  const shown = describe(provider);
  const fields: [string, string | null][] = [
    ['provider', `${shown.name} (${shown.title})`],
    ['URL', shown.url],
    ['URL goes to', shown.urlWhere],
    ['signs URL', shown.signsUrl ? 'yes: set PUBLIC_URL or <SOURCE>_WEBHOOK_URL' : 'no'],
    ['variable', shown.secretVariable],
    ['secret', `${shown.secretLabel}: ${shown.secretFormat}`],
    ['secret is at', shown.secretWhere],
    ['events', shown.events],
    ['handshake', shown.handshakes.join(', ') || 'none'],
    ['scheme', shown.scheme],
    ['event id', shown.eventId],
    ['accepted', shown.accepted],
    ['rejected', `${shown.rejected.status}: ${shown.rejected.meaning}`],
    ['unavailable', `${shown.unavailable.status}: ${shown.unavailable.meaning}`],
    ['retries', shown.retries],
    ['redelivery', shown.redelivery],
    ['recover', shown.recover],
    ['bodies', shown.bodyLimitBytes === null ? null : `up to ${shown.bodyLimitBytes} bytes`],
    ['samples', shown.sampleTopics.join(', ')],
    ['docs', shown.docsUrl],
  ];
  for (const [name, value] of fields)
    if (value !== null) printLine(out, `${name.padEnd(12)} ${printable(value)}`);
}
