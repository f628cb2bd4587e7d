// The guardian: a process that starts Postgres, and stops it when our process has ended, also after SIGKILL.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import type { Socket } from 'node:net';
import { createInterface } from 'node:readline';
import type { RunAs } from './binaries.ts';

export type StopMode = 'fast' | 'immediate';

/** Name of the file in a data directory that holds the superuser's password. */
export const passwordFile = 'postbell.password';
/** Name of the file in a data directory that contains Postgres' log. */
export const logFile = 'postgres.log';

// A shell: takes 1 MB, and every POSIX system has one. Its standard input is a pipe that only our process holds: the
// kernel closes the pipe when our process ends, also by SIGKILL. A line on the pipe names the mode of the stop. Signals
// of the terminal are ignored: Postgres must survive until our shutdown is finished.
const script = `
bin=$1 data=$2 init=$3 remove=$4 on_end=$5; shift 5
trap '' HUP INT TERM PIPE
exec 3<&0 </dev/null
finish() { [ -z "$remove" ] || rm -rf -- "$remove"; exit "$1"; }
if [ -n "$init" ]; then
  IFS= read -r password <&3 || finish 1
  output=$(printf '%s\\n' "$password" | "$bin/initdb" -D "$init" -U postgres --pwfile=/dev/stdin \\
    --auth=scram-sha-256 --set=scram_iterations=1 --encoding=UTF8 --locale=C --locale-provider=builtin \\
    --builtin-locale=C.UTF-8 --no-sync --no-instructions 2>&1) || { printf '%s\\n' "$output" >&2; finish 1; }
  (umask 077; printf '%s' "$password" >"$init/${passwordFile}") || finish 1
  echo initialised
  read -r answer <&3 && [ "$answer" = go ] || finish 1
fi
"$bin/postgres" -D "$data" "$@" >>"$data/${logFile}" 2>&1 3<&- &
pid=$!
(
  read -r mode <&3 || mode=$on_end
  if [ "$mode" = immediate ]; then signal=QUIT; else signal=INT; fi
  kill -CONT "$pid"; kill -"$signal" "$pid"
  waited=0
  while kill -0 "$pid"; do
    sleep 1
    waited=$((waited + 1))
    [ "$waited" = 10 ] && kill -QUIT "$pid"
    [ "$waited" = 20 ] && kill -KILL "$pid"
  done
) >/dev/null 2>&1 &
watcher=$!
echo "pid $pid"
wait "$pid"
code=$?
kill -KILL "$watcher" 2>/dev/null
[ "$code" = 0 ] || tail -n 12 "$data/${logFile}" >&2
finish "$code"
`;

export interface Guardian {
  /** Fulfilled with Postgres' process id at its start; rejects if the guardian ends before. */
  started: Promise<number>;
  /** Fulfilled when Postgres has ended and `removeFolder` is removed. */
  ended: Promise<void>;
  hasEnded(): boolean;
  /** The last lines of initdb's output or of Postgres' log. Complete after `ended`. */
  errorOutput(): string;
  stop(mode: StopMode): Promise<void>;
  /** Lets our event loop end while Postgres runs. */
  unref(): void;
}

export interface GuardianOptions {
  binFolder: string;
  dataDir: string;
  user: RunAs;
  /** Runs initdb first, in an empty folder. `whenDone` runs before Postgres starts. */
  initialise?: { folder: string; password: string; whenDone: () => void };
  /** A folder that is removed after Postgres has ended. */
  removeFolder?: string;
  /** Mode of the stop when our process has ended. */
  onEnd: StopMode;
  settings: Record<string, string>;
  environment: Record<string, string>;
}

/** Starts a guardian, which runs initdb if asked to and then Postgres. Both run as `user`. */
export function startGuardian(options: GuardianOptions): Guardian {
  const { initialise } = options;
  const settings = Object.entries(options.settings).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
  const child = spawn(
    '/bin/sh',
    [
      ...['-c', script, 'postbell-postgres-guardian', options.binFolder, options.dataDir],
      ...[initialise?.folder ?? '', options.removeFolder ?? '', options.onEnd, ...settings],
    ],
    // A separate session: Ctrl-C goes to the terminal's process group, and Postgres must survive its shutdown.
    { cwd: '/', env: options.environment, detached: true, stdio: ['pipe', 'pipe', 'pipe'], ...options.user },
  );
  const handles = [child, ...([child.stdin, child.stdout, child.stderr] as unknown as Socket[])];
  let errorOutput = '';
  let ended = false;
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    errorOutput = (errorOutput + text).slice(-8_000);
  });
  child.stdin.on('error', () => {}); // the guardian ended before it read: see `ended`
  if (initialise) child.stdin.write(`${initialise.password}\n`);
  const end = once(child, 'close')
    .catch((error: Error) => {
      errorOutput += error.message; // the shell could not be started
    })
    .then(() => {
      ended = true;
      child.stdin.destroy();
    });
  return {
    started: readPid(child, initialise?.whenDone),
    ended: end,
    hasEnded: () => ended,
    errorOutput: () => errorOutput,
    stop: async (mode) => {
      for (const handle of handles) handle.ref();
      child.stdin.end(`${mode}\n`);
      await end;
    },
    unref: () => {
      for (const handle of handles) handle.unref();
    },
  };
}

async function readPid(child: ChildProcess, whenInitialised: (() => void) | undefined): Promise<number> {
  for await (const line of createInterface({ input: child.stdout! })) {
    if (line === 'initialised') {
      whenInitialised?.();
      child.stdin!.write('go\n');
    }
    if (line.startsWith('pid ')) return Number(line.slice(4));
  }
  throw new Error('ended before Postgres was started');
}
