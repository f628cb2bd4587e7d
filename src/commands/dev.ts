// `postbell dev`: runs Postgres, web and worker on this machine and reloads the handlers.
import { once } from 'node:events';
import { createServer } from 'node:net';
import path from 'node:path';
import { confirmMigration } from '../dev/confirm-migration.ts';
import { announceRunning, openDevFolder, withdrawRunning } from '../dev/dev-folder.ts';
import { startEmbeddedPostgres } from '../dev/postgres/start.ts';
import { printWelcome } from '../dev/print-welcome.ts';
import { readableLine } from '../dev/readable-log.ts';
import { createReloadingWorker } from '../dev/reloading-worker.ts';
import { ensureSecrets } from '../dev/trial-secrets.ts';
import { createTypeCheck } from '../dev/type-check.ts';
import { watchFolder } from '../dev/watch-folder.ts';
import { parseSources } from '../providers/sources.ts';
import { startChild } from '../runtime/child-process.ts';
import { loadSettings } from '../runtime/settings.ts';
import { listenForStop } from '../runtime/stop-signal.ts';
import type { CommandIo, CommonOptions } from '../terminal/io.ts';
import { printJson, printLine } from '../terminal/print.ts';
import { findHandlers } from './find-handlers.ts';
import { runMigrate } from './migrate.ts';

export interface DevOptions extends CommonOptions {
  /** Do not ask before a database that dev did not make is migrated. */
  yes?: boolean;
}

const interruptedExitCode = 0; // Ctrl-C is the usual end of dev
const defaultPort = 3_000;

/**
 * Runs until Ctrl-C, then ends every process that it started. `io.folder` is the project's folder.
 * @throws ConfigError, CommandError
 */
export async function runDev(io: CommandIo, { json = false, yes = false }: DevOptions): Promise<number> {
  const { env, out: output, folder } = io;
  const say = (text: string) =>
    json
      ? printJson(output, { name: 'dev', msg: text })
      : printLine(output, readableLine('dev', text, false));
  const passOn = (name: string) => (line: string) =>
    printLine(output, json ? line : readableLine(name, line, output.isTTY === true && !env.NO_COLOR));
  const { modulePath: handlersModule } = findHandlers(env, parseSources(env), folder);
  using stop = listenForStop();
  await using started = new AsyncDisposableStack();
  try {
    const devFolder = openDevFolder(folder);
    const secrets = ensureSecrets(devFolder, env);
    const { sources, config } = loadSettings({ ...secrets, ...env });
    const opsPassword = config.OPS_IN_WEB ? (secrets.OPS_PASSWORD ?? 'your OPS_PASSWORD') : undefined;
    if (env.DATABASE_URL && !yes) await confirmMigration(io);
    const postgres = env.DATABASE_URL
      ? undefined
      : await startEmbeddedPostgres({ dataDir: path.join(devFolder, 'postgres'), durable: true });
    started.defer(() => postgres?.stop());
    stop.signal.throwIfAborted();

    const childEnv = {
      ...{ LIVE_REQUESTS: 'true', ...secrets, ...env },
      HOST: env.HOST || '127.0.0.1',
      PORT: String(env.PORT ? config.PORT : await freePort(say)),
      ...(postgres ? { DATABASE_URL: postgres.url } : {}),
    };
    const migrate = () => runMigrate(childEnv, folder);
    await migrate();
    stop.signal.throwIfAborted();

    const web = startChild({ verb: 'web', env: childEnv, folder, onLine: passOn('web') });
    const worker = createReloadingWorker({
      // A worker and its successor run side by side for a moment: they cannot both have the port.
      env: { ...childEnv, METRICS_PORT: '' },
      folder,
      onLine: passOn('worker'),
      say,
      migrate,
    });
    started.defer(async () => {
      await Promise.all([web.stop(), worker.stop()]);
    });
    const opening = Promise.all([web.waitForLog('listening'), web.waitForLog('ready'), worker.reload()]);
    const [{ address }] = await Promise.race([opening, stop.stopped]);
    const webUrl = String(address);
    announceRunning(devFolder, { port: Number(new URL(webUrl).port), databaseUrl: postgres?.url });
    started.defer(() => withdrawRunning(devFolder));
    const codeFolder = handlersModule && folderOfCode(folder, handlersModule);
    const up = { webUrl, databaseUrl: postgres?.url, sources: [...sources.keys()] };
    if (json) printJson(output, { name: 'dev', msg: 'up', ...up });
    else printWelcome(output, { ...up, opsPassword, codeFolder, folder });
    if (handlersModule && codeFolder) {
      const types = createTypeCheck({ handlersModule, folder, say });
      started.defer(types.stop);
      const onChange = async () => {
        types.start();
        await worker.reload();
      };
      started.defer(watchFolder(codeFolder, onChange));
      types.start();
    }
    return await Promise.race([web.broken, stop.stopped]);
  } catch (error) {
    // Ctrl-C reaches the child processes as well: an error after it is its consequence.
    if (!stop.signal.aborted) throw error;
    say('stopping');
    return interruptedExitCode;
  }
}

/** The whole project; or the handlers' folder where it is outside. */
function folderOfCode(folder: string, handlersModule: string): string {
  const isInside = handlersModule.startsWith(path.resolve(folder) + path.sep);
  return isInside ? path.resolve(folder) : path.dirname(handlersModule);
}

/** The default port; 0 (any free port) where another program uses it. */
async function freePort(say: (text: string) => void): Promise<number> {
  const server = createServer();
  try {
    server.listen(defaultPort, '127.0.0.1');
    await once(server, 'listening');
    return defaultPort;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EADDRINUSE') throw error;
    say(`port ${defaultPort} is in use: dev takes another port (set PORT to choose)`);
    return 0;
  } finally {
    if (server.listening) {
      server.close();
      await once(server, 'close');
    }
  }
}
