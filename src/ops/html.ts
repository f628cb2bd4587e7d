// HTML by a tagged template. The only place that escapes: every value is escaped unless this tag made it.

class Markup {
  readonly text: string;
  constructor(text: string) {
    this.text = text;
  }
}

/** Text that is HTML already. Only the tag `html` makes it. */
export type Html = Markup;

export type HtmlValue = Html | string | number | null | undefined | false | readonly HtmlValue[];

/**
 * Makes HTML. Attributes must be in double quotes; a value cannot end them, nor begin an element.
 * null, undefined and false are left out. Control and bidi characters are shown by their number, except line breaks and tabs.
 */
export function html(parts: TemplateStringsArray, ...values: readonly HtmlValue[]): Html {
  let text = parts[0]!;
  for (const [index, value] of values.entries()) text += markupOf(value) + parts[index + 1]!;
  return new Markup(text);
}

function markupOf(value: HtmlValue): string {
  if (value instanceof Markup) return value.text;
  if (value === null || value === undefined || value === false) return '';
  if (typeof value === 'string') return escaped(value);
  return typeof value === 'number' ? String(value) : value.map(markupOf).join('');
}

const entities: Record<string, string> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};
// As `printable`, but line breaks and tabs stay: HTML shows them in <pre>.
const unsafe =
  // biome-ignore lint/suspicious/noControlCharactersInRegex: finding them is the point
  /[&<>"']|[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069]/g;

function escaped(text: string): string {
  return text.replace(unsafe, (found) => entities[found] ?? numberOf(found));
}

function numberOf(character: string): string {
  const code = character.charCodeAt(0);
  return code < 0x100
    ? `\\x${code.toString(16).padStart(2, '0')}`
    : `\\u${code.toString(16).padStart(4, '0')}`;
}
