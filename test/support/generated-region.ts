// The part of a page between the markers `<!-- name -->` and `<!-- /name -->`, which a script generates.
import { readFileSync, writeFileSync } from 'node:fs';

/** A generated text and its place. */
export interface GeneratedRegion {
  file: URL;
  /** The name in the markers. */
  name: string;
  text: string;
}

const markers = (name: string) => new RegExp(`(<!-- ${name} -->\\n)([\\s\\S]*?)(<!-- \\/${name} -->)`);

/** The text that is between the markers now. @throws Error without the markers */
export function readRegion({ file, name }: Pick<GeneratedRegion, 'file' | 'name'>): string {
  const text = markers(name).exec(readFileSync(file, 'utf8'))?.[2];
  if (text === undefined) throw new Error(`${file.pathname} has no region <!-- ${name} -->`);
  return text;
}

/** Replaces the text between the markers. @throws Error without the markers */
export function writeRegion(region: GeneratedRegion): void {
  readRegion(region);
  const { file, name, text } = region;
  const page = readFileSync(file, 'utf8');
  writeFileSync(
    file,
    page.replace(markers(name), (_all, start: string, _old: string, end: string) => start + text + end),
  );
}
