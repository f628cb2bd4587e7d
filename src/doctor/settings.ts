// Checks the environment: every setting, every source.
import { type Config, configKeys, type Environment, parseConfig } from '../config.ts';
import { forwardHandlers, parseForwards } from '../forward/settings.ts';
import type { Handler } from '../handlers/handler.ts';
import { type Source, unknownSource } from '../providers/index.ts';
import { parseSources, variableOf } from '../providers/sources.ts';
import { databaseUrlProblem } from '../runtime/connection.ts';
import { knownSources } from '../runtime/settings.ts';
import { type Check, type CheckContext, fail, needsPerson, ok, warn } from './check.ts';

const remedy = 'correct the variable, then run doctor again';

/** @returns the valid part of the configuration too: a bad PORT must not prevent the checks of the database */
export function checkSettings(env: Environment): { config: Config | undefined; checks: Check[] } {
  const { config, problems } = parseConfig(env);
  const all = [...databaseUrlProblem(env), ...problems];
  if (all.length > 0) {
    const sound = Object.fromEntries(
      Object.entries(env).filter(([name]) => !problems.some((problem) => problem.startsWith(`${name} `))),
    );
    return {
      config: config ?? parseConfig(sound).config,
      checks: all.map((problem) => fail('settings', problem, remedy)),
    };
  }
  const given = configKeys.filter((key) => env[key]);
  return {
    config,
    checks: [ok('settings', `${given.length} set (${given.join(', ')}), defaults for the rest`)],
  };
}

/** @param only checks this source only */
export function checkSources(
  env: Environment,
  only: string | undefined,
): Pick<CheckContext, 'sources' | 'waiting'> & {
  retentionDays: ReadonlyMap<string, number>;
  checks: Check[];
} {
  const { sources, waiting, retentionDays, problems } = parseSources(env);
  const checks = problems.map((problem) => fail('sources', problem, remedy));
  const onlyPulled = [...waiting].filter(([, { isOnlyPulled }]) => isOnlyPulled).map(([name]) => name);
  if (only !== undefined && !sources.has(only) && !waiting.has(only)) {
    const problem = unknownSource(only, [...sources.keys(), ...waiting.keys()]);
    checks.push(fail('sources', problem, 'correct the name; without a name, doctor checks every source'));
  } else if (only !== undefined && !sources.has(only) && !waiting.get(only)?.isOnlyPulled) {
    checks.push(
      fail(
        'sources',
        `${only} is not on: its deliveries are not accepted`,
        `set ${variableOf(only)}_WEBHOOK_SECRET${waiting.get(only)?.handover ? `; to get the secret, run: postbell setup ${only}` : ''}`,
      ),
    );
  } else if (sources.size === 0 && onlyPulled.length === 0 && problems.length === 0) {
    const how = 'set <SOURCE>_WEBHOOK_SECRET, e.g. STRIPE_WEBHOOK_SECRET; all providers: postbell providers';
    checks.push(needsPerson(warn('sources', 'no source is on: no delivery is accepted', how)));
  }
  for (const source of sources.values()) {
    if (only === undefined || source.name === only)
      checks.push(ok(`source ${source.name}`, describe(source)));
  }
  for (const name of onlyPulled)
    if (only === undefined || name === only)
      checks.push(ok(`source ${name}`, 'is only pulled: it needs no secret, and accepts no delivery'));
  return { sources, waiting, retentionDays, checks };
}

/** The forwards of the environment, as handlers of a worker. */
export function checkForwards(
  env: Environment,
  known: Pick<CheckContext, 'sources' | 'waiting'>,
): { forwards: readonly Handler[]; checks: Check[] } {
  const { targets, fallback, problems } = parseForwards(env, knownSources(known));
  if (problems.length > 0)
    return { forwards: [], checks: problems.map((problem) => fail('forwards', problem, remedy)) };
  const shown = [...targets, ...(fallback ? [['every other source', fallback] as const] : [])];
  return {
    forwards: forwardHandlers({ targets, fallback }),
    checks: shown.map(([name, { url }]) => ok('forwards', `${name} to ${new URL(url).origin}…`)),
  };
}

function describe({ name, provider, secrets, verifyToken, webhookUrl }: Source): string {
  const parts = [
    provider.scheme.summary,
    secrets.length === 1 ? '1 secret' : `${secrets.length} secrets (rotation)`,
  ];
  if (name !== provider.name) parts.unshift(`as ${provider.name}`);
  if (verifyToken !== undefined) parts.push('verify token set');
  if (provider.scheme.signsUrl && webhookUrl) parts.push(`signs ${new URL(webhookUrl).origin}…`);
  return parts.join(', ');
}
