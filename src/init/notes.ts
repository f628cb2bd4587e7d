// Names the changes that init leaves to the team.
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { readOwnManifest } from '../runtime/own-manifest.ts';
import type { Answers } from './answers.ts';
import { handlersFolder, type Project } from './project.ts';

export function notesFor({ folder, manifest }: Project, { language }: Answers): string[] {
  const notes: string[] = [];
  const needed = readOwnManifest().engines.node;
  const asked = manifest?.engines?.node;
  if (asked !== undefined && asked !== needed)
    notes.push(`package.json asks for Node ${asked}; Postbell needs ${needed}`);
  if (language === 'typescript' && compilesEverything(path.join(folder, 'tsconfig.json')))
    notes.push(
      `tsconfig.json has no "include": add "exclude": ["${handlersFolder}"], which has a tsconfig.json of its own`,
    );
  if (existsSync(path.join(folder, 'yarn.lock')))
    notes.push('there is a yarn.lock, and the new files call npm: put your commands in their place');
  if (!ignoresEnv(path.join(folder, '.gitignore')))
    notes.push('.gitignore does not name .env: add it, because .env holds secrets');
  return notes;
}

/** The file may have comments: no JSON parser reads it. */
function compilesEverything(config: string): boolean {
  return existsSync(config) && !/"(include|files|exclude)"\s*:/.test(readFileSync(config, 'utf8'));
}

function ignoresEnv(file: string): boolean {
  return !existsSync(file) || /^\/?(\*?\.env\b|\.env\*)/m.test(readFileSync(file, 'utf8'));
}
