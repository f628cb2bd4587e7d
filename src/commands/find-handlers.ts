// Finds what a worker would run, before a process for it is started; and loads it.
import type { Environment } from '../config.ts';
import { CommandError } from '../errors.ts';
import { loadForwards } from '../forward/settings.ts';
import type { Handler } from '../handlers/handler.ts';
import { findHandlersModule, loadHandlers } from '../handlers/load.ts';
import { knownSources, type Settings } from '../runtime/settings.ts';

/**
 * @param folder the project's folder
 * @returns the handlers' module, if there is any, and the forwards of the environment
 * @throws CommandError where there is neither, ConfigError for a wrong forward
 */
export function findHandlers(
  env: Environment,
  sources: Pick<Settings, 'sources' | 'waiting'>,
  folder: string,
): { modulePath: string | undefined; forwards: Handler[] } {
  const modulePath = findHandlersModule(env.POSTBELL_HANDLERS || undefined, folder);
  const forwards = loadForwards(env, knownSources(sources));
  if (!modulePath && forwards.length === 0)
    throw new CommandError(
      'there are no handlers: make handlers/index.ts, set POSTBELL_HANDLERS to your module, or FORWARD_URL to the address of your app',
    );
  return { modulePath, forwards };
}

/** @param folder the project's folder. @throws CommandError without any handler, ConfigError */
export async function loadAllHandlers(
  env: Environment,
  settings: Pick<Settings, 'sources' | 'waiting'>,
  folder: string,
): Promise<Handler[]> {
  const { modulePath, forwards } = findHandlers(env, settings, folder);
  // Forwards first: the locks of the team's own handlers are not held during an HTTP call.
  return [...forwards, ...(modulePath ? await loadHandlers(modulePath) : [])];
}
