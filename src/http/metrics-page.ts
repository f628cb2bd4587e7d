// GET /metrics, and the server of a process that has no other page: a worker.
import type { FastifyInstance } from 'fastify';
import type { Logger } from '../logger.ts';
import { sameText } from '../providers/index.ts';
import { sendError } from './error-responses.ts';
import { type ListenAddress, listen } from './listen.ts';
import type { RenderedMetrics } from './process-metrics.ts';
import { createServer } from './server.ts';

export interface MetricsPageDeps {
  metrics: RenderedMetrics;
  /** As METRICS_TOKEN; undefined: no metrics. */
  metricsToken: string | undefined;
}

export function registerMetrics(app: FastifyInstance, { metrics, metricsToken }: MetricsPageDeps): void {
  app.get('/metrics', async (request, reply) => {
    if (metricsToken === undefined) return reply.callNotFound();
    const given = /^Bearer (.{1,500})$/.exec(request.headers.authorization ?? '')?.[1] ?? '';
    if (!sameText(metricsToken, given)) {
      return sendError(reply.header('www-authenticate', 'Bearer'), 401, 'unauthorized');
    }
    const { contentType, text } = await metrics.render();
    return reply.type(contentType).send(text);
  });
}

export interface MetricsServer {
  /** Where it listens, e.g. `http://127.0.0.1:9464`. */
  address: string;
  /** Ends the requests that run: a slow reader must not hold up the end of the process. */
  close(): Promise<void>;
}

/** @throws CommandError as `listen` */
export async function serveMetrics(
  { log, ...page }: MetricsPageDeps & { log: Logger },
  where: ListenAddress,
): Promise<MetricsServer> {
  const app = createServer({ log, bodyLimitBytes: 1_024 });
  registerMetrics(app, page);
  const address = await listen(app, where);
  return {
    address,
    close: async () => {
      const closed = app.close();
      app.server.closeAllConnections();
      await closed;
    },
  };
}
