// Joins the parts of the configuration, so that all problems are reported together.
import { type Config, type Environment, parseConfig } from '../config.ts';
import { ConfigError } from '../errors.ts';
import {
  type ParsedRecovers,
  type Provider,
  parseRecovers,
  type RecoverSource,
  type Source,
} from '../providers/index.ts';
import { parseSources } from '../providers/sources.ts';
import { databaseUrlProblem } from './connection.ts';

export { acceptsSelfSigned } from './connection.ts';

export interface Settings {
  config: Config;
  sources: ReadonlyMap<string, Source>;
  /** As in `parseSources`. */
  waiting: ReadonlyMap<string, Provider>;
  /** As in `parseSources`. */
  retentionDays: ReadonlyMap<string, number>;
  /** Its problems matter only to those who use the keys. */
  recovers: ParsedRecovers;
}

export interface ConnectedSettings extends Settings {
  databaseUrl: string;
}

/** @param path as in `parseSources`. @throws ConfigError with every problem of every part */
export function loadSettings(env: Environment, path?: string): Settings {
  const { config, problems } = parseConfig(env);
  const { sources, waiting, retentionDays, problems: sourceProblems } = parseSources(env, path);
  const recovers = parseRecovers(env, { sources, waiting });
  // Without the interval a team's own API key must not keep a process from starting; the key of a source that is only
  // pulled is nobody else's.
  const recoverProblems = [...recovers.problems]
    .filter(([name]) => config?.RECOVER_MINUTES || waiting.get(name)?.isOnlyPulled)
    .flatMap(([, found]) => found);
  const all = [...problems, ...sourceProblems, ...recoverProblems];
  if (!config || all.length) throw new ConfigError(all);
  return { config, sources, waiting, retentionDays, recovers };
}

/** What RECOVER_MINUTES asks for. */
export interface RecoverSchedule {
  /** The sources that workers recover by themselves. */
  sources: readonly RecoverSource[];
  everyMs: number;
}

/** Without a source with RECOVER_MINUTES=0. */
export function recoverScheduleOf({
  config,
  recovers,
}: Pick<Settings, 'recovers'> & { config: Pick<Config, 'RECOVER_MINUTES'> }): RecoverSchedule {
  const everyMs = config.RECOVER_MINUTES * 60_000;
  return { sources: everyMs > 0 ? [...recovers.ready.values()] : [], everyMs };
}

/** For processes that need a database. */
export function loadConnectedSettings(env: Environment, path?: string): ConnectedSettings {
  const problems = databaseUrlProblem(env);
  try {
    const settings = loadSettings(env, path);
    if (problems.length === 0) return { ...settings, databaseUrl: env.DATABASE_URL as string };
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    problems.push(...error.problems);
  }
  throw new ConfigError(problems);
}

/** The names of all sources, on or not. */
export function knownSources({ sources, waiting }: Pick<Settings, 'sources' | 'waiting'>): string[] {
  return [...sources.keys(), ...waiting.keys()];
}
