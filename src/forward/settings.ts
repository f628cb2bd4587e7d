// Forwards by environment alone: FORWARD_URL and FORWARD_SECRET, and the same per source.
import type { Environment } from '../config.ts';
import { ConfigError } from '../errors.ts';
import type { Handler } from '../handlers/handler.ts';
import { variableOf } from '../providers/sources.ts';
import { forwardHandler } from './forward-to.ts';
import { type Target, targetProblems } from './target.ts';

export interface Forwards {
  /** By source; they come before `fallback`. */
  targets: ReadonlyMap<string, Target>;
  /** For every other source; undefined: their events are not forwarded. */
  fallback: Target | undefined;
  problems: string[];
}

const urlName = 'FORWARD_URL';
const secretName = 'FORWARD_SECRET';

/** @param sourceNames all that are known, on or not: the worker needs no secret of a provider */
export function parseForwards(env: Environment, sourceNames: readonly string[]): Forwards {
  const problems = strayUrls(env, sourceNames);
  const targets = new Map<string, Target>();
  for (const source of sourceNames) {
    const own = `${variableOf(source)}_`;
    const isOwn = (name: string) => read(env, own + name) !== undefined;
    if (!isOwn(urlName) && !isOwn(secretName)) continue;
    const nameOf = (name: string) => (isOwn(name) ? own + name : name);
    const target = readTarget(env, { url: nameOf(urlName), secret: nameOf(secretName) }, problems);
    if (target) targets.set(source, target);
  }
  const fallback = readTarget(env, { url: urlName, secret: secretName }, problems);
  return { targets, fallback, problems: [...new Set(problems)] };
}

/** Undefined without a URL: a secret alone is no forward, the team's handlers may use it. */
function readTarget(
  env: Environment,
  names: { url: string; secret: string },
  problems: string[],
): Target | undefined {
  const [url, secret = ''] = [read(env, names.url), read(env, names.secret)];
  if (url === undefined) return undefined;
  const target = { url, secret };
  const found = targetProblems(target, names);
  problems.push(...found);
  return found.length > 0 ? undefined : target;
}

/** An empty variable counts as unset. */
function read(env: Environment, variable: string): string | undefined {
  return env[variable]?.trim() || undefined;
}

/** @returns no handler where no variable is set. @throws ConfigError with every problem */
export function loadForwards(env: Environment, sourceNames: readonly string[]): Handler[] {
  const forwards = parseForwards(env, sourceNames);
  if (forwards.problems.length > 0) throw new ConfigError(forwards.problems);
  return forwardHandlers(forwards);
}

export function forwardHandlers({ targets, fallback }: Pick<Forwards, 'targets' | 'fallback'>): Handler[] {
  const every = { provider: '*', topic: '*' };
  if (fallback)
    return [forwardHandler({ ...every, name: 'forward' }, (source) => targets.get(source) ?? fallback)];
  return [...targets].map(([source, target]) =>
    forwardHandler({ ...every, name: `forward-${source}`, source }, () => target),
  );
}

/** A mistyped source would forward nothing, without any message. */
function strayUrls(env: Environment, sourceNames: readonly string[]): string[] {
  const known = new Set(sourceNames.map((source) => `${variableOf(source)}_${urlName}`));
  return Object.keys(env)
    .filter((variable) => variable.endsWith(`_${urlName}`) && read(env, variable) && !known.has(variable))
    .map((variable) => `${variable} belongs to no source; declare the source with POSTBELL_SOURCES`);
}
