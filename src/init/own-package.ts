// Postbell's own package.json, which lies beside src/ and beside dist/, and its templates.
import { readFileSync } from 'node:fs';

interface OwnManifest {
  version: string;
  engines: { node: string };
  dependencies: Record<string, string>;
  devDependencies: Record<string, string>;
}

const root = new URL('../../', import.meta.url);

export function readOwnManifest(): OwnManifest {
  return JSON.parse(readFileSync(new URL('package.json', root), 'utf8')) as OwnManifest;
}

/**
 * A file of `templates/` with each `{{name}}` replaced.
 * @throws Error if the template names a value that is not given
 */
export function fillTemplate(file: string, values: Readonly<Record<string, string>> = {}): string {
  const text = readFileSync(new URL(`templates/${file}`, root), 'utf8');
  return text.replace(/\{\{(\w+)\}\}/g, (_, name: string) => {
    const value = values[name];
    if (value === undefined) throw new Error(`templates/${file} needs a value for ${name}`);
    return value;
  });
}
