// Runs the stages of a Dockerfile without a container engine: `/` is a folder, COPY copies, RUN runs. Knows the instructions that
// init's Dockerfile has; any other instruction is an error.
import fs from 'node:fs';
import path from 'node:path';
import { run } from './deployment.ts';

export interface Image {
  /** The WORKDIR of the last stage. */
  folder: string;
  env: Record<string, string>;
  user: string | undefined;
  stopSignal: NodeJS.Signals;
  healthcheck: readonly string[];
  command: readonly string[];
}

interface Stage extends Image {
  root: string;
}

/** @param target an empty folder, for one folder per stage. @param path of the programs that the base image has */
export async function buildImage(context: string, target: string, basePath: string): Promise<Image> {
  const stages = new Map<string, Stage>();
  let stage: Stage | undefined;
  for (const line of instructionsOf(fs.readFileSync(path.join(context, 'Dockerfile'), 'utf8'))) {
    const [, name = '', rest = ''] = /^([A-Z]+)\s+(.*)$/s.exec(line) ?? [];
    if (name === 'FROM') {
      const alias = / AS (\w+)$/.exec(rest)?.[1] ?? String(stages.size);
      stage = newStage(path.join(target, alias), basePath);
      stages.set(alias, stage);
    } else if (stage) await apply(name, rest, stage, { context, stages });
  }
  if (!stage || stages.size < 2) throw new Error('the Dockerfile has less than two stages');
  return stage;
}

function instructionsOf(text: string): string[] {
  return text
    .replaceAll(/^#.*\n/gm, '')
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '');
}

function newStage(root: string, basePath: string): Stage {
  fs.mkdirSync(root, { mode: 0o755 });
  const nothing = { user: undefined, stopSignal: 'SIGTERM' as const, healthcheck: [], command: [] };
  return { ...nothing, root, folder: root, env: { PATH: basePath } };
}

async function apply(
  name: string,
  rest: string,
  stage: Stage,
  { context, stages }: { context: string; stages: ReadonlyMap<string, Stage> },
): Promise<void> {
  switch (name) {
    case 'WORKDIR':
      stage.folder = path.join(stage.root, rest);
      fs.mkdirSync(stage.folder, { recursive: true });
      return;
    case 'ENV':
      for (const [, key, value] of rest.matchAll(/(\w+)=(\S+)/g))
        stage.env[key!] = value!
          .replace('/app', path.join(stage.root, 'app'))
          .replace('$PATH', stage.env.PATH!);
      return;
    case 'COPY':
      return copy(rest.split(/\s+/), stage, { context, stages });
    case 'RUN':
      return void (await run(stage.folder, rest));
    case 'USER':
      stage.user = rest;
      return;
    case 'STOPSIGNAL':
      stage.stopSignal = rest as NodeJS.Signals;
      return;
    case 'HEALTHCHECK':
      stage.healthcheck = JSON.parse(rest.slice(rest.indexOf('['))) as string[];
      return;
    case 'CMD':
      stage.command = JSON.parse(rest) as string[];
      return;
    case 'EXPOSE':
      return;
    default:
      throw new Error(`the Dockerfile has ${name}, which this script does not know`);
  }
}

function copy(
  words: readonly string[],
  stage: Stage,
  { context, stages }: { context: string; stages: ReadonlyMap<string, Stage> },
): void {
  const from = words.find((word) => word.startsWith('--from='))?.slice('--from='.length);
  const [sources, to] = [words.filter((word) => !word.startsWith('--')).slice(0, -1), words.at(-1)!];
  const origin = from === undefined ? context : stages.get(from)!.root;
  const ignored = new Set(
    from === undefined ? fs.readFileSync(path.join(context, '.dockerignore'), 'utf8').split('\n') : [],
  );
  for (const source of sources) {
    const target = to.endsWith('/') && source !== '.' ? path.join(to, path.basename(source)) : to;
    fs.cpSync(path.join(origin, source), path.join(stage.folder, target), {
      recursive: true,
      filter: (file) => !ignored.has(path.relative(context, file)),
    });
  }
}
