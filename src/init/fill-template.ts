// Postbell's own templates, which lie beside src/ and beside dist/.
import { readFileSync } from 'node:fs';

const root = new URL('../../', import.meta.url);

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
