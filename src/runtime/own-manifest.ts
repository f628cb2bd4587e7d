// Postbell's own package.json, which lies beside src/ and beside dist/.
import { readFileSync } from 'node:fs';

interface OwnManifest {
  version: string;
  engines: { node: string };
  dependencies: Record<string, string>;
  devDependencies: Record<string, string>;
}

export function readOwnManifest(): OwnManifest {
  const file = new URL('../../package.json', import.meta.url);
  return JSON.parse(readFileSync(file, 'utf8')) as OwnManifest;
}
