// The files of `postbell init`: which are made, which are extended, which stay as they are.
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { CommandError } from '../errors.ts';
import type { Answers } from './answers.ts';
import { deployFiles } from './deploy-files.ts';
import { fillTemplate } from './fill-template.ts';
import { handlerFiles } from './handler-files.ts';
import { extendManifest, manifestAdditions } from './manifest.ts';
import { handlersFolder, type Project } from './project.ts';
import { extendEnvExample, variablesOf } from './variables.ts';

export interface PlannedFile {
  /** In the project's folder. */
  path: string;
  /**
   * `create`: is missing. `extend`: lines are added, none is changed. `same`: has this text already.
   * `keep`: has another text, which stays. `skip`: belongs into the root of the monorepo, where init does not write.
   */
  action: 'create' | 'extend' | 'same' | 'keep' | 'skip';
  /** The text after init; for `keep` and `skip`, the text that init would have written. */
  text: string;
}

export function planFiles(project: Project, answers: Answers): PlannedFile[] {
  const deployed = Object.entries(deployFiles(project, answers));
  return [
    extended(project, 'package.json', (before) =>
      extendManifest(before, manifestAdditions(project, answers.language)),
    ),
    extended(project, '.env.example', (before) => extendEnvExample(before, variablesOf(answers.providers))),
    ...Object.entries(ownFiles(project, answers)).map(([file, text]) => whole(project, file, text)),
    ...deployed.map(
      ([file, text]): PlannedFile =>
        project.monorepoRoot === undefined
          ? whole(project, file, text)
          : { path: path.join(project.monorepoRoot, file), action: 'skip', text },
    ),
  ];
}

/** Writes what is created and extended. @throws CommandError naming the file that cannot be written */
export function writeFiles({ folder }: Project, plan: readonly PlannedFile[]): void {
  for (const { path: name, action, text } of plan) {
    if (action !== 'create' && action !== 'extend') continue;
    const file = path.join(folder, name);
    try {
      mkdirSync(path.dirname(file), { recursive: true });
      writeFileSync(file, text, { flag: action === 'create' ? 'wx' : 'w' });
    } catch (error) {
      throw new CommandError(`${name} cannot be written (${(error as NodeJS.ErrnoException).code})`);
    }
  }
}

/** A project that has handlers keeps them as they are: an example would be in the way. */
function ownFiles(project: Project, { providers, language }: Answers): Record<string, string> {
  const isTyped = language === 'typescript';
  const files: Record<string, string> = { '.gitignore': fillTemplate('gitignore') };
  if (isTyped) files[`${handlersFolder}/tsconfig.json`] = fillTemplate('tsconfig.json');
  // TypeScript's `import` runs in ES modules only. In a project of CommonJS the handlers are a small world of their own.
  if (isTyped && !project.isModule) files[`${handlersFolder}/package.json`] = '{ "type": "module" }\n';
  if (project.hasHandlers) return files;
  const texts = handlerFiles({
    provider: providers[0]!,
    extension: isTyped ? '.ts' : '.js',
    isModule: isTyped || project.isModule,
    tests: project.tests,
  });
  for (const [name, text] of Object.entries(texts)) files[`${handlersFolder}/${name}`] = text;
  return files;
}

function whole({ folder }: Project, name: string, text: string): PlannedFile {
  const before = readIfThere(path.join(folder, name));
  if (before === undefined) return { path: name, action: 'create', text };
  return { path: name, action: before === text ? 'same' : 'keep', text };
}

function extended(
  { folder }: Project,
  name: string,
  extend: (before: string | undefined) => string,
): PlannedFile {
  const before = readIfThere(path.join(folder, name));
  const text = extend(before);
  if (before === undefined) return { path: name, action: 'create', text };
  return { path: name, action: before === text ? 'same' : 'extend', text };
}

function readIfThere(file: string): string | undefined {
  return existsSync(file) ? readFileSync(file, 'utf8') : undefined;
}
