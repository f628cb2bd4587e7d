// Checks the types of the team's handlers with the team's own TypeScript, beside the running worker.
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { text } from 'node:stream/consumers';

export interface TypeCheckOptions {
  /** Absolute. */
  handlersModule: string;
  /** The project's folder: a tsconfig.json above it is not used. */
  folder: string;
  /** Prints a line. */
  say(text: string): void;
}

export interface TypeCheck {
  /** Starts a check, and gives up an earlier one that still runs. Prints the errors, or that there are none. */
  start(): void;
  /** Gives up a check that still runs. */
  stop(): void;
}

const maxLines = 20;

/** Says "not type-checked" with the reason, once, where the project cannot be checked. */
export function createTypeCheck({ handlersModule, folder, say }: TypeCheckOptions): TypeCheck {
  const found = findCompiler(handlersModule, folder);
  if ('reason' in found) {
    say(`not type-checked: ${found.reason}`);
    return { start: () => {}, stop: () => {} };
  }
  const { compiler, config } = found;
  const args = [compiler, '--noEmit', '--pretty', 'false', '-p', config];
  let current: ChildProcess | undefined;

  async function check(): Promise<void> {
    current?.kill();
    const child = spawn(process.execPath, args, { cwd: folder, stdio: ['ignore', 'pipe', 'pipe'] });
    current = child;
    const { promise: failed, reject } = Promise.withResolvers<never>();
    child.on('error', reject);
    const [output, errors] = await Promise.race([
      Promise.all([text(child.stdout), text(child.stderr)]),
      failed,
    ]);
    if (child !== current) return;
    const lines = `${output}${errors}`.trim().split('\n').filter(Boolean);
    for (const line of lines.slice(0, maxLines)) say(line);
    if (lines.length > maxLines) say(`and ${lines.length - maxLines} more lines: tsc -p ${config}`);
    if (lines.length === 0) say('no type errors');
  }

  return {
    start: () => {
      check().catch((error: Error) => say(`not type-checked: ${error.message}`));
    },
    stop: () => {
      current?.kill();
      current = undefined;
    },
  };
}

function findCompiler(
  handlersModule: string,
  folder: string,
): { compiler: string; config: string } | { reason: string } {
  if (!/\.[cm]?ts$/.test(handlersModule)) return { reason: `${path.basename(handlersModule)} is JavaScript` };
  const config = findConfig(path.dirname(handlersModule), folder);
  if (!config) return { reason: 'no tsconfig.json is beside the handlers or above them in this folder' };
  try {
    const manifest = createRequire(handlersModule).resolve('typescript/package.json');
    return { compiler: path.join(path.dirname(manifest), 'bin/tsc'), config };
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'MODULE_NOT_FOUND') throw error;
    return { reason: 'TypeScript is not installed (npm install --save-dev typescript @types/node)' };
  }
}

function findConfig(from: string, folder: string): string | undefined {
  const config = path.join(from, 'tsconfig.json');
  if (existsSync(config)) return config;
  const isTop = from === path.resolve(folder) || from === path.dirname(from);
  return isTop ? undefined : findConfig(path.dirname(from), folder);
}
