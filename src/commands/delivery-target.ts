// Reads the arguments of the verbs that deliver events (send, forward): a source that is on, and an address.
import { CommandError } from '../errors.ts';
import { findProvider, type Provider, type Source, unknownSource } from '../providers/index.ts';
import { variableOf } from '../providers/sources.ts';

/** @throws CommandError that says how to switch the source on */
export function sourceThatIsOn(
  { sources, waiting }: { sources: ReadonlyMap<string, Source>; waiting: ReadonlyMap<string, Provider> },
  name: string,
): Source {
  const source = sources.get(name);
  if (source) return source;
  const on = [...sources.keys()];
  const others = on.length > 0 ? `; sources that are on: ${on.join(', ')}` : '';
  const provider = waiting.get(name);
  if (provider?.isOnlyPulled)
    throw new CommandError(
      `the source ${name} is only pulled and takes no delivery: postbell recover ${name}${others}`,
    );
  if (provider) {
    const trial = `postbell keys ${provider.name}${provider.name === name ? '' : ` --source ${name}`}`;
    const remedy = `set ${variableOf(name)}_WEBHOOK_SECRET (for a trial: ${trial})`;
    throw new CommandError(`the source ${name} is not on: ${remedy}${others}`);
  }
  if (findProvider(name)) {
    const remedy = `declare a source of it with POSTBELL_SOURCES=<source>=${name}; .env.example shows the variables`;
    throw new CommandError(`${name} needs a source that describes it: ${remedy}${others}`);
  }
  throw new CommandError(`${unknownSource(name, [...on, ...waiting.keys()])}${others}`);
}

/**
 * An address without a path gets the path of our own route.
 * @param argument its name in the message. @throws CommandError
 */
export function endpointOf(address: string, sourceName: string, argument: string): string {
  const url = URL.canParse(address) ? new URL(address) : undefined;
  if (!url || !/^https?:$/.test(url.protocol)) {
    throw new CommandError(
      `${argument} must be like http://127.0.0.1:3000 or https://shop.example.com/webhooks/x`,
    );
  }
  if (url.username || url.password) throw new CommandError(`${argument} must not hold a user or a password`);
  if (url.pathname === '/') url.pathname = `/api/webhooks/${sourceName}`;
  return url.href;
}
