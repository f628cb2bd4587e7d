// `postbell web`: the receiver. Listens at once, and answers 503 until it has reached the database.
import { randomUUID } from 'node:crypto';
import { Readable } from 'node:stream';
import { createInbox } from '../assembly/inbox.ts';
import type { Environment } from '../config.ts';
import { createAnswerRequest } from '../http/answer-request.ts';
import { registerHealth } from '../http/health.ts';
import { listen } from '../http/listen.ts';
import { registerMetrics } from '../http/metrics-page.ts';
import { createServer } from '../http/server.ts';
import type { WebhookCore } from '../http/webhook-core.ts';
import { registerWebhooks } from '../http/webhooks.ts';
import { createLogger, type Logger } from '../logger.ts';
import type { Deliver } from '../ops/page-deps.ts';
import { registerOps } from '../ops/plugin.ts';
import { asDelivery } from '../providers/index.ts';
import { loadConnectedSettings } from '../runtime/settings.ts';
import { exitGracefully } from '../runtime/shutdown.ts';
import type { CommonOptions } from '../terminal/io.ts';
import { startWatchdog } from '../watchdog.ts';

/** A part that runs beside web in this process, from listening on until the shutdown. */
export type StartBeside = (log: Logger) => { stop(): Promise<void> };

/** @throws ConfigError, CommandError */
export async function runWeb(
  env: Environment,
  { json = false }: CommonOptions = {},
  startBeside?: StartBeside,
): Promise<void> {
  const settings = loadConnectedSettings(env);
  const { config, sources } = settings;
  const log = createLogger(config.LOG_LEVEL, 'web', { isJson: json });
  startWatchdog({ timeoutMs: config.WATCHDOG_SECONDS * 1_000, name: 'web', log });
  const inbox = createInbox({ settings, log, measuresProcess: true });
  const app = createServer({ bodyLimitBytes: config.BODY_LIMIT_BYTES, log });
  registerHealth(app, inbox);
  registerMetrics(app, { metrics: inbox.metrics, metricsToken: config.METRICS_TOKEN });
  registerWebhooks(app, inbox.core);
  const deliver = deliverTo(inbox.core);
  const closeOps = config.OPS_IN_WEB ? registerOps(app, { settings, log, deliver }) : [];
  let beside: ReturnType<StartBeside> | undefined;
  exitGracefully({
    log,
    timeoutMs: config.SHUTDOWN_TIMEOUT_SECONDS * 1_000,
    phases: () => {
      const besideStopped = beside?.stop();
      return [
        { name: 'http', run: () => app.close() },
        ...inbox.beginClosing(),
        ...closeOps,
        { name: 'beside', run: async () => besideStopped },
      ];
    },
  });

  const settingsOfAddress = { port: 'PORT', host: 'HOST' };
  const address = await listen(app, { port: config.PORT, host: config.HOST, settings: settingsOfAddress });
  log.info({ address, sources: [...sources.keys()] }, 'listening');
  beside = startBeside?.(log);
  if (sources.size === 0)
    log.warn('no source is on: set <SOURCE>_WEBHOOK_SECRET, e.g. STRIPE_WEBHOOK_SECRET');

  await inbox.open();
  log.info('ready');
}

/** As a request that arrived by HTTP, without the network in between. */
function deliverTo(core: WebhookCore): Deliver {
  const answerRequest = createAnswerRequest(core);
  return (name, request) => {
    const { method, url, headers, body } = asDelivery(request, new Date());
    const length = { 'content-length': [String(body.length)] };
    const webhook = { id: randomUUID(), name, method, url, headers: { ...headers, ...length } };
    return answerRequest(webhook, () => Readable.from([body]));
  };
}
