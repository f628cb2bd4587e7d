// Asks a person at the terminal for a yes.
import { createInterface } from 'node:readline/promises';
import { CommandError } from '../errors.ts';
import type { CommandIo } from './io.ts';

/** @throws CommandError with `rejection` without a terminal, with `declined` if the answer is not yes */
export async function confirm(
  { input, err }: Pick<CommandIo, 'input' | 'err'>,
  { question, rejection, declined }: { question: string; rejection: string; declined: string },
): Promise<void> {
  if (!input.isTTY || !err.isTTY) throw new CommandError(rejection);
  const { promise: closed, reject } = Promise.withResolvers<never>();
  const questions = createInterface({ input, output: err as NodeJS.WritableStream });
  questions.once('close', () => reject(new CommandError(declined))); // Ctrl-C, Ctrl-D
  try {
    const answer = await Promise.race([questions.question(`${question} [y/N] `), closed]);
    if (!/^y(es)?$/i.test(answer.trim())) throw new CommandError(declined);
  } finally {
    questions.close();
  }
}
