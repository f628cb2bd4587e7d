// The process around the verbs: its streams, environment, signals and exit code.

import { runProgram } from './commands/program.ts';
import { loadEnvFile, processEnvironment } from './config.ts';
import type { CommandIo } from './terminal/io.ts';
import { reportError } from './terminal/report-error.ts';

/** Runs the command line. Ends the process, unless the verb keeps running (web, worker, start). */
export async function runMain(): Promise<void> {
  endWhenNobodyReads();
  const exitCode = await runCommandLine();
  if (exitCode === undefined) return;
  // The team's module, loaded by doctor, may hold timers and connections: exit explicitly, after the output is written.
  process.stdout.write('', () => process.stderr.write('', () => process.exit(exitCode)));
}

const io: CommandIo = {
  env: processEnvironment,
  out: process.stdout,
  err: process.stderr,
  input: process.stdin,
  folder: process.cwd(),
  interrupted: () => {
    const interruption = new AbortController();
    process.once('SIGINT', () => interruption.abort());
    return interruption.signal;
  },
};

async function runCommandLine(): Promise<number | undefined> {
  try {
    loadEnvFile(io.folder);
    return await runProgram(process.argv.slice(2), io);
  } catch (error) {
    return reportError(io, error);
  }
}

// `postbell events | head`: the reader has closed the pipe. Without a reader of errors the exit code remains.
function endWhenNobodyReads(): void {
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.exit(0);
    throw error;
  });
  process.stderr.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error;
  });
}
