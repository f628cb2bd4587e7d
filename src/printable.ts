// Makes foreign text safe to show: on a terminal, in a log.

// C0, DEL and C1 steer terminals; line separators and bidi marks reorder what a reader sees.
// biome-ignore lint/suspicious/noControlCharactersInRegex: finding them is the point
const unsafe = /[\x00-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069]/g;
// Those of them that JSON.stringify leaves as they are.
const unsafeInJson = /[\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069]/g;

const hex = (character: string, digits: number) => character.charCodeAt(0).toString(16).padStart(digits, '0');

/** Foreign text on one line of a terminal: control characters as `\x1b`. */
export function printable(text: string): string {
  return text.replace(unsafe, (found) =>
    found.charCodeAt(0) < 0x100 ? `\\x${hex(found, 2)}` : `\\u${hex(found, 4)}`,
  );
}

/** The same for a JSON text, which stays the same JSON. */
export function printableJson(json: string): string {
  return json.replace(unsafeInJson, (found) => `\\u${hex(found, 4)}`);
}
