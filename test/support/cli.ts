// The command line as its users have it, as a process of its own; and the same inside the test's, where many are run.
import { PassThrough } from 'node:stream';
import type { Test } from 'tap';
import { runProgram } from '../../src/commands/program.ts';
import type { CommandIo } from '../../src/terminal/io.ts';
import { reportError } from '../../src/terminal/report-error.ts';
import { temporaryFolder } from './folders.ts';
import { runProcess } from './processes.ts';

export interface CliResult {
  code: number | null | undefined;
  stdout: string;
  stderr: string;
  /** Standard output as JSON, one document per line. */
  documents(): Record<string, unknown>[];
}

interface RunOptions {
  env?: Record<string, string>;
  /** Standard input. */
  input?: string;
}

export interface Cli {
  /** A process with nothing in its environment but what it is given. */
  (args: readonly string[], options?: RunOptions): Promise<CliResult>;
  /** The same without a process, which takes a second to start when the machine is busy; `.env` is not read. */
  inside(args: readonly string[], options?: RunOptions): Promise<CliResult>;
  /** Where it is run, empty at first; `.env` and `handlers/` are looked for here. */
  folder: string;
}

export function createCli(t: Test, ownEnv: Record<string, string> = {}): Cli {
  const folder = temporaryFolder(t);
  const run = async (args: readonly string[], { env, input = '' }: RunOptions = {}) =>
    asResult(await runProcess(args, { cwd: folder, input, env: { ...ownEnv, ...env } }));
  const inside = async (args: readonly string[], { env, input = '' }: RunOptions = {}) => {
    const io = fakeTerminal({ ...ownEnv, ...env });
    for (const stream of [io.out, io.err, io.input]) stream.isTTY = false;
    io.folder = folder;
    io.input.end(input);
    const code = await runProgram(args, io).catch((error) => reportError(io, error));
    return asResult({ code, stdout: io.printed.out, stderr: io.printed.err });
  };
  return Object.assign(run, { inside, folder });
}

function asResult(result: Omit<CliResult, 'documents'>): CliResult {
  const lines = result.stdout.split('\n').filter((line) => line !== '');
  return { ...result, documents: () => lines.map((line) => JSON.parse(line)) };
}

export interface FakeIo extends CommandIo {
  printed: { out: string; err: string };
  input: PassThrough & { isTTY: boolean };
}

/** A terminal of so many columns, typed at through `input`. */
export function fakeTerminal(env: Record<string, string>, columns = 80): FakeIo {
  const printed = { out: '', err: '' };
  const stream = (name: 'out' | 'err') =>
    Object.assign(new PassThrough(), {
      isTTY: true,
      columns,
      write: (chunk: string | Uint8Array) => {
        printed[name] += chunk.toString();
        return true;
      },
    });
  return {
    env,
    out: stream('out'),
    err: stream('err'),
    input: Object.assign(new PassThrough(), { isTTY: true }),
    folder: '/',
    interrupted: () => new AbortController().signal,
    printed,
  };
}
