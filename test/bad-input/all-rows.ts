// Every bad input of the suite, by the file that has it.
import { bodyRows } from './body-rows.ts';
import { commandRows } from './command-rows.ts';
import { exposureRows } from './exposure-rows.ts';
import { framingRows } from './framing-rows.ts';
import { httpRows } from './http-rows.ts';
import { opsRows } from './ops-rows.ts';
import type { BadInput } from './rows.ts';
import { signatureRows } from './signature-rows.ts';

export const rowsByFile: Readonly<Record<string, readonly BadInput[]>> = {
  'signature-rows': signatureRows,
  'body-rows': bodyRows,
  'framing-rows': framingRows,
  'http-rows': httpRows,
  'command-rows': commandRows,
  'ops-rows': opsRows,
  'exposure-rows': exposureRows,
};

/** In the order in which the suite runs them. */
export const allRows: readonly BadInput[] = Object.values(rowsByFile).flat();
