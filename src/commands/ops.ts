// `postbell ops`: the operators' page alone, for those who want it apart from the server that the internet reaches.
import type { Environment } from '../config.ts';
import { ConfigError } from '../errors.ts';
import { registerHealth } from '../http/health.ts';
import { listen } from '../http/listen.ts';
import { createServer } from '../http/server.ts';
import { createLogger } from '../logger.ts';
import { registerOps } from '../ops/plugin.ts';
import { loadConnectedSettings } from '../runtime/settings.ts';
import { exitGracefully } from '../runtime/shutdown.ts';
import type { CommonOptions } from '../terminal/io.ts';
import { startWatchdog } from '../watchdog.ts';

/** @throws ConfigError, CommandError */
export async function runOps(env: Environment, { json = false }: CommonOptions = {}): Promise<void> {
  const settings = loadConnectedSettings(env);
  const { config } = settings;
  if (config.OPS_PASSWORD === undefined)
    throw new ConfigError(['OPS_PASSWORD is not set; set it to at least 16 characters']);
  const log = createLogger(config.LOG_LEVEL, 'ops', { isJson: json });
  startWatchdog({ timeoutMs: config.WATCHDOG_SECONDS * 1_000, name: 'ops', log });
  const app = createServer({ bodyLimitBytes: config.BODY_LIMIT_BYTES, log });
  // Without a connection: the page itself says that the database is away.
  registerHealth(app, { readinessProblem: async () => undefined });
  const closeOps = registerOps(app, { settings, log });
  exitGracefully({
    log,
    timeoutMs: config.SHUTDOWN_TIMEOUT_SECONDS * 1_000,
    phases: () => [{ name: 'http', run: () => app.close() }, ...closeOps],
  });
  const settingsOfAddress = { port: 'PORT', host: 'HOST' };
  const address = await listen(app, { port: config.PORT, host: config.HOST, settings: settingsOfAddress });
  log.info({ address: `${address}/ops` }, 'listening');
}
