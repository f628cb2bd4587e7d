// A separate process: every provider's route on a real socket, without a database; rejected requests are diagnosed.
import { createLogger } from '../../src/logger.ts';
import { type Provider, providers } from '../../src/providers/index.ts';
import { createRejectionLog } from '../../src/receive/rejections.ts';
import { createRoute } from '../support/route.ts';
import { sourceOf } from './unproven.ts';

const log = createLogger('silent', 'web');
const app = createRoute(Object.values<Provider>(providers).map(sourceOf), {
  receiver: { submit: async () => ({ duplicate: false }) },
  rejections: createRejectionLog({ query: async () => ({ rows: [], rowCount: 0, command: '' }) }, log),
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
