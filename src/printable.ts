// Makes foreign text safe for terminals and logs.

// C0, DEL and C1 control terminals; line separators and bidi marks change the order of the text on the screen.
// biome-ignore lint/suspicious/noControlCharactersInRegex: finding them is the point
const unsafe = /[\x00-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069]/g;
// The unsafe characters that JSON.stringify does not escape.
const unsafeInJson = /[\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069]/g;

const hex = (character: string, digits: number) => character.charCodeAt(0).toString(16).padStart(digits, '0');

/** Escapes foreign text for one line of a terminal: control characters become e.g. `\x1b`. */
export function printable(text: string): string {
  return text.replace(unsafe, (found) =>
    found.charCodeAt(0) < 0x100 ? `\\x${hex(found, 2)}` : `\\u${hex(found, 4)}`,
  );
}

/** Escapes a JSON text; its value stays the same. */
export function printableJson(json: string): string {
  return json.replace(unsafeInJson, (found) => `\\u${hex(found, 4)}`);
}

/** One word of a POSIX shell. */
export function shellQuoted(text: string): string {
  return `'${text.replaceAll("'", String.raw`'\''`)}'`;
}
