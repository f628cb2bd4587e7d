// One session: a folder, a Postgres, a Redis where there is one; whatever happens, nothing of it stays.
import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { type Cluster, startCluster } from './machine/postgres.ts';
import { usageOf } from './machine/process.ts';
import { type Redis, startRedis } from './machine/redis.ts';
import type { Options } from './options.ts';
import type { Session, System } from './systems/system.ts';

const root = resolve(import.meta.dirname, '..');
/** Memory where there is some: what the generator reads must not wait for the disk that Postgres writes to. */
const temporaryFolder = existsSync('/dev/shm') ? '/dev/shm' : tmpdir();

export async function withSession<T>(
  options: Pick<Options, 'from' | 'profiles'> & {
    systems: readonly System[];
    watches: boolean;
    say(text: string): void;
  },
  work: (session: Session) => Promise<T>,
): Promise<T> {
  const workFolder = mkdtempSync(join(temporaryFolder, 'postbell-bench-'));
  const cleanUp: (() => Promise<void> | void)[] = [
    () => rmSync(workFolder, { recursive: true, force: true }),
  ];
  process.once('exit', cleanUp[0]!);
  try {
    const cluster: Cluster = await startCluster({ watches: options.watches });
    cleanUp.push(cluster.stop);
    let redis: Redis | undefined;
    if (options.systems.some((system) => system.needsRedis)) {
      // Its log is fsynced: on a disk, not in memory.
      const folder = mkdtempSync(join(tmpdir(), 'postbell-bench-redis-'));
      cleanUp.push(() => rmSync(folder, { recursive: true, force: true }));
      redis = await startRedis(folder);
      cleanUp.push(redis.stop);
    }
    return await work({
      cluster,
      redisUrl: redis?.url,
      workFolder,
      postbell: [...profiling(options.profiles), ...postbellProgram(options.from)],
      storeCpuMs: () => {
        const postgresMs = cluster.cpuMs();
        return postgresMs === undefined ? undefined : postgresMs + ((redis && usageOf(redis.pid).cpuMs) ?? 0);
      },
      say: options.say,
    });
  } finally {
    for (const undo of cleanUp.reverse()) await undo();
  }
}

let isBuilt = false;

/** What node runs for `postbell <verb>`. */
function postbellProgram(from: 'src' | 'dist'): string[] {
  const source = join(root, 'src/cli.ts');
  if (from === 'src') return [existsSync(source) ? source : join(root, 'bench/peers/postbell.ts')];
  if (!isBuilt)
    execFileSync('npm', ['run', '--silent', 'build'], { cwd: root, stdio: ['ignore', 'ignore', 'inherit'] });
  isBuilt = true;
  return [join(root, 'dist/cli.js')];
}

function profiling(folder: string | undefined): string[] {
  return folder ? ['--cpu-prof', `--cpu-prof-dir=${resolve(folder)}`] : [];
}
