// What a command works with instead of the process itself, so that it can be tested.
import type { Environment } from '../config.ts';

export interface OutputStream {
  write(text: string): unknown;
  isTTY?: boolean;
  /** Width of the terminal; absent where there is none. */
  columns?: number;
}

export interface CommandIo {
  env: Environment;
  out: OutputStream;
  err: OutputStream;
  input: NodeJS.ReadableStream & { isTTY?: boolean };
  /** Where relative paths begin. */
  folder: string;
  /** From now on Ctrl-C aborts the signal, once, instead of ending the process; the second one ends it. */
  interrupted(): AbortSignal;
}

/** Of every verb. */
export interface CommonOptions {
  json?: boolean;
}
