// Generates secrets for the sources that are on in dev by default, and stores them in `.postbell/dev.env`.
import { randomBytes } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import type { Environment } from '../config.ts';
import { type Provider, providers } from '../providers/index.ts';
import { variableOf } from '../providers/sources.ts';
import { readEnvFile, secretsFile, writeEnvFile } from './dev-folder.ts';

/** Where the project names none. */
const usualProviders: readonly Provider[] = [
  providers.stripe,
  providers.shopify,
  providers.github,
  providers.fedex,
  providers.slack,
  providers['standard-webhooks'],
];

/**
 * The trial sources: the providers that the project's `.env.example` names, else the usual ones.
 * @returns secrets for the trial sources without a secret in `env`, and a password of the operators' page; the same after
 * every restart
 */
export function ensureSecrets(devFolder: string, env: Environment): Record<string, string> {
  const named = namedProviders(path.join(path.dirname(devFolder), '.env.example'));
  const file = path.join(devFolder, secretsFile);
  const kept = readEnvFile(file);
  const secrets: Record<string, string> = {};
  for (const provider of named.length > 0 ? named : usualProviders) {
    const variable = `${variableOf(provider.name)}_WEBHOOK_SECRET`;
    if (!env[variable]) secrets[variable] = kept[variable] || provider.secret.generate().secret;
  }
  // The operators' page is there for all of this machine: without a password, every program and web page could ask it.
  if (!env.OPS_PASSWORD) secrets.OPS_PASSWORD = kept.OPS_PASSWORD || randomBytes(12).toString('hex');
  writeEnvFile(file, 'random secrets for trials on this machine, kept so that they survive a restart', {
    ...kept,
    ...secrets,
  });
  return secrets;
}

/** Without those that sign with a key pair: `postbell send` could not sign for them. */
function namedProviders(envExample: string): Provider[] {
  if (!existsSync(envExample)) return [];
  const text = readFileSync(envExample, 'utf8');
  return Object.values<Provider>(providers).filter(
    ({ name, secret, configure }) =>
      !configure &&
      new RegExp(`^\\s*#?\\s*${variableOf(name)}_WEBHOOK_SECRET=`, 'm').test(text) &&
      secret.generate().privateKey === undefined,
  );
}
