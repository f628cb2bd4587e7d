// Names the changes that init leaves to the team.
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { readOwnManifest } from '../runtime/own-manifest.ts';
import type { Answers } from './answers.ts';
import type { PlannedFile } from './plan.ts';
import { handlersFolder, type Project } from './project.ts';

/** The parts of a file that Postbell needs, for a team that has the file already. */
const neededParts: Readonly<Record<string, string>> = {
  Procfile:
    'the lines release and worker of init; `web` too, unless your own app receives the webhooks (docs/embedding.md)',
  'app.json': 'a Postgres, a dyno for the worker, and the variables of the providers',
  'render.yaml':
    'the two services and the database, or DATABASE_URL of yours; the pre-deploy command runs `postbell migrate`',
  Dockerfile:
    'Node 24, the packages, and the handlers; the container runs `postbell web`, `postbell worker` or `postbell migrate`',
  '.dockerignore': '.env, .postbell and node_modules',
  '.github/workflows/postbell.yml': 'a Postgres, `postbell migrate`, and the tests of the handlers',
  [`${handlersFolder}/tsconfig.json`]:
    '"noEmit", "erasableSyntaxOnly", "verbatimModuleSyntax" and "allowImportingTsExtensions", because Node runs the handlers without a build',
  [`${handlersFolder}/package.json`]: '"type": "module"',
};

export function notesFor(
  { folder, manifest, monorepoRoot }: Project,
  { language }: Answers,
  plan: readonly PlannedFile[],
): string[] {
  const notes: string[] = [];
  for (const { path: file, action } of plan) {
    const needed = neededParts[file];
    if (action === 'keep' && needed) notes.push(`${file} is yours; Postbell needs in it: ${needed}`);
  }
  if (monorepoRoot !== undefined)
    notes.push(
      `this folder is a workspace of ${monorepoRoot}: the platforms and CI read their files there, and init writes only here. ` +
        'Add the skipped files by hand: their commands run in this folder, and the packages may be in the node_modules of the root',
    );
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
