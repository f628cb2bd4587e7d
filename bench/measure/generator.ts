// How fast the load generator is by itself: the figures of the systems must stay far below.
import { fileURLToPath } from 'node:url';
import { generatorName, runLoad } from '../load/load.ts';
import { freePort } from '../machine/ports.ts';
import { startProgram } from '../machine/process.ts';
import type { Session } from '../systems/system.ts';
import { requestsFor } from './stage.ts';

export interface GeneratorResult {
  name: string;
  requestsPerSecond: number;
}

const connections = 256;
const sink = fileURLToPath(new URL('../load/sink.ts', import.meta.url));

export async function measureGenerator(session: Session, seconds: number): Promise<GeneratorResult> {
  const requests = requestsFor(session, 50_000);
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  const env = { PORT: String(port), RECORD_BYTES: String(requests.recordBytes) };
  const server = await startProgram({ name: 'sink', url, args: [sink], env }, session.workFolder);
  try {
    const { requestsPerSecond } = await runLoad({ url, connections, seconds, requests });
    const name = generatorName();
    session.say(`  ${name} against a server that only counts bytes: ${requestsPerSecond.toFixed(0)}/s`);
    return { name, requestsPerSecond };
  } finally {
    await server.stop();
  }
}
