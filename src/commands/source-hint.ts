// Completes "no event matches" where the name of the source may be the reason.
import type { Database } from '../database/database.ts';
import { listStoredSources } from '../events/stored-sources.ts';
import { printable } from '../printable.ts';
import { didYouMean } from '../providers/index.ts';

/** `; no event of strpe is stored; did you mean stripe?`; empty without a source, and for one that has events. */
export async function sourceHint(database: Database, source: string | undefined): Promise<string> {
  if (source === undefined) return '';
  const stored = await listStoredSources(database);
  if (stored.includes(source)) return '';
  return printable(`; no event of the source ${source} is stored${didYouMean(source, stored)}`);
}
