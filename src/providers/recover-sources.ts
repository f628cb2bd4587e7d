// Reads from the environment the sources that can be recovered: those with `<SOURCE>_API_KEY`.
import type { Provider, Source } from './provider.ts';
import type { RecoverSpec } from './recover.ts';
import { readRedaction } from './redaction-settings.ts';
import { findProvider } from './registry.ts';
import { redactSuffix, variableOf } from './sources.ts';

type Environment = Readonly<Record<string, string | undefined>>;

/** A source whose provider's API can be asked. */
export interface RecoverSource {
  /** Without secrets where the source has none: then its webhooks are not accepted, and events are only pulled. */
  source: Source;
  /** True where the source has a secret: its webhooks are accepted. */
  isOn: boolean;
  spec: RecoverSpec;
  /** Never to be stored, logged or printed. */
  key: string;
  /** Without a slash at its end. */
  url: string;
  /** As `PageRequest.wanted`. */
  wanted: string;
}

export interface ParsedRecovers {
  ready: ReadonlyMap<string, RecoverSource>;
  /** By source: variables that are missing or wrong, each with the remedy, never with the value. */
  problems: ReadonlyMap<string, readonly string[]>;
}

/**
 * The sources with a key. The key of anything else is left alone: a team has API keys for its own use.
 * @param sources, waiting as in `parseSources`
 */
export function parseRecovers(
  env: Environment,
  { sources, waiting }: { sources: ReadonlyMap<string, Source>; waiting: ReadonlyMap<string, Provider> },
): ParsedRecovers {
  const ready = new Map<string, RecoverSource>();
  const problems = new Map<string, readonly string[]>();
  const all = [
    ...[...sources.values()].map((source) => ({ source, isOn: true })),
    ...[...waiting].flatMap(([name, provider]) => withoutSecrets(env, name, provider)),
  ];
  for (const { source, isOn } of all) {
    const { recover: spec } = source.provider;
    const variable = (end: string) => `${variableOf(source.name)}_API_${end}`;
    const key = env[variable('KEY')]?.trim() ?? '';
    const { isOnlyPulled } = source.provider;
    if (!spec || (key === '' && !isOnlyPulled)) continue;
    const url = (env[variable('URL')]?.trim() || spec.url)?.replace(/\/+$/, '');
    const wanted = env[variable(spec.wants?.setting ?? 'PATH')]?.replaceAll(/\s+|^\s*\/+|\/+\s*$/g, '') ?? '';
    const found = [
      ...keyProblems(key, variable('KEY'), spec),
      ...urlProblems(url, variable('URL'), source.provider),
      ...(isOn || !spec.wants?.onlyToSendAgain
        ? wantedProblems(wanted, variable(spec.wants?.setting ?? 'PATH'), spec)
        : []),
      ...(isOn || spec.pull
        ? []
        : [
            `${variableOf(source.name)}_WEBHOOK_SECRET is missing; ${source.provider.title} sends again, and the deliveries need it`,
          ]),
    ];
    if (found.length > 0) problems.set(source.name, found);
    // Its variables are wrong, as `parseSources` says.
    else if (isOnlyPulled && source.provider === findProvider(source.provider.name)) continue;
    else ready.set(source.name, { source, isOn, spec, key, url: url!, wanted });
  }
  return { ready, problems };
}

/** None where values could not be removed as they should be: `parseSources` says so. */
function withoutSecrets(env: Environment, name: string, provider: Provider) {
  const { redaction, problems } = readRedaction(env, variableOf(name) + redactSuffix, provider);
  if (problems.length > 0) return [];
  const source: Source = { name, provider, secrets: [], ...(redaction ? { redaction } : {}) };
  return [{ source, isOn: false }];
}

/** Characters that a header cannot carry would make Node's error quote the key. */
function keyProblems(key: string, variable: string, spec: RecoverSpec): string[] {
  if (key === '') return [`${variable} is missing; set it to the ${spec.key}`];
  return /^[\x21-\x7e]+$/.test(key)
    ? []
    : [`${variable} must hold no blank and only ASCII; copy the key again`];
}

function urlProblems(url: string | undefined, variable: string, { title, isOnlyPulled }: Provider): string[] {
  if (url === undefined) {
    const what = isOnlyPulled
      ? "the API's address, e.g. https://erp.example.com"
      : `the address of your account's API at ${title}`;
    return [`${variable} is missing; set ${what}`];
  }
  const parsed = URL.canParse(url) ? new URL(url) : undefined;
  const isPlain = parsed && `${parsed.search}${parsed.hash}${parsed.username}${parsed.password}` === '';
  if (!isPlain)
    return [
      `${variable} must be the API's address without user, query or fragment, e.g. https://api.stripe.com`,
    ];
  const isLoopback = /^(localhost|127\.\d+\.\d+\.\d+|\[::1\])$/.test(parsed.hostname);
  if (parsed.protocol === 'https:' || (parsed.protocol === 'http:' && isLoopback)) return [];
  return [`${variable} must begin with https:// (http:// only for this machine): the key would be readable`];
}

function wantedProblems(wanted: string, variable: string, { wants }: RecoverSpec): string[] {
  if (!wants || wants.pattern.test(wanted)) return [];
  return [`${variable} ${wanted === '' ? 'is missing' : 'is wrong'}; set it to ${wants.example}`];
}
