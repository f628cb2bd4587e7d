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
  unknownProvider,
} from '../providers/index.ts';
import { variableOf } from '../providers/sources.ts';
import type { CommandIo, CommonOptions } from '../terminal/io.ts';
import { type Column, printJson, printLine, printTable } from '../terminal/print.ts';

/** Columns of the list without a terminal: most cells are sentences, and --json has them whole. */
const listWidth = 80;

/** @throws CommandError for an unknown name */
export async function runProviders(
  { out, err }: CommandIo,
  name: string | undefined,
  { json }: CommonOptions,
): Promise<number> {
  const chosen = name === undefined ? Object.values<Provider>(providers) : [requireProvider(name)];
  if (json) for (const provider of chosen) printJson(out, describe(provider));
  else if (name === undefined) {
    const width = (out.isTTY && out.columns) || listWidth;
    const columns: Column<Provider>[] = [
      { title: 'PROVIDER', value: (provider) => provider.name, isWhole: true },
      { title: 'SCHEME', value: (provider) => provider.scheme.summary },
      { title: 'HANDSHAKE', value: (provider) => describeHandshakes(provider).join(', ') || '-' },
      { title: 'SECRET IS AT', value: (provider) => provider.secret.where },
    ];
    printTable(out, chosen, columns, width);
    printLine(err, 'one of them, whole: postbell providers <name>; all, whole: postbell providers --json');
    printLine(err, 'an API with a list and without webhooks: postbell providers pulled');
  } else printOne(out, chosen[0]!);
  return 0;
}

export function requireProvider(name: string): Provider {
  const provider = findProvider(name);
  if (!provider) throw new CommandError(unknownProvider(name));
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
  const isShown = ([name]: [string, unknown]) => !provider.isOnlyPulled || pulledFields.includes(name);
  for (const [name, value] of fields.filter(isShown))
    if (value !== null) printLine(out, `${name.padEnd(12)} ${printable(value)}`);
  if (provider.isOnlyPulled)
    printLine(
      out,
      `${'variables'.padEnd(12)} ${provider.settings?.map((name) => `<SOURCE>_${name}`).join(', ')}`,
    );
}

/** A provider that sends no webhook has no URL, secret and answers. */
const pulledFields: readonly string[] = ['provider', 'scheme', 'event id', 'recover'];
