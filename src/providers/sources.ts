// Reads the sources from the environment: the active endpoints with their provider, secrets and URL.
import {
  didYouMean,
  findProvider,
  type Provider,
  providers,
  quarantineProblem,
  type Source,
  unknownProvider,
} from './index.ts';
import { readRedaction } from './redaction-settings.ts';
import { readRetentionDays } from './retention-settings.ts';

type Environment = Readonly<Record<string, string | undefined>>;

export const sourceNamePattern = /^[a-z0-9][a-z0-9-]{0,62}$/;
const secretSuffix = '_WEBHOOK_SECRET';
const quarantineSuffix = '_QUARANTINE_MB';
const maxQuarantineMb = 1_000;
/** Ends the name of the variable with the paths that are removed. */
export const redactSuffix = '_REDACT';
const retentionSuffix = '_RETENTION_DAYS';
/** Settings of all sources. */
const generalSettings: ReadonlySet<string> = new Set(['PAYLOAD_RETENTION_DAYS', 'RAW_BODY_RETENTION_DAYS']);
/** Shorter names are near to too many others. */
const minComparedChars = 5;

export interface ParsedSources {
  sources: Map<string, Source>;
  /** Every other known source name: its source has no secret yet, or is only pulled. */
  waiting: Map<string, Provider>;
  /** `<SOURCE>_RETENTION_DAYS` by source: days, 0 for ever. */
  retentionDays: Map<string, number>;
  problems: string[];
}

/**
 * The valid active sources, and all problems, each with its variable and the remedy. With any problem the process must
 * not start. A problem never holds a secret's value.
 * @param path of the webhooks below PUBLIC_URL, without the source's name
 */
export function parseSources(env: Environment, path = '/api/webhooks'): ParsedSources {
  const problems: string[] = [];
  const declared = declaredSources(env, problems);
  const publicUrl = readPublicUrl(env, problems);
  const sources = new Map<string, Source>();
  const waiting = new Map<string, Provider>();
  const retentionDays = new Map<string, number>();
  for (const [name, declaredProvider] of declared) {
    const variable = variableOf(name) + secretSuffix;
    const text = env[variable];
    const days = readRetentionDays(env, variableOf(name) + retentionSuffix, problems);
    if (days !== undefined) retentionDays.set(name, days);
    const settings = readSettings(env, name, declaredProvider);
    if (declaredProvider.isOnlyPulled) {
      if (text !== undefined)
        problems.push(`${variable} belongs to a source that is only pulled and has no webhooks; remove it`);
      const provider = configured(name, declaredProvider, settings, problems);
      problems.push(...readRedaction(env, variableOf(name) + redactSuffix, provider).problems);
      waiting.set(name, provider);
      continue;
    }
    if (text === undefined) {
      // Its events may be pulled.
      problems.push(...readRedaction(env, variableOf(name) + redactSuffix, declaredProvider).problems);
      if (Object.keys(settings).length > 0)
        problems.push(`${variable} is missing; the source ${name} has settings but no secret: set it`);
      waiting.set(name, declaredProvider);
      continue;
    }
    const problemsBefore = problems.length;
    const provider = configured(name, declaredProvider, settings, problems);
    const secrets = readSecrets(text, variable, provider, problems);
    const webhookUrl = readWebhookUrl(env, name, publicUrl && publicUrl + path, provider, problems);
    const verifyToken = env[`${variableOf(name)}_VERIFY_TOKEN`]?.trim();
    const runsRepeatedBodies = readRepeatedBodies(env, name, problems);
    const quarantineMb = readQuarantineMb(env, name, provider, problems);
    const { redaction, problems: ofRedaction } = readRedaction(
      env,
      variableOf(name) + redactSuffix,
      provider,
    );
    problems.push(...ofRedaction);
    if (problems.length > problemsBefore) continue;
    sources.set(name, {
      name,
      provider,
      secrets,
      ...(verifyToken ? { verifyToken } : {}),
      ...(webhookUrl === undefined ? {} : { webhookUrl }),
      ...(runsRepeatedBodies ? { runsRepeatedBodies } : {}),
      ...(quarantineMb === undefined ? {} : { quarantineMb }),
      ...(redaction ? { redaction } : {}),
    });
  }
  problems.push(
    ...straySecrets(env, declared),
    ...strayQuarantines(env, declared),
    ...strayOfSources(env, declared),
  );
  return { sources, waiting, retentionDays, problems };
}

/** `stripe-eu` → `STRIPE_EU`, the prefix of the source's variables. */
export function variableOf(sourceName: string): string {
  return sourceName.toUpperCase().replaceAll('-', '_');
}

/** Every provider under its own name, and the sources of POSTBELL_SOURCES. */
function declaredSources(env: Environment, problems: string[]): Map<string, Provider> {
  const declared = new Map<string, Provider>();
  for (const provider of Object.values<Provider>(providers))
    if (!provider.configure) declared.set(provider.name, provider);
  const named = new Set<string>();
  for (const entry of (env.POSTBELL_SOURCES ?? '').split(',')) {
    if (entry.trim() === '') continue;
    const [name = '', providerName = '', ...rest] = entry.split('=').map((part) => part.trim());
    const provider = findProvider(providerName);
    if (rest.length > 0 || providerName === '')
      problems.push(`POSTBELL_SOURCES: "${entry.trim()}" must be <source>=<provider>, e.g. stripe-eu=stripe`);
    else if (!sourceNamePattern.test(name))
      problems.push(
        `POSTBELL_SOURCES: "${name}" is no source name; use 1 to 63 of a-z, 0-9 and -, not beginning with -`,
      );
    else if (!provider) problems.push(`POSTBELL_SOURCES: ${unknownProvider(providerName)}`);
    else if (named.has(name)) problems.push(`POSTBELL_SOURCES: ${name} is declared twice; remove one`);
    else if (findProvider(name) && findProvider(name) !== provider)
      problems.push(
        `POSTBELL_SOURCES: ${name} is itself a provider; name the ${providerName} source otherwise`,
      );
    else declared.set(name, provider);
    named.add(name);
  }
  return declared;
}

/** Supabase writes `v1,whsec_…`: the comma after `v1` does not separate secrets, since `v1` is too short for a secret. */
const secretsSeparator = /(?<!(?:^|,)\s*v1),/;

function readSecrets(text: string, variable: string, provider: Provider, problems: string[]): string[] {
  const secrets = text.split(secretsSeparator).map((secret) => secret.trim());
  const place = (index: number) => (secrets.length === 1 ? variable : `${variable}, item ${index + 1},`);
  for (const [index, secret] of secrets.entries()) {
    const problem = provider.secret.check(secret);
    if (problem === undefined) continue;
    const hint =
      secrets.length === 1
        ? ''
        : ' (commas separate several secrets, newest first; a secret must not hold a comma)';
    problems.push(`${place(index)} ${problem}${hint}`);
  }
  return secrets;
}

function readSettings(env: Environment, name: string, provider: Provider): Record<string, string> {
  const settings: Record<string, string> = {};
  for (const setting of provider.settings ?? []) {
    const value = env[`${variableOf(name)}_${setting}`]?.trim();
    if (value) settings[setting] = value;
  }
  return settings;
}

function configured(
  name: string,
  provider: Provider,
  settings: Record<string, string>,
  problems: string[],
): Provider {
  const made = provider.configure?.(settings) ?? { provider };
  if ('provider' in made) return made.provider;
  for (const { name: setting, problem } of made.problems)
    problems.push(`${variableOf(name)}_${setting} ${problem}`);
  return provider;
}

function readPublicUrl(env: Environment, problems: string[]): string | undefined {
  const text = env.PUBLIC_URL?.trim();
  if (!text) return undefined;
  const url = parseHttpUrl(text);
  if (url && url.search === '' && url.hash === '') return text.replace(/\/+$/, '');
  problems.push(
    'PUBLIC_URL must be the public address that the providers call, e.g. https://shop.example.com',
  );
  return undefined;
}

/** Kept exactly as written: the signature covers these characters, and a URL parser would change some. */
function readWebhookUrl(
  env: Environment,
  name: string,
  baseUrl: string | undefined,
  provider: Provider,
  problems: string[],
): string | undefined {
  const variable = `${variableOf(name)}_WEBHOOK_URL`;
  const text = env[variable]?.trim();
  if (text) {
    if (parseHttpUrl(text)) return text;
    problems.push(`${variable} must be the exact URL entered at ${provider.title}, beginning with https://`);
    return undefined;
  }
  if (baseUrl !== undefined) return `${baseUrl}/${name}`;
  if (provider.scheme.signsUrl)
    problems.push(
      `${variable} is missing; ${provider.title} signs the URL: set it, or PUBLIC_URL for all sources`,
    );
  return undefined;
}

function readRepeatedBodies(env: Environment, name: string, problems: string[]): boolean {
  const variable = `${variableOf(name)}_REPEATED_BODIES`;
  const text = env[variable]?.trim();
  if (text && text !== 'run')
    problems.push(`${variable} must be run, or unset: then a repeated body under another id is IGNORED`);
  return text === 'run';
}

function readQuarantineMb(
  env: Environment,
  name: string,
  provider: Provider,
  problems: string[],
): number | undefined {
  const variable = variableOf(name) + quarantineSuffix;
  const text = env[variable]?.trim();
  if (!text || text === '0') return undefined;
  const value = /^\d{1,4}$/.test(text) ? Number(text) : Number.NaN;
  const problem = quarantineProblem(provider);
  if (!(value <= maxQuarantineMb))
    problems.push(
      `${variable} must be a whole number of MB, 1 to ${maxQuarantineMb}; 0 or unset: nothing is kept`,
    );
  else if (problem !== undefined) problems.push(`${variable} cannot be used: ${problem}; remove it`);
  else return value;
  return undefined;
}

function parseHttpUrl(text: string): URL | undefined {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  return url?.protocol === 'https:' || url?.protocol === 'http:' ? url : undefined;
}

/** A mistyped name would keep nothing, without any message. */
function strayQuarantines(env: Environment, declared: Map<string, Provider>): string[] {
  const known = new Set([...declared.keys()].map((name) => variableOf(name) + quarantineSuffix));
  return Object.keys(env)
    .filter((variable) => variable.endsWith(quarantineSuffix) && env[variable] && !known.has(variable))
    .map((variable) => `${variable} belongs to no source; declare the source with POSTBELL_SOURCES`);
}

/** Reports secrets that belong to no source: otherwise an endpoint would stay off without any message. */
function straySecrets(env: Environment, declared: Map<string, Provider>): string[] {
  const known = new Set([...declared.keys()].map(variableOf));
  const problems: string[] = [];
  for (const variable of Object.keys(env)) {
    if (!variable.endsWith(secretSuffix) || env[variable] === undefined) continue;
    const prefix = variable.slice(0, -secretSuffix.length);
    if (known.has(prefix)) continue;
    const name = prefix.toLowerCase().replaceAll('_', '-');
    const parent = [...declared.keys()].find((source) => name.startsWith(`${source}-`));
    const remedy = parent
      ? `; declare it with POSTBELL_SOURCES=${name}=${parent}`
      : didYouMean(name, [...declared.keys()]) || `; declare it with POSTBELL_SOURCES=${name}=<provider>`;
    problems.push(`${variable} belongs to no source${remedy}`);
  }
  return problems;
}

/**
 * Variables whose effect nobody would miss at once: a value that is stored although somebody wanted it removed, or for
 * longer than wanted. Only names near to a source's are reported: a team has variables of its own.
 */
function strayOfSources(env: Environment, declared: Map<string, Provider>): string[] {
  const names = [...declared.keys()];
  const known = new Set(names.map(variableOf));
  const problems: string[] = [];
  for (const variable of Object.keys(env)) {
    const suffix = [redactSuffix, retentionSuffix].find((end) => variable.endsWith(end));
    if (suffix === undefined || !env[variable] || generalSettings.has(variable)) continue;
    const prefix = variable.slice(0, -suffix.length);
    if (known.has(prefix) || prefix.length < minComparedChars) continue;
    const hint = didYouMean(prefix, [...known]);
    if (hint) problems.push(`${variable} belongs to no source${hint.replace('?', `${suffix}?`)}`);
  }
  return problems;
}
