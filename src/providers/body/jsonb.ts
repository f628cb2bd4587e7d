// Finds in one linear scan whether Postgres' jsonb would reject a JSON text that JavaScript accepts.
import type { PayloadError } from '../provider.ts';

/** Deeper nesting is rejected before any recursive parser runs. */
export const maxJsonDepth = 200;
/** jsonb stores numbers as numeric: the eight characters `1e131071` become 131,072 digits. */
export const maxNumberChars = 1000;
export const maxExponent = 500;

export interface JsonScan {
  problem: PayloadError | null;
  /** True where JavaScript may write a number differently (beyond 2^53, `2.00`, exponents). */
  hasInexactNumbers: boolean;
}

const quote = 34;
const backslash = 92;

/** Does not check the JSON grammar: the parser does. The text must be well-formed Unicode. */
export function scanJson(text: string, maxDepth = maxJsonDepth): JsonScan {
  const hasEscapes = text.includes('\\');
  const length = text.length;
  let depth = 0;
  let problem: PayloadError | null = null;
  let hasInexactNumbers = false;
  let i = 0;
  while (i < length) {
    const code = text.charCodeAt(i);
    if (code === quote) {
      if (hasEscapes) {
        i++;
        while (i < length) {
          const inner = text.charCodeAt(i);
          if (inner === quote) break;
          if (inner !== backslash) i++;
          else if (text.charCodeAt(i + 1) !== 117) i += 2;
          else {
            const found = unicodeEscape(text, i);
            problem ??= found.problem;
            i += found.length;
          }
        }
        i++;
      } else {
        const end = text.indexOf('"', i + 1);
        i = end < 0 ? length : end + 1;
      }
    } else if (code === 123 || code === 91) {
      depth++;
      if (depth > maxDepth) return { problem: 'too_deep', hasInexactNumbers };
      i++;
    } else if (code === 125 || code === 93) {
      depth--;
      i++;
    } else if (code === 45 || (code >= 48 && code <= 57)) {
      const end = endOfNumber(text, i);
      if (end - i > 15 || !isPlainInteger(text, i, end)) {
        hasInexactNumbers = true;
        if (isAbsurdNumber(text, i, end)) problem ??= 'number';
      }
      i = end;
    } else i++;
  }
  return { problem, hasInexactNumbers };
}

function unicodeEscape(text: string, at: number): { problem: PayloadError | null; length: number } {
  const unit = Number.parseInt(text.slice(at + 2, at + 6), 16);
  if (unit === 0) return { problem: 'nul', length: 6 };
  if (unit < 0xd800 || unit > 0xdfff || Number.isNaN(unit)) return { problem: null, length: 6 };
  if (unit > 0xdbff || text.charCodeAt(at + 6) !== backslash || text.charCodeAt(at + 7) !== 117)
    return { problem: 'surrogate', length: 6 };
  const low = Number.parseInt(text.slice(at + 8, at + 12), 16);
  return low >= 0xdc00 && low <= 0xdfff ? { problem: null, length: 12 } : { problem: 'surrogate', length: 6 };
}

function endOfNumber(text: string, start: number): number {
  let end = start + 1;
  for (; end < text.length; end++) {
    const code = text.charCodeAt(end);
    const isNumberChar =
      (code >= 48 && code <= 57) || code === 46 || code === 45 || code === 43 || code === 69 || code === 101;
    if (!isNumberChar) break;
  }
  return end;
}

function isPlainInteger(text: string, start: number, end: number): boolean {
  for (let i = start; i < end; i++) {
    const code = text.charCodeAt(i);
    if ((code < 48 || code > 57) && !(i === start && code === 45 && end - start > 1)) return false;
  }
  return text.charCodeAt(start) !== 45 || text.charCodeAt(start + 1) !== 48;
}

function isAbsurdNumber(text: string, start: number, end: number): boolean {
  if (end - start > maxNumberChars) return true;
  const token = text.slice(start, end);
  const e = token.search(/[eE]/);
  return e >= 0 && Math.abs(Number(token.slice(e + 1))) > maxExponent;
}
