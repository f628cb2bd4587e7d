// `postbell keys <provider>`: a fresh, well-formed secret for tests and development.
import { writeFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { CommandError } from '../errors.ts';
import { variableOf } from '../providers/sources.ts';
import type { CommandIo, CommonOptions } from '../terminal/io.ts';
import { printJson, printLine } from '../terminal/print.ts';
import { findOrRefuse } from './providers.ts';

export interface KeysOptions extends CommonOptions {
  /** The source that it is for; default: the provider's own. */
  source?: string;
  /** File for the private half of a key pair. */
  privateKey?: string;
}

/** Prints lines for a `.env` file. */
export async function runKeys(io: CommandIo, providerName: string, options: KeysOptions): Promise<number> {
  const provider = findOrRefuse(providerName);
  const { secret, privateKey = null } = provider.secret.generate();
  const source = options.source ?? provider.name;
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
    throw new CommandError('it signs with a key pair: say where the private half goes, --private-key <file>');
  }
  try {
    writeFileSync(resolve(folder, path), privateKey, { mode: 0o600, flag: 'wx' });
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw new CommandError(`${path} cannot be written (${code})`);
  }
  printLine(err, `private half written to ${path}; use it with: postbell send --private-key ${path}`);
}
