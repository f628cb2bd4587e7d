// The text of our own source, for rules that no linter has.
import { readdirSync, readFileSync } from 'node:fs';

const folder = new URL('../../src/', import.meta.url);

/** Every file under src/, by its path there. */
export function sourceFiles(): { name: string; text: string }[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts'))
    .map((name) => ({ name, text: readFileSync(new URL(name, folder), 'utf8') }));
}

const secretWord = /secret|token|digest|signature|password|credential|hmac|\bmac\b|\bexpected$|bearer/i;
/** What may stand beside a secret: it is asked whether there is one, not which. The last names are constants of the catalogue and booleans. */
const harmless =
  /^(undefined|null|""|``|\d+|true|false|'[^']*'|publishedKeys|secretPlace|signatureAlgorithm|is[A-Z]\w*)$|\.length$|\.kind$|\.byteLength$|^typeof |[iI]ndex/;

/** Comparisons by === or !== whose both sides might be a secret, each as `file: comparison`. The demo's books hold none. */
export function comparedSecrets(files: readonly { name: string; text: string }[]): string[] {
  const found: string[] = [];
  for (const { name, text } of files) {
    for (const [whole, left, right] of text.matchAll(
      /([\w.?!()[\]'"`]+)\s+[!=]==\s+(typeof [\w.]+|'[^']*'|[\w.?!()[\]'"`]+)/g,
    )) {
      const sides = [left!.replace(/^[(!]+/, ''), right!.replace(/[);]+$/, '')];
      if (
        name.startsWith('demo/') ||
        sides.some((side) => harmless.test(side)) ||
        !sides.some((side) => secretWord.test(side))
      )
        continue;
      found.push(`${name}: ${whole}`);
    }
  }
  return found;
}
