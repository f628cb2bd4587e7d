// `postbell keys <provider>`: a fresh, well-formed secret for tests and development.
import { writeFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { CommandError } from '../errors.ts';
import { sourceNamePattern, variableOf } from '../providers/sources.ts';
import type { CommandIo, CommonOptions } from '../terminal/io.ts';
import { printJson, printLine } from '../terminal/print.ts';
import { requireProvider } from './providers.ts';

export interface KeysOptions extends CommonOptions {
  /** Name of the source; default: the provider's name. */
  source?: string;
  /** File for the private key of a key pair. */
  privateKey?: string;
}

/** Prints lines for a `.env` file. */
export async function runKeys(io: CommandIo, providerName: string, options: KeysOptions): Promise<number> {
  const provider = requireProvider(providerName);
  const { secret, privateKey = null } = provider.secret.generate();
  const source = options.source ?? provider.name;
  if (!sourceNamePattern.test(source))
    throw new CommandError('--source takes 1 to 63 of a-z, 0-9 and -, not beginning with -, e.g. stripe-eu');
  const variable = `${variableOf(source)}_WEBHOOK_SECRET`;
  if (privateKey !== null && !options.json) savePrivateKey(io, privateKey, options.privateKey);
  if (options.json) {
    printJson(io.out, { provider: provider.name, source, variable, secret, privateKey });
    return 0;
  }
  printLine(io.out, `# For trials. In production: ${provider.secret.where}`);
  if (source !== provider.name) printLine(io.out, `POSTBELL_SOURCES=${source}=${provider.name}`);
  printLine(io.out, `${variable}=${/[\s#'"]/.test(secret) ? JSON.stringify(secret) : secret}`);
  return 0;
}

function savePrivateKey({ folder, err }: CommandIo, privateKey: string, path: string | undefined): void {
  if (path === undefined) {
    throw new CommandError(
      'this provider signs with a key pair: name a file for the private key, --private-key <file>',
    );
  }
  try {
    writeFileSync(resolve(folder, path), privateKey, { mode: 0o600, flag: 'wx' });
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw new CommandError(`${path} cannot be written (${code})`);
  }
  printLine(err, `private key written to ${path}; use it with: postbell send --private-key ${path}`);
}
