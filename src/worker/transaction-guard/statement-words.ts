// Reads the words of a statement, so far as the guard needs them: it does not parse SQL.

/** The first `count` words in lower case, without the blanks, semicolons and comments before and between them. */
export function firstWords(text: string, count: number): string[] {
  return readWords(text, count).words;
}

/** All words of a text of nothing but words; undefined if there is anything else. */
export function onlyWords(text: string): string[] | undefined {
  const { words, end } = readWords(text, 20);
  return end === text.length ? words : undefined;
}

/** The words of SAVEPOINT, RELEASE and ROLLBACK TO before the name. */
const beforeName = new Set(['savepoint', 'release', 'rollback', 'work', 'transaction', 'to']);

/** The savepoint that the text names, as Postgres reads the name; undefined where there is no plain or quoted name. */
export function savepointName(text: string): string | undefined {
  let at = 0;
  for (;;) {
    at = endOfBlank(text, at);
    const quoted = /"((?:[^"]|"")+)"/y;
    quoted.lastIndex = at;
    const found = quoted.exec(text);
    if (found) return isEnd(text, quoted.lastIndex) ? cut(found[1]!.replaceAll('""', '"')) : undefined;
    const plain = /[\w$\u0080-\uffff]+/y;
    plain.lastIndex = at;
    const word = plain.exec(text)?.[0].toLowerCase();
    if (word === undefined) return undefined;
    at = plain.lastIndex;
    if (!beforeName.has(word)) return isEnd(text, at) ? cut(word) : undefined;
  }
}

const isEnd = (text: string, at: number) => endOfBlank(text, at) === text.length;

/** Postgres cuts identifiers. */
const cut = (name: string) => name.slice(0, 63);

function readWords(text: string, count: number): { words: string[]; end: number } {
  const words: string[] = [];
  const word = /\w+/y;
  let at = endOfBlank(text, 0);
  while (words.length < count) {
    word.lastIndex = at;
    const found = word.exec(text)?.[0];
    if (!found) break;
    words.push(found.toLowerCase());
    at = endOfBlank(text, word.lastIndex);
  }
  return { words, end: at };
}

function endOfBlank(text: string, start: number): number {
  const blank = /(?:\s|;|--[^\n\r]*)*/y;
  let at = start;
  for (;;) {
    blank.lastIndex = at;
    blank.test(text);
    at = blank.lastIndex;
    if (!text.startsWith('/*', at)) return at;
    at = endOfComment(text, at);
  }
}

/** Postgres' block comments nest. */
function endOfComment(text: string, start: number): number {
  const mark = /\/\*|\*\//g;
  mark.lastIndex = start;
  let depth = 0;
  for (let found = mark.exec(text); found; found = mark.exec(text)) {
    depth += found[0] === '/*' ? 1 : -1;
    if (depth === 0) return mark.lastIndex;
  }
  return text.length;
}
