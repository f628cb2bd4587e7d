// Reads `<SOURCE>_REDACT`: which values of a source's events are never stored.
import type { Provider } from './provider.ts';
import { isIndex, joinPaths, type RedactedPath, type Redaction } from './redaction.ts';
import type { Part, Template } from './template/parts.ts';

type Environment = Readonly<Record<string, string | undefined>>;

const maxPaths = 100;
const maxKeysOfPath = 50;

/**
 * @param variable e.g. STRIPE_REDACT
 * @returns `redaction` undefined: none, or there are problems
 */
export function readRedaction(
  env: Environment,
  variable: string,
  provider: Provider,
): { redaction: Redaction | undefined; problems: string[] } {
  const entries = (env[variable] ?? '').split(',').map((entry) => entry.trim());
  const problems: string[] = [];
  const paths = entries.filter((entry) => entry !== '').map((entry) => readPath(entry, variable, problems));
  if (paths.length === 0) return { redaction: undefined, problems };
  if (paths.length > maxPaths)
    problems.push(`${variable} has ${paths.length} paths: use at most ${maxPaths}`);
  for (const { keys } of paths) {
    const fact = factReadAt(provider, keys);
    if (fact)
      problems.push(
        `${variable}: ${keys.join('.')} holds the ${fact} of the events, which is stored in a column of its own: choose other paths`,
      );
  }
  const key = env.REDACT_KEY || undefined;
  if (paths.some(({ isHashed }) => isHashed) && key === undefined)
    problems.push(
      `REDACT_KEY is missing; ${variable} hashes with it: set it to 32 random characters or more`,
    );
  return { redaction: problems.length > 0 ? undefined : { tree: joinPaths(paths), key }, problems };
}

function readPath(entry: string, variable: string, problems: string[]): RedactedPath {
  const [path = '', mode, ...rest] = entry.split(':');
  const keys = path.split('.');
  if (rest.length > 0 || (mode !== undefined && mode !== 'hash'))
    problems.push(
      `${variable}: "${entry}" must end with :hash, or have no colon; for a key with a colon use *`,
    );
  else if (keys.includes(''))
    problems.push(`${variable}: "${entry}" must be keys with dots between them, e.g. data.object.email`);
  else if (keys.length > maxKeysOfPath)
    problems.push(`${variable} has a path of ${keys.length} keys: use at most ${maxKeysOfPath}`);
  return { keys, isHashed: mode === 'hash' };
}

/** What the provider's entry reads at the path, or below it, for a column. Computed parts cannot be looked into. */
function factReadAt({ events, recover }: Provider, keys: readonly string[]): string | undefined {
  const reads = (template: Template | undefined) =>
    template !== undefined && pathsOf(template).some((path) => covers(keys, path));
  if (reads(events.id)) return 'id';
  if (reads(events.topic)) return 'topic';
  const made = recover?.pull?.made;
  // The ids of made events are of the thing's id and time, and stored payloads are searched for both.
  if (made && covers(keys, made.idAt.split('.'))) return 'id';
  if (made && covers(keys, made.timeAt.split('.'))) return 'time';
  return reads(events.occurredAt?.at) ? 'time' : undefined;
}

function pathsOf(template: Template): (readonly string[])[] {
  if (Array.isArray(template)) return template.flatMap(pathsOf);
  const part = template as Part;
  if (typeof part === 'string') return [];
  if (part.kind === 'json' || part.kind === 'root') return [part.path];
  if (part.kind === 'formField') return [[part.name]];
  if (part.kind === 'optional') return part.parts.flatMap(pathsOf);
  return part.kind === 'firstOf' ? part.choices.flatMap(pathsOf) : [];
}

function covers(keys: readonly string[], path: readonly string[]): boolean {
  const startsWithKeys = (at: readonly string[]) =>
    keys.length <= at.length && keys.every((key, index) => key === '*' || key === at[index]);
  // A key is also looked for in each item of a list.
  return startsWithKeys(path) || startsWithKeys(path.filter((key) => !isIndex(key)));
}
