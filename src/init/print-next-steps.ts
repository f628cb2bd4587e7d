// The end of `postbell init`: its files, the providers' settings, and the commands to a PROCESSED event.
import { printable } from '../printable.ts';
import { describeProvider, type Provider } from '../providers/index.ts';
import { variableOf } from '../providers/sources.ts';
import type { OutputStream } from '../terminal/io.ts';
import { printLine } from '../terminal/print.ts';
import type { PlannedFile } from './plan.ts';
import { handlersFolder, type Project } from './project.ts';

const verbs: Record<PlannedFile['action'], string> = {
  create: 'create',
  extend: 'extend',
  same: 'as is',
  keep: 'keep',
  skip: 'skip',
};

const remarks: Partial<Record<PlannedFile['action'], string>> = {
  keep: "yours; init's text: postbell init --dry-run --json",
  skip: "not in this folder; init's text: postbell init --dry-run --json",
};

export function printPlan(out: OutputStream, plan: readonly PlannedFile[]): void {
  for (const { path, action } of plan) {
    const remark = remarks[action];
    printLine(out, `  ${verbs[action].padEnd(8)} ${printable(path)}${remark ? `  (${remark})` : ''}`);
  }
}

/** For each provider: the URL to paste and its place, the events to select, the place of the secret. */
export function printProviders(out: OutputStream, providers: readonly Provider[], topic: string): void {
  for (const provider of providers) {
    const variable = `${variableOf(provider.name)}_WEBHOOK_SECRET`;
    const guide = describeProvider(provider, variable);
    const isFirst = provider === providers[0];
    const handled = `those that ${handlersFolder}/ handles${isFirst ? `, now ${topic}` : ''}`;
    const fields: [string, string | null][] = [
      ['URL', guide.url],
      ['paste it at', guide.urlWhere ?? guide.docsUrl],
      ['events', guide.events ?? handled],
      ['secret', `${variable}, from ${guide.secretWhere}`],
      ['first', provider.handover ? `npx postbell setup ${provider.name}: it sends its secret itself` : null],
    ];
    printLine(out, `\n${printable(guide.title)}`);
    for (const [name, value] of fields)
      if (value !== null) printLine(out, `  ${name.padEnd(12)} ${printable(value)}`);
  }
}

/** The three commands. A provider that signs with a key pair needs the private half to send. */
export function printCommands(
  out: OutputStream,
  { packageManager: { install, exec } }: Project,
  provider: Provider,
  topic: string,
): void {
  const { name } = provider;
  const keyFile = provider.secret.generate().privateKey === undefined ? undefined : `${name}.pem`;
  const makeKey = keyFile ? `${exec} postbell keys ${name} --private-key ${keyFile} >> .env && ` : '';
  const withKey = keyFile ? ` --private-key ${keyFile}` : '';
  const commands = [
    install,
    `${makeKey}${exec} postbell dev`,
    `${exec} postbell send ${name} ${quoted(topic)}${withKey}`,
  ];
  printLine(out, '\nThree commands to a PROCESSED event, the third in another terminal:\n');
  for (const command of commands) printLine(out, `  ${command}`);
  printLine(
    out,
    `\nThe second prints outcome=processed then, and \`${exec} postbell events\` lists the event.`,
  );
}

function quoted(topic: string): string {
  return /^[\w./:-]+$/.test(topic) ? topic : `'${topic}'`;
}
