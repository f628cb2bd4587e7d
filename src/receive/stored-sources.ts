// The names with stored events, checked before a 404, after which some providers disable a webhook.
import type { Queryable } from '../database/database.ts';
import { describeError } from '../errors.ts';
import { listStoredSources } from '../events/stored-sources.ts';
import type { Logger } from '../logger.ts';

const rereadAfterMs = 60_000;

export interface StoredSources {
  /**
   * Answers from memory; undefined until the names were read once. After a minute the names are read again in the
   * background, since another process may have stored events of a new source.
   */
  has(name: string): boolean | undefined;
  /** Reads the names. Never throws. */
  read(): Promise<void>;
}

export function createStoredSources(database: Queryable, log: Logger): StoredSources {
  let names: ReadonlySet<string> | undefined;
  let nextReadAt = 0;

  async function read(): Promise<void> {
    nextReadAt = performance.now() + rereadAfterMs;
    try {
      names = new Set(await listStoredSources(database));
    } catch (error) {
      log.warn({ error: describeError(error).text }, 'the names of stored sources could not be read');
    }
  }

  return {
    has: (name) => {
      if (performance.now() >= nextReadAt) void read();
      return names?.has(name);
    },
    read,
  };
}
