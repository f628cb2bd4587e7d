// Finds and loads the team's module. Its list may be inside `default` more than once: CommonJS, bundles, tsx.
import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { CommandError, ConfigError, describeError } from '../errors.ts';
import { findProvider, unknownProvider } from '../providers/index.ts';
import { type Handler, handlerProblem, handlersOverlap } from './handler.ts';
import { findLoadErrorPlace } from './load-error.ts';

/** Path of the module that POSTBELL_HANDLERS names, or of the default module; undefined when neither exists. */
export function findHandlersModule(setting: string | undefined, folder: string): string | undefined {
  if (setting) return resolve(folder, setting);
  return ['handlers/index.ts', 'handlers/index.js']
    .map((name) => resolve(folder, name))
    .find((path) => existsSync(path));
}

/**
 * Loads the handlers: the module's default export, or its export `handlers`, is the list.
 * @throws ConfigError naming every wrong entry
 * @throws CommandError where the module cannot be loaded: a line with the reason, then `file:line`, the code, a caret
 */
export async function loadHandlers(modulePath: string): Promise<Handler[]> {
  if (!existsSync(modulePath)) {
    throw new ConfigError([`POSTBELL_HANDLERS: there is no file ${modulePath}`]);
  }
  let module: unknown;
  try {
    module = await import(pathToFileURL(modulePath).href);
  } catch (error) {
    const place = findLoadErrorPlace(error, modulePath);
    const reason = describeError(error).text.replaceAll(/\s*\n\s*/g, ' ');
    const text = `the handlers in ${modulePath} could not be loaded: ${reason}`;
    throw new CommandError(place === undefined ? text : `${text}\n${place}`);
  }
  const list = listIn(module);
  if (!list) {
    throw new ConfigError([`${modulePath} must export its handlers as a list: export default [ … ]`]);
  }
  return checkHandlers(list, modulePath);
}

/**
 * @param place where the list comes from, for messages
 * @throws ConfigError naming every wrong entry
 */
export function checkHandlers(list: readonly unknown[], place: string): Handler[] {
  const problems = list.flatMap((handler, index) => {
    const problem = handlerProblem(handler) ?? providerProblem((handler as Handler).provider);
    return problem === undefined ? [] : [`${place}, handler ${index + 1}: ${problem}`];
  });
  problems.push(
    ...repeatedNames(list as Handler[]).map((name) => `${place}: two handlers have the name "${name}"`),
  );
  // Only with handlers that are valid by themselves.
  if (problems.length === 0)
    problems.push(...sharedLimits(list as Handler[]).map((problem) => `${place}: ${problem}`));
  if (problems.length) throw new ConfigError(problems);
  return list as Handler[];
}

/** An event waits for the lane of a single handler. */
function sharedLimits(handlers: readonly Handler[]): string[] {
  const limited = handlers.filter(({ concurrency }) => concurrency !== undefined);
  return limited.flatMap((handler, index) =>
    limited
      .slice(index + 1)
      .filter((other) => handlersOverlap(handler, other))
      .map(
        (other) =>
          `"${handler.name}" and "${other.name}" both have concurrency and match the same topic; give them different topics, or make one handler of them`,
      ),
  );
}

function repeatedNames(handlers: readonly (Handler | null)[]): string[] {
  const names = handlers.flatMap((handler) => handler?.name ?? []);
  return [...new Set(names.filter((name, index) => names.indexOf(name) !== index))];
}

/** Node's import of CommonJS adds one `default` to that of the compiler, and a loader may add another. */
const maxDefaults = 4;

function listIn(module: unknown, depth = 0): unknown[] | undefined {
  const { handlers, default: inner } = (module ?? {}) as { handlers?: unknown; default?: unknown };
  const list = [handlers, inner].find(Array.isArray);
  return list ?? (depth < maxDefaults && inner ? listIn(inner, depth + 1) : undefined);
}

/** Why there are no events of this provider, with the nearest name; undefined where there are. */
export function providerProblem(name: string): string | undefined {
  if (name === '*' || findProvider(name)) return undefined;
  return unknownProvider(name);
}
