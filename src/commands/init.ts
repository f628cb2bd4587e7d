// `postbell init`: Postbell in the team's own folder. Makes what is missing, and overwrites nothing.
import { askAnswers, type GivenAnswers } from '../init/answers.ts';
import { starterTopic } from '../init/handler-files.ts';
import { notesFor } from '../init/notes.ts';
import { planFiles, writeFiles } from '../init/plan.ts';
import { printCommands, printPlan, printProviders } from '../init/print-next-steps.ts';
import { inspectProject } from '../init/project.ts';
import { printable } from '../printable.ts';
import type { CommandIo, CommonOptions } from '../terminal/io.ts';
import { printJson, printLine } from '../terminal/print.ts';

export interface InitOptions extends CommonOptions, GivenAnswers {
  /** Print what would be written, and write nothing. */
  dryRun?: boolean;
}

/** @throws CommandError */
export async function runInit(io: CommandIo, options: InitOptions): Promise<number> {
  const { out, folder } = io;
  const { json = false, dryRun = false } = options;
  const project = inspectProject(folder);
  const answers = await askAnswers(io, project, options);
  const plan = planFiles(project, answers);
  if (!dryRun) writeFiles(project, plan);
  if (json) {
    for (const file of plan) printJson(out, { ...file, isWritten: !dryRun && isChange(file.action) });
    return 0;
  }
  const [provider] = answers.providers;
  const topic = starterTopic(provider!);
  printLine(out, dryRun ? 'A dry run: nothing was written.\n' : '');
  printPlan(out, plan);
  if (!plan.some(({ action }) => isChange(action))) printLine(out, '\nNothing was missing.');
  for (const note of notesFor(project, answers, plan)) printLine(out, `\nNote: ${printable(note)}.`);
  printProviders(out, answers.providers, topic);
  printCommands(out, project, provider!, topic);
  return 0;
}

function isChange(action: string): boolean {
  return action === 'create' || action === 'extend';
}
