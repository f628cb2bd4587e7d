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
  /** The path to the monorepo's root, whose workspaces this folder is one of; undefined elsewhere. */
  monorepoRoot: string | undefined;
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
  const code = codeFilesIn(path.join(folder, handlersFolder));
  if (code.length > 0 && !code.some(namesPostbell)) {
    throw new CommandError(
      `${path.relative(folder, code[0]!)} exists, and no file in that folder imports postbell: nothing was written. ` +
        'Postbell looks for its handlers there. Rename that folder, or do without init: docs/getting-started.md, By hand',
    );
  }
  const monorepoRoot = monorepoRootOf(folder);
  const isModule = manifest === undefined || manifest.type === 'module';
  const language = languageOf(handlerFiles[0], has('tsconfig.json') || dependsOn(manifest, 'typescript'));
  return {
    folder,
    name: serviceName(manifest?.name ?? path.basename(folder)),
    manifest,
    packageManager: existsSync(path.join(monorepoRoot ?? folder, pnpm.lockfile)) ? pnpm : npm,
    monorepoRoot: monorepoRoot && path.relative(folder, monorepoRoot),
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

/** The nearest folder above with a package.json decides, inside the repository. */
function monorepoRootOf(folder: string): string | undefined {
  for (let below = folder; !existsSync(path.join(below, '.git')); below = path.dirname(below)) {
    const above = path.dirname(below);
    if (above === below) return undefined;
    if (existsSync(path.join(above, 'pnpm-workspace.yaml'))) return above;
    const manifest = path.join(above, 'package.json');
    if (existsSync(manifest))
      return /"workspaces"\s*:/.test(readFileSync(manifest, 'utf8')) ? above : undefined;
  }
  return undefined;
}

function codeFilesIn(folder: string): string[] {
  if (!existsSync(folder)) return [];
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && /\.[cm]?[jt]sx?$/.test(entry.name))
    .map((entry) => path.join(entry.parentPath, entry.name))
    .sort();
}

function namesPostbell(file: string): boolean {
  return /['"]postbell['"]/.test(readFileSync(file, 'utf8'));
}

function serviceName(name: string): string {
  const words = name
    .toLowerCase()
    .replace(/^@[^/]*\//, '')
    .match(/[a-z0-9]+/g);
  return words?.join('-').slice(0, 30).replace(/-$/, '') ?? 'webhooks';
}
