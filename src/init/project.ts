// The project that `postbell init` finds in the folder.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { CommandError } from '../errors.ts';

export type Language = 'typescript' | 'javascript';

/** The parts of a package.json that init reads or extends. */
export interface Manifest extends Record<string, unknown> {
  name?: string;
  type?: string;
  engines?: Record<string, string>;
  scripts?: Record<string, string>;
  dependencies?: Record<string, string>;
  devDependencies?: Record<string, string>;
}

export interface PackageManager {
  name: 'npm' | 'pnpm';
  lockfile: string;
  /** In the project's folder, by hand. */
  install: string;
  /** Exactly what the lockfile names, in CI. */
  installLocked: string;
  /** The same without the packages of development. */
  installForProduction: string;
  /** Before the name of a script. */
  run: string;
  /** Before the name of an installed program. */
  exec: string;
}

export interface Project {
  folder: string;
  /** Lower case, for the names of services. */
  name: string;
  /** Undefined without a package.json. */
  manifest: Manifest | undefined;
  packageManager: PackageManager;
  /** True where Node reads the project's files as ES modules. A new project is made so. */
  isModule: boolean;
  /** Undefined if neither handlers nor TypeScript are there to tell. */
  language: Language | undefined;
  hasHandlers: boolean;
  /** Who runs the test of the example handler, in which files. */
  tests: TestRunner;
}

export interface TestRunner {
  name: 'node' | 'vitest';
  /** Before the extension. Not `.test` where the project's own runner would take the file and cannot run it. */
  suffix: '.test' | '.node-test';
}

const npm: PackageManager = {
  name: 'npm',
  lockfile: 'package-lock.json',
  install: 'npm install',
  installLocked: 'npm ci',
  installForProduction: 'npm ci --omit=dev',
  run: 'npm run',
  exec: 'npx',
};
const pnpm: PackageManager = {
  name: 'pnpm',
  lockfile: 'pnpm-lock.yaml',
  install: 'pnpm install',
  installLocked: 'corepack enable && pnpm install --frozen-lockfile',
  installForProduction: 'corepack enable && pnpm install --frozen-lockfile --prod',
  run: 'pnpm run',
  exec: 'pnpm exec',
};
export const handlersFolder = 'handlers';

/** @throws CommandError where init must not write: Postbell's own repository, foreign handlers, an unreadable package.json */
export function inspectProject(folder: string): Project {
  const manifest = readManifest(folder);
  if (manifest?.name === 'postbell') {
    throw new CommandError("this is Postbell's own repository: run init in the folder of your application");
  }
  const has = (name: string) => existsSync(path.join(folder, name));
  const handlerFiles = ['index.ts', 'index.js'].filter((name) => has(`${handlersFolder}/${name}`));
  if (handlerFiles.length > 0 && !namesPostbell(path.join(folder, handlersFolder))) {
    throw new CommandError(
      `${handlersFolder}/${handlerFiles[0]} exists, and no file in that folder imports postbell: nothing was written. ` +
        'Postbell looks for its handlers there. Rename that folder, or make a module elsewhere and set POSTBELL_HANDLERS',
    );
  }
  const isModule = manifest === undefined || manifest.type === 'module';
  const language = languageOf(handlerFiles[0], has('tsconfig.json') || dependsOn(manifest, 'typescript'));
  return {
    folder,
    name: serviceName(manifest?.name ?? path.basename(folder)),
    manifest,
    packageManager: has(pnpm.lockfile) ? pnpm : npm,
    isModule,
    language,
    hasHandlers: handlerFiles.length > 0,
    tests: testRunnerOf(manifest, isModule),
  };
}

/** True if any list of dependencies names the package. */
export function dependsOn(manifest: Manifest | undefined, name: string): boolean {
  const { dependencies, devDependencies, optionalDependencies, peerDependencies } = manifest ?? {};
  return [dependencies, devDependencies, optionalDependencies, peerDependencies].some(
    (list) => list !== undefined && name in (list as object),
  );
}

function languageOf(handlersModule: string | undefined, usesTypeScript: boolean): Language | undefined {
  if (handlersModule) return handlersModule.endsWith('.ts') ? 'typescript' : 'javascript';
  return usesTypeScript ? 'typescript' : undefined;
}

/** Vitest runs ES modules; Jest runs neither them nor types without a set-up of its own. */
function testRunnerOf(manifest: Manifest | undefined, isModule: boolean): TestRunner {
  const [usesVitest, usesJest] = ['vitest', 'jest'].map((name) => dependsOn(manifest, name));
  if (usesVitest && isModule) return { name: 'vitest', suffix: '.test' };
  return { name: 'node', suffix: usesVitest || usesJest ? '.node-test' : '.test' };
}

function readManifest(folder: string): Manifest | undefined {
  const file = path.join(folder, 'package.json');
  if (!existsSync(file)) return undefined;
  const problem = (why: string) => new CommandError(`package.json cannot be extended: ${why}`);
  let manifest: unknown;
  try {
    manifest = JSON.parse(readFileSync(file, 'utf8'));
  } catch (error) {
    throw problem((error as NodeJS.ErrnoException).code ?? 'it is no JSON');
  }
  if (typeof manifest !== 'object' || manifest === null || Array.isArray(manifest))
    throw problem('it is no object');
  return manifest as Manifest;
}

function namesPostbell(folder: string): boolean {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .some((entry) => /['"]postbell['"]/.test(readFileSync(path.join(entry.parentPath, entry.name), 'utf8')));
}

function serviceName(name: string): string {
  const words = name
    .toLowerCase()
    .replace(/^@[^/]*\//, '')
    .match(/[a-z0-9]+/g);
  return words?.join('-').slice(0, 30).replace(/-$/, '') ?? 'webhooks';
}
