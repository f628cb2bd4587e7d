// /healthz and /readyz for platforms and monitoring. They reveal as little as possible.
import type { FastifyInstance } from 'fastify';

export interface HealthDeps {
  /** Undefined when the database is reachable and its schema new enough; else the reason. The answer is cached. */
  readinessProblem: () => Promise<string | undefined>;
}

export function registerHealth(app: FastifyInstance, { readinessProblem }: HealthDeps): void {
  // No I/O: an outage of the database must not make the platform restart every web process.
  app.get('/healthz', async () => ({ status: 'ok' }));

  app.get('/readyz', async (request, reply) => {
    const problem = await readinessProblem();
    if (problem === undefined) return { status: 'ok' };
    request.log.warn({ reqId: request.id, problem }, 'not ready');
    return reply.code(503).header('retry-after', '5').send({ status: 'unavailable' });
  });
}
