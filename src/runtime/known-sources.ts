// Is there such a source? A mistyped name of a source would pause nothing.
import type { Queryable } from '../database/database.ts';
import { listStoredSources } from '../events/stored-sources.ts';
import { didYouMean } from '../providers/index.ts';
import { knownSources, type Settings } from './settings.ts';

/** @returns what is wrong with the name; undefined for a source of this configuration, or one with an event */
export async function unknownSourceProblem(
  database: Queryable,
  source: string,
  settings: Pick<Settings, 'sources' | 'waiting'>,
): Promise<string | undefined> {
  const known = new Set([...(await listStoredSources(database)), ...knownSources(settings)]);
  if (known.has(source)) return undefined;
  const hint =
    didYouMean(source, [...known]) || '; a source is known once it is configured here or has an event';
  return `there is no source "${source}"${hint}`;
}
