// The place where a text stops being JSON. JSON.parse does not always name it.

export interface JsonError {
  /** Offset in the text. */
  at: number;
  /** Both from 1. */
  line: number;
  column: number;
  expected: string;
}

const space = /[ \t\n\r]*/y;
/** Without its closing quote, so that the match ends where a broken string breaks. */
const stringStart =
  // biome-ignore lint/suspicious/noControlCharactersInRegex: a string must not hold them
  /"[^"\\\u0000-\u001f]*(?:\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})[^"\\\u0000-\u001f]*)*/y;
const scalar = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?(?![\w.+-])|true\b|false\b|null\b/y;

type Expected = 'a value' | 'a value or ]' | 'a key or }' | 'a key' | ':' | ', or the end' | 'the end';

/** @returns undefined for JSON */
export function findJsonError(text: string): JsonError | undefined {
  const closers: string[] = [];
  let at = 0;
  let expected: Expected = 'a value';

  const match = (pattern: RegExp): boolean => {
    pattern.lastIndex = at;
    const [found] = pattern.exec(text) ?? [];
    if (found === undefined) return false;
    at += found.length;
    return true;
  };
  /** @returns false where the string is broken at `at` */
  const readString = (): boolean => match(stringStart) && text[at] === '"' && ++at > 0;
  const afterValue = (): Expected => (closers.length > 0 ? ', or the end' : 'the end');

  for (;;) {
    match(space);
    const next = text[at];
    if (next === undefined) return expected === 'the end' ? undefined : errorAt(text, at, expected);
    const isClosing = next === closers.at(-1) && /\]|\}|the end/.test(expected) && expected !== 'the end';
    if (isClosing) {
      closers.pop();
      at++;
      expected = afterValue();
    } else if (expected === ', or the end') {
      if (next !== ',') return errorAt(text, at, `, or ${closers.at(-1)}`);
      at++;
      expected = closers.at(-1) === '}' ? 'a key' : 'a value';
    } else if (expected === ':') {
      if (next !== ':') return errorAt(text, at, expected);
      at++;
      expected = 'a value';
    } else if (expected === 'the end') {
      return errorAt(text, at, expected);
    } else if (next === '"') {
      const isKey: boolean = expected === 'a key' || expected === 'a key or }';
      if (!readString()) return errorAt(text, at, 'the rest of a string');
      expected = isKey ? ':' : afterValue();
    } else if (expected === 'a key' || expected === 'a key or }') {
      return errorAt(text, at, expected);
    } else if (next === '{' || next === '[') {
      closers.push(next === '{' ? '}' : ']');
      at++;
      expected = next === '{' ? 'a key or }' : 'a value or ]';
    } else {
      if (!match(scalar)) return errorAt(text, at, expected);
      expected = afterValue();
    }
  }
}

function errorAt(text: string, at: number, expected: string): JsonError {
  const lines = text.slice(0, at).split('\n');
  return { at, line: lines.length, column: lines.at(-1)!.length + 1, expected };
}
