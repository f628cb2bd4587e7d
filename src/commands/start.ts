// `postbell start`: web and worker for one small machine. Web runs in this process, the worker in a child process: a handler
// that blocks its event loop, or ends its process, does not stop receiving.
import { CommandError } from '../errors.ts';
import { findHandlersModule } from '../handlers/handler.ts';
import { passOnLogLine } from '../logger.ts';
import { startChild } from '../runtime/child-process.ts';
import { loadConnectedSettings } from '../runtime/settings.ts';
import { superviseWorker } from '../runtime/supervised-worker.ts';
import type { CommandIo } from '../terminal/io.ts';
import { runWeb } from './web.ts';

/** More than the worker needs by itself: SHUTDOWN_TIMEOUT_SECONDS. */
const killReserveMs = 5_000;

/** Always logs JSON lines. The worker starts once web listens. @throws ConfigError, CommandError */
export async function runStart({ env, folder }: CommandIo): Promise<void> {
  const { config } = loadConnectedSettings(env);
  if (!findHandlersModule(config.POSTBELL_HANDLERS, folder)) {
    throw new CommandError(
      'there are no handlers: make handlers/index.ts, or set POSTBELL_HANDLERS to your module',
    );
  }
  const startWorker = () =>
    startChild({
      verb: 'worker',
      env,
      folder,
      // Through this process: the lines of two writers into one pipe could get mixed.
      onLine: passOnLogLine,
      nodeOptions: process.execArgv.filter((option) => !option.startsWith('--inspect')),
      killAfterMs: config.SHUTDOWN_TIMEOUT_SECONDS * 1_000 + killReserveMs,
    });
  await runWeb(env, { json: true }, (log) => superviseWorker(startWorker, log));
}
