// `postbell start`: web and worker for one small machine. Web runs in this process, the worker in a child process: a handler
// that blocks its event loop, or ends its process, does not stop receiving.
import { passOnLogLine } from '../logger.ts';
import { startChild } from '../runtime/child-process.ts';
import { loadConnectedSettings } from '../runtime/settings.ts';
import { superviseWorker } from '../runtime/supervised-worker.ts';
import type { CommandIo } from '../terminal/io.ts';
import { findHandlers } from './find-handlers.ts';
import { runWeb } from './web.ts';

/** Added to SHUTDOWN_TIMEOUT_SECONDS, in which the worker ends unless it hangs. */
const killReserveMs = 5_000;

/** Always logs JSON lines. The worker starts once web listens. @throws ConfigError, CommandError */
export async function runStart({ env, folder }: CommandIo): Promise<void> {
  const settings = loadConnectedSettings(env);
  findHandlers(env, settings, folder); // a worker without any would end at once, again and again
  const startWorker = () =>
    startChild({
      verb: 'worker',
      env,
      folder,
      // Through this process: the lines of two writers into one pipe could get mixed.
      onLine: passOnLogLine,
      nodeOptions: process.execArgv.filter((option) => !option.startsWith('--inspect')),
      killAfterMs: settings.config.SHUTDOWN_TIMEOUT_SECONDS * 1_000 + killReserveMs,
    });
  await runWeb(env, { json: true }, (log) => superviseWorker(startWorker, log));
}
