// Generates secrets for the sources that are on in dev by default, and stores them in `.postbell/dev.env`.
import path from 'node:path';
import type { Environment } from '../config.ts';
import { type Provider, providers } from '../providers/index.ts';
import { variableOf } from '../providers/sources.ts';
import { readEnvFile, secretsFile, writeEnvFile } from './dev-folder.ts';

/** Providers whose secret is one random text. */
const trialProviders: readonly Provider[] = [
  providers.stripe,
  providers.shopify,
  providers.github,
  providers.fedex,
  providers.slack,
  providers['standard-webhooks'],
];

/** @returns secrets for the trial sources without a secret in `env`; the same after every restart */
export function ensureSecrets(devFolder: string, env: Environment): Record<string, string> {
  const file = path.join(devFolder, secretsFile);
  const kept = readEnvFile(file);
  const secrets: Record<string, string> = {};
  for (const provider of trialProviders) {
    const variable = `${variableOf(provider.name)}_WEBHOOK_SECRET`;
    if (!env[variable]) secrets[variable] = kept[variable] || provider.secret.generate().secret;
  }
  writeEnvFile(file, 'random secrets for trials on this machine, kept so that they survive a restart', {
    ...kept,
    ...secrets,
  });
  return secrets;
}
