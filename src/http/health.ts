// /healthz, /readyz and /metrics for platforms and monitoring. They reveal as little as possible.
import type { FastifyInstance } from 'fastify';
import { sameText } from '../providers/index.ts';
import { sendError } from './error-responses.ts';
import type { Metrics } from './metrics.ts';

export interface HealthDeps {
  /** Undefined when the database is reachable and its schema new enough; else the reason. The answer is cached. */
  readinessProblem: () => Promise<string | undefined>;
  metrics: Metrics;
  /** As METRICS_TOKEN; undefined: no metrics. */
  metricsToken: string | undefined;
}

export function registerHealth(
  app: FastifyInstance,
  { readinessProblem, metrics, metricsToken }: HealthDeps,
): void {
  // No I/O: an outage of the database must not make the platform restart every web process.
  app.get('/healthz', async () => ({ status: 'ok' }));

  app.get('/readyz', async (request, reply) => {
    const problem = await readinessProblem();
    if (problem === undefined) return { status: 'ok' };
    request.log.warn({ reqId: request.id, problem }, 'not ready');
    return reply.code(503).header('retry-after', '5').send({ status: 'unavailable' });
  });

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
