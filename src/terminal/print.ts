// Prints JSON for machines, lines and aligned tables for people, and never a raw control character.
import { printable, printableJson } from '../printable.ts';
import type { OutputStream } from './io.ts';

export { bytesText, countText, durationText, timeText, untilText } from '../texts.ts';

/** One document on one line. */
export function printJson(out: OutputStream, value: unknown): void {
  out.write(`${printableJson(JSON.stringify(value))}\n`);
}

/** @param text may contain our own line breaks; foreign text must have passed through `printable` */
export function printLine(out: OutputStream, text = ''): void {
  out.write(`${text}\n`);
}

export interface Column<T> {
  title: string;
  value: (row: T) => string;
  isNumber?: boolean;
  /** Never cut to fit the terminal: half a time is useless. */
  isWhole?: boolean;
}

/**
 * Aligns the columns. The widest columns are cut until a line fits; if that fails, the line is cut.
 * @param maxWidth in columns of the terminal; default: its width, and no limit without a terminal
 */
export function printTable<T>(
  out: OutputStream,
  rows: readonly T[],
  columns: readonly Column<T>[],
  maxWidth = terminalWidth(out),
): void {
  const cells = rows.map((row) => columns.map((column) => printable(column.value(row))));
  const lines = [columns.map((column) => column.title), ...cells];
  const widths = columns.map((_, index) => Math.max(...lines.map((line) => widthOf(line[index] ?? ''))));
  fitWidths(
    widths,
    columns.map((column) => !column.isWhole),
    maxWidth,
  );
  for (const line of lines) {
    const padded = line.map((text, index) => {
      const cell = cutText(text, widths[index]!);
      const space = ' '.repeat(widths[index]! - widthOf(cell));
      return columns[index]?.isNumber ? space + cell : cell + space;
    });
    printLine(out, cutText(padded.join(columnGap).trimEnd(), maxWidth));
  }
}

const columnGap = '  ';
const narrowestCut = 12;

function fitWidths(widths: number[], isCuttable: readonly boolean[], maxWidth: number): void {
  const lineWidth = () => widths.reduce((sum, width) => sum + width + columnGap.length, -columnGap.length);
  while (lineWidth() > maxWidth) {
    const widest = Math.max(...widths.filter((_, index) => isCuttable[index]));
    if (widest <= narrowestCut) return;
    widths[widths.findIndex((width, index) => isCuttable[index] && width === widest)] = widest - 1;
  }
}

function terminalWidth({ isTTY, columns }: OutputStream): number {
  return isTTY && columns ? columns : Number.POSITIVE_INFINITY;
}

function cutText(text: string, maxWidth: number): string {
  if (widthOf(text) <= maxWidth) return text;
  let kept = '';
  let width = 1; // of the ellipsis
  for (const { segment } of segmenter.segment(text)) {
    width += widthOf(segment);
    if (width > maxWidth) break;
    kept += segment;
  }
  return `${kept}…`;
}

const segmenter = new Intl.Segmenter('en', { granularity: 'grapheme' });
const wide =
  /\p{Emoji_Presentation}|[\u1100-\u115f\u2e80-\u303e\u3041-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6]|[\u{20000}-\u{3fffd}]/u;
const isAscii = /^[\x20-\x7e]*$/;

/** Number of terminal columns that the text takes. */
function widthOf(text: string): number {
  if (isAscii.test(text)) return text.length;
  let width = 0;
  for (const { segment } of segmenter.segment(text)) width += wide.test(segment) ? 2 : 1;
  return width;
}
