// Runs wrk with our Lua script: as many requests as the connections take, each answered before the next.
import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { LoadOptions, LoadResult } from './load.ts';

const script = fileURLToPath(new URL('send.lua', import.meta.url));

export async function runWrk(options: LoadOptions): Promise<LoadResult> {
  const { url, connections, seconds, requests } = options;
  // One thread: more would only take the processor from what is measured.
  const args = ['-t1', `-c${connections}`, `-d${seconds}s`, '--timeout', '10s', '-s', script, url];
  const output = await run('wrk', [...args, '--', requests.path, String(requests.recordBytes)]);
  const json = /^RESULT (.*)$/m.exec(output)?.[1];
  if (!json) throw new Error(`wrk gave no result:\n${output}`);
  const raw = JSON.parse(json) as Record<string, number>;
  const durationSeconds = raw.durationUs! / 1e6;
  const accepted = raw.requests! - raw.refused!;
  return {
    requestsPerSecond: raw.requests! / durationSeconds,
    accepted,
    acceptedPerSecond: accepted / durationSeconds,
    refused: raw.refused!,
    errors: raw.connectErrors! + raw.readErrors! + raw.writeErrors! + raw.timeouts!,
    p50Ms: raw.p50Us! / 1_000,
    p99Ms: raw.p99Us! / 1_000,
    maxMs: raw.maxUs! / 1_000,
    wraps: raw.wraps!,
  };
}

function run(command: string, args: readonly string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'] });
    let output = '';
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (data) => (output += data));
    child.on('error', reject);
    child.on('close', (code) =>
      code === 0 ? resolve(output) : reject(new Error(`${command} exited with ${code}:\n${output}`)),
    );
  });
}
