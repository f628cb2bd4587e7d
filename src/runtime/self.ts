// This process as others know it from the database.
import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import os from 'node:os';
import type { ProcessIdentity, ProcessKind } from '../events/processes.ts';

/** Postbell's version. package.json is beside src/ and beside dist/. */
export function readVersion(): string {
  const file = new URL('../../package.json', import.meta.url);
  return (JSON.parse(readFileSync(file, 'utf8')) as { version: string }).version;
}

/** A new identity at each call. Heroku's dynos bear the same host name in the database's eyes as on the dashboard. */
export function identifySelf(
  kind: ProcessKind,
  { DYNO }: { DYNO?: string | undefined } = {},
): ProcessIdentity {
  return { id: randomUUID(), kind, host: DYNO ?? os.hostname(), version: readVersion() };
}
