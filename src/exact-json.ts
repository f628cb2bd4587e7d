// JSON whose numbers stay as they are written: JSON.parse would round those beyond 2^53.

// TypeScript's library does not know these yet (ECMAScript "JSON.parse source text access").
type SourceReviver = (key: string, value: unknown, context: { source?: string }) => unknown;
const exactJson = JSON as unknown as {
  parse(text: string, reviver: SourceReviver): unknown;
  rawJSON(text: string): unknown;
  isRawJSON(value: unknown): value is { rawJSON: string };
};

/** Parses JSON; each number becomes an object that `numberText` reads. @throws SyntaxError */
export function parseExactly(json: string): unknown {
  return exactJson.parse(json, (_key, item, { source }) =>
    typeof item === 'number' && source !== undefined ? exactJson.rawJSON(source) : item,
  );
}

/** The number as it was written; undefined for a value that is no number of `parseExactly`. */
export function numberText(value: unknown): string | undefined {
  return exactJson.isRawJSON(value) ? value.rawJSON : undefined;
}

/** Indents JSON and keeps the numbers as written. @param maxChars beyond them the text stays as it is @throws SyntaxError */
export function indentJson(json: string, maxChars = Number.POSITIVE_INFINITY): string {
  return indentedChars(json) > maxChars ? json : JSON.stringify(parseExactly(json), null, 2);
}

/** About as many characters as the indented text has: the deeper a line, the more it costs. */
function indentedChars(json: string): number {
  let depth = 0;
  let chars = 0;
  let isInText = false;
  for (let at = 0; at < json.length; at++) {
    const char = json[at]!;
    if (char === '"') isInText = !isInText;
    if (isInText || !/\s/.test(char)) chars++;
    if (isInText && char === '\\') at++;
    if (isInText || !'[]{},'.includes(char)) continue;
    if ('[{'.includes(char)) depth++;
    if (']}'.includes(char)) depth--;
    chars += 1 + 2 * depth;
  }
  return chars;
}
