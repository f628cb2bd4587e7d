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

/** Indents JSON and keeps the numbers as written. @throws SyntaxError */
export function indentJson(json: string): string {
  return JSON.stringify(parseExactly(json), null, 2);
}
