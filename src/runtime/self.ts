// This process as others know it from the database.
import { randomUUID } from 'node:crypto';
import os from 'node:os';
import type { ProcessIdentity, ProcessKind } from '../events/processes.ts';
import { readOwnManifest } from './own-manifest.ts';

/** A new identity at each call. On Heroku the host is the dyno's name, e.g. `web.1`, as the dashboard shows it. */
export function identifySelf(
  kind: ProcessKind,
  { DYNO }: { DYNO?: string | undefined } = {},
): ProcessIdentity {
  return { id: randomUUID(), kind, host: DYNO ?? os.hostname(), version: readOwnManifest().version };
}
