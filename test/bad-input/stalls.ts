// Slowloris: connections that say a little and then nothing, or a byte a second, and what that costs the others.
import { readFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { patienceMs } from '../support/wait.ts';
import { bytesOf, signed, stripeBody } from './senders.ts';
import type { Stage } from './stage.ts';
import { createAnswerReader } from './wire.ts';

const connections = 2_000;
/** Less than Node's listen backlog (511). */
const atOnce = 250;
const head = 'POST /api/webhooks/stripe HTTP/1.1\r\nHost: postbell.test\r\n';
/** What each of four kinds says before it stalls. */
const beginnings = [
  '',
  head,
  `${head}content-length: 1000\r\n\r\n{"id":`,
  `${head}transfer-encoding: chunked\r\n\r\nffff\r\nab`,
];
const drips = ['', 'x', 'x', 'x'];

export interface Stall {
  endings: { kind: number; status: number | undefined; afterMs: number }[];
  /** Bodies of the answers to deliveries meanwhile. */
  validAnswers: string[];
  /** Body of the answer on a connection that was idle, between two requests, all that time. */
  keptAlive: string | undefined;
  /** Growth of web's memory at the height of it. */
  memoryMb: number;
}

export async function stall(stage: Stage): Promise<Stall> {
  // A process of its own: what is delivered meanwhile must not show in the counts of other tests.
  const { port, process: web } = await stage.newWeb({ DATABASE_URL: stage.databaseUrl });
  const memoryBefore = memoryMbOf(web.pid);
  const idle = connect({ port, host: '127.0.0.1' });
  await askOn(idle);
  const validAnswers: string[] = [];
  let isOver = false;
  const delivering = (async () => {
    while (!isOver) {
      validAnswers.push(await deliver(stage, port));
      await delay(50);
    }
  })();
  const stalls: Promise<Stall['endings'][number]>[] = [];
  while (stalls.length < connections) {
    for (let n = 0; n < atOnce; n++) stalls.push(stallOne(port, n % beginnings.length));
    // Connections are accepted in their order: when a later one is answered, none of these waits in the listen backlog, which
    // a slow machine overruns. One that the server never accepts is not stalled, and no server can end it.
    validAnswers.push(await deliver(stage, port));
  }
  const memoryMb = Math.round(memoryMbOf(web.pid) - memoryBefore);
  const endings = await Promise.all(stalls);
  isOver = true;
  await delivering;
  const keptAlive = await askOn(idle);
  idle.destroy();
  return { endings, validAnswers, keptAlive, memoryMb };
}

async function deliver(stage: Stage, port: number): Promise<string> {
  const { answers } = await stage.exchange(delivery(), { port, answers: 1, timeoutMs: patienceMs });
  return answers[0]?.body ?? 'none';
}

const delivery = () => bytesOf(signed('stripe-eu', { body: stripeBody().body }));

async function stallOne(port: number, kind: number): Promise<Stall['endings'][number]> {
  const startedAt = performance.now();
  const socket = connect({ port, host: '127.0.0.1' });
  const reader = createAnswerReader();
  socket.on('data', (chunk) => reader.add(chunk)).on('error', () => {}); // `close` follows
  socket.write(beginnings[kind]!);
  const drip = setInterval(() => socket.writable && socket.write(drips[kind]!), 1_000);
  const tooLong = setTimeout(() => socket.destroy(), patienceMs);
  await new Promise((resolve) => socket.once('close', resolve)); // `once` would reject for a socket that was reset
  clearInterval(drip);
  clearTimeout(tooLong);
  return { kind, status: reader.answers[0]?.status, afterMs: Math.round(performance.now() - startedAt) };
}

async function askOn(socket: Socket): Promise<string | undefined> {
  const reader = createAnswerReader();
  const answered = new Promise<string | undefined>((resolve) => {
    const onData = (chunk: Buffer) => {
      reader.add(chunk);
      if (reader.answers.length) {
        socket.removeListener('data', onData);
        resolve(reader.answers[0]?.body);
      }
    };
    socket.on('data', onData).once('close', () => resolve(undefined));
  });
  socket.write(delivery());
  return answered;
}

function memoryMbOf(pid: number): number {
  if (process.platform !== 'linux') return 0;
  return Number(/VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) / 1_024;
}
