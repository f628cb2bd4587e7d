// A redis-server of our own for the peers that need one: everysec, as the pattern's authors run it.
import { once } from 'node:events';
import { createConnection } from 'node:net';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { freePort } from './ports.ts';
import { spawnLogged, stopChild } from './process.ts';

export interface Redis {
  url: string;
  pid: number;
  stop(): Promise<void>;
}

export const redisSettings = { appendonly: 'yes', appendfsync: 'everysec', save: '' };

export async function startRedis(folder: string): Promise<Redis> {
  const port = await freePort();
  const args = ['--bind', '127.0.0.1', '--port', String(port), '--dir', folder];
  for (const [key, value] of Object.entries(redisSettings)) args.push(`--${key}`, value);
  const child = spawnLogged('redis-server', args, {}, join(folder, 'redis.log'));
  const url = `redis://127.0.0.1:${port}`;
  for (let tries = 0; ; tries++) {
    try {
      await command(url, 'PING');
      break;
    } catch (error) {
      if (tries === 500 || child.exitCode !== null) throw error;
      await delay(10);
    }
  }
  return { url, pid: child.pid!, stop: () => stopChild(child) };
}

export async function clearRedis(url: string): Promise<void> {
  await command(url, 'FLUSHALL');
  // Else the log of the runs before would be rewritten during a later one.
  await command(url, 'CONFIG SET auto-aof-rewrite-percentage 0');
}

/** One inline command; no client is worth loading for it. */
async function command(url: string, text: string): Promise<string> {
  const socket = createConnection(Number(new URL(url).port), '127.0.0.1');
  try {
    await once(socket, 'connect');
    socket.write(`${text}\r\n`);
    const [data] = (await once(socket, 'data')) as [Buffer];
    const answer = data.toString();
    if (answer.startsWith('-')) throw new Error(`redis: ${answer.trim()}`);
    return answer;
  } finally {
    socket.destroy();
  }
}
