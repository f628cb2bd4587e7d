// The streams, environment and signals that a command gets instead of the process, so that tests can replace them.
import type { Environment } from '../config.ts';

export interface OutputStream {
  write(text: string): unknown;
  isTTY?: boolean;
  /** Width of the terminal; undefined without a terminal. */
  columns?: number;
}

export interface CommandIo {
  env: Environment;
  out: OutputStream;
  err: OutputStream;
  input: NodeJS.ReadableStream & { isTTY?: boolean };
  /** Base of relative paths. */
  folder: string;
  /** From this call on the first Ctrl-C aborts the returned signal; the second Ctrl-C ends the process. */
  interrupted(): AbortSignal;
}

/** Options of every verb. */
export interface CommonOptions {
  json?: boolean;
}
