// Reads the arguments of the verbs that deliver events (send, forward): a source that is on, and an address.
import { CommandError } from '../errors.ts';
import { findProvider, type Source } from '../providers/index.ts';
import { variableOf } from '../providers/sources.ts';

/** @throws CommandError that says how to switch the source on */
export function sourceThatIsOn(sources: ReadonlyMap<string, Source>, name: string): Source {
  const source = sources.get(name);
  if (source) return source;
  const on = [...sources.keys()];
  const others = on.length > 0 ? `; sources that are on: ${on.join(', ')}` : '';
  const provider = findProvider(name);
  const remedy =
    provider && !provider.configure
      ? `set ${variableOf(name)}_WEBHOOK_SECRET (for a trial: postbell keys ${name})`
      : `declare it with POSTBELL_SOURCES=${name}=<provider>; all providers: postbell providers`;
  throw new CommandError(`the source ${name} is not on: ${remedy}${others}`);
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
