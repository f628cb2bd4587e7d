// A process of its own: every provider's route on a real socket, without a database; refused requests are diagnosed.

import { createMetrics } from '../../src/http/metrics.ts';
import { createServer } from '../../src/http/server.ts';
import { webhooks } from '../../src/http/webhooks.ts';
import { createLogger } from '../../src/logger.ts';
import { type Provider, providers } from '../../src/providers/index.ts';
import { createRejectionLog } from '../../src/receive/rejections.ts';
import { sourceOf } from './unproven.ts';

const sources = Object.values<Provider>(providers).map(sourceOf);
const log = createLogger('silent', 'web');
const [metrics, bodyLimitBytes] = [createMetrics(), 1_048_576];
const app = createServer({
  metrics,
  metricsToken: undefined,
  readinessProblem: async () => undefined,
  bodyLimitBytes,
  log,
});
app.register(webhooks, {
  sources: new Map(sources.map((source) => [source.name, source])),
  waiting: new Map(),
  storedSources: { has: () => false },
  secretHandover: { accept: async () => false },
  receiver: { submit: async () => ({ duplicate: false }) },
  rejections: createRejectionLog({ query: async () => ({ rows: [], rowCount: 0, command: '' }) }, log),
  metrics,
  storesRawBody: false,
  bodyLimitBytes,
  log,
});
const address = await app.listen({ port: 0, host: '127.0.0.1' });
process.stdout.write(`${JSON.stringify({ msg: 'listening', address })}\n`);

// How long the thread worked without a turn for anybody else, in CPU time: a busy machine does not count.
let workedMs = cpuMs();
let longestTurnMs = 0;
setInterval(() => {
  const now = cpuMs();
  if (now - workedMs > longestTurnMs) {
    longestTurnMs = now - workedMs;
    process.stdout.write(`${JSON.stringify({ longestTurnMs })}\n`);
  }
  workedMs = now;
}, 5).unref();
process.once('SIGTERM', () => void app.close());

function cpuMs(): number {
  const { user, system } = process.threadCpuUsage();
  return (user + system) / 1_000;
}
