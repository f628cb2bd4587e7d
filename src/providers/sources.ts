// Reads the sources from the environment: the active endpoints with their provider, secrets and URL.
import { didYouMean, findProvider, type Provider, providers, type Source, unknownProvider } from './index.ts';

type Environment = Readonly<Record<string, string | undefined>>;

export const sourceNamePattern = /^[a-z0-9][a-z0-9-]{0,62}$/;
const secretSuffix = '_WEBHOOK_SECRET';

export interface ParsedSources {
  sources: Map<string, Source>;
  /** Every other known source name: its source has no secret yet, or is only pulled. */
  waiting: Map<string, Provider>;
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
  for (const [name, declaredProvider] of declared) {
    const variable = variableOf(name) + secretSuffix;
    const text = env[variable];
    const settings = readSettings(env, name, declaredProvider);
    if (declaredProvider.isOnlyPulled) {
      if (text !== undefined)
        problems.push(`${variable} belongs to a source that is only pulled and has no webhooks; remove it`);
      waiting.set(name, configured(name, declaredProvider, settings, problems));
      continue;
    }
    if (text === undefined) {
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
    if (problems.length > problemsBefore) continue;
    sources.set(name, {
      name,
      provider,
      secrets,
      ...(verifyToken ? { verifyToken } : {}),
      ...(webhookUrl === undefined ? {} : { webhookUrl }),
      ...(runsRepeatedBodies ? { runsRepeatedBodies } : {}),
    });
  }
  problems.push(...straySecrets(env, declared));
  return { sources, waiting, problems };
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

function parseHttpUrl(text: string): URL | undefined {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  return url?.protocol === 'https:' || url?.protocol === 'http:' ? url : undefined;
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
