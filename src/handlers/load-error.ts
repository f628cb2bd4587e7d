// The place of an error in the team's module, as `file:line`, the line and a caret. Node tells it in four ways.
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { basename, dirname, resolve, sep } from 'node:path';
import { fileURLToPath } from 'node:url';

interface Place {
  path: string;
  /** From 1. */
  line: number;
  /** From 1. */
  column: number;
}

/** Postbell's own files: their frames say nothing about the team's code. */
const ownFolder = resolve(fileURLToPath(new URL('..', import.meta.url))) + sep;

/** @returns undefined where no file of the team can be named */
export function findLoadErrorPlace(error: unknown, modulePath: string): string | undefined {
  const { stack, message, name } = (error ?? {}) as Partial<Error>;
  if (typeof stack !== 'string') return undefined;
  const place =
    placeBeforeMessage(stack) ??
    placeOfImport(String(message)) ??
    placeOfFrame(stack) ??
    (name === 'SyntaxError' ? placeOfSyntaxError(modulePath) : undefined);
  return place && render(place);
}

/** Node begins the stack of most syntax errors with `path:line`, the lines of the code, and a caret. */
function placeBeforeMessage(stack: string): Place | undefined {
  const lines = stack.split('\n', 20);
  const [, location, line] = /^(.+):(\d+)$/.exec(lines[0] ?? '') ?? [];
  const caret = lines.findIndex((text) => /^\s*\^+$/.test(text));
  if (location === undefined || caret === -1) return undefined;
  return { path: pathOf(location), line: Number(line), column: lines[caret]!.indexOf('^') + 1 };
}

/** A module that is not found is named with its importer, not with the line. */
function placeOfImport(message: string): Place | undefined {
  const [, wanted, importer] = /'([^']+)'.* imported from (.+)$/m.exec(message) ?? [];
  if (wanted === undefined || importer === undefined) return undefined;
  const path = pathOf(importer);
  const lines = readLines(path);
  const line = lines.findIndex((text) => specifiersIn(text).some(({ name }) => isFor(name, wanted)));
  if (line === -1) return undefined;
  const { column } = specifiersIn(lines[line]!).find(({ name }) => isFor(name, wanted))!;
  return { path, line: line + 1, column };
}

const isFor = (specifier: string, wanted: string) =>
  specifier === wanted || specifier.startsWith(`${wanted}/`) || basename(specifier) === basename(wanted);

/** The first frame in a file of the team's own. */
function placeOfFrame(stack: string): Place | undefined {
  for (const [, location, line, column] of stack.matchAll(/^\s+at (?:.*\()?(.+):(\d+):(\d+)\)?$/gm)) {
    const path = pathOf(location!);
    if (path.startsWith(ownFolder) || path.includes(`${sep}node_modules${sep}`) || !existsSync(path))
      continue;
    return { path, line: Number(line), column: Number(column) };
  }
  return undefined;
}

/** Node does not name the file of an ES module in JavaScript that Node cannot parse, so each file is checked separately. */
function placeOfSyntaxError(modulePath: string): Place | undefined {
  const paths = [modulePath];
  for (const path of paths) {
    if (/\.m?js$/.test(path)) {
      const { stderr } = spawnSync(process.execPath, ['--check', path], { encoding: 'utf8' });
      const place = placeBeforeMessage(stderr ?? '');
      if (place) return place;
    }
    const imported = readLines(path)
      .flatMap(specifiersIn)
      .filter(({ name }) => /^\.\.?\//.test(name))
      .map(({ name }) => resolve(dirname(path), name));
    paths.push(...new Set(imported.filter((found) => !paths.includes(found))));
    if (paths.length > maxFiles) return undefined;
  }
  return undefined;
}

const maxFiles = 200;

/** The modules that a line imports, by a pattern: comments and texts may look like imports. */
function specifiersIn(line: string): { name: string; column: number }[] {
  const found = line.matchAll(/(?:\bfrom|\bimport|\brequire)\s*\(?\s*(['"])([^'"]+)\1/g);
  return [...found].map(([all, , name = '']) => ({
    name,
    column: line.indexOf(all) + all.lastIndexOf(name) + 1,
  }));
}

function pathOf(location: string): string {
  return location.startsWith('file:') ? fileURLToPath(location.replace(/[?#].*$/, '')) : location;
}

function readLines(path: string): string[] {
  return existsSync(path) ? readFileSync(path, 'utf8').split('\n') : [];
}

/** Characters shown before and behind the caret: a line of a minified bundle may have a million. */
const shownAround = 100;

function render({ path, line, column }: Place): string {
  const text = (readLines(path)[line - 1] ?? '').replaceAll('\t', ' ').trimEnd();
  const start = Math.max(0, column - 1 - shownAround);
  const shown = text.slice(start, column + shownAround);
  return `${path}:${line}\n${shown}\n${' '.repeat(column - 1 - start)}^`;
}
