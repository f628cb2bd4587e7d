// Sends signed events at a fixed rate, whatever the answers do, and notes when each was sent and answered.
import { Agent, request } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';
import { signedEvent, webhookPath } from './requests.ts';

export interface PacedEvent {
  id: string;
  /** When it was due, wall clock in ms: waiting for a free connection counts as latency. */
  sentAtMs: number;
  ackMs: number;
  /** 0: no answer. */
  status: number;
}

export async function runPaced(options: {
  url: string;
  perSecond: number;
  seconds: number;
}): Promise<PacedEvent[]> {
  const { url, perSecond, seconds } = options;
  const agent = new Agent({ keepAlive: true, maxSockets: 256 });
  const clockOffsetMs = wallClockOffsetMs();
  const startedAt = performance.now();
  const sent: Promise<PacedEvent>[] = [];
  for (let index = 0; index < perSecond * seconds; ) {
    const now = performance.now();
    for (; index < perSecond * seconds && startedAt + (index * 1_000) / perSecond <= now; index++) {
      sent.push(sendOne(url + webhookPath, agent, startedAt + (index * 1_000) / perSecond, clockOffsetMs));
    }
    await delay(1);
  }
  const events = await Promise.all(sent);
  agent.destroy();
  return events;
}

function sendOne(url: string, agent: Agent, dueAt: number, clockOffsetMs: number): Promise<PacedEvent> {
  const { id, headers, body } = signedEvent();
  return new Promise((resolve) => {
    const end = (status: number) =>
      resolve({ id, sentAtMs: dueAt + clockOffsetMs, ackMs: performance.now() - dueAt, status });
    const outgoing = request(url, {
      method: 'POST',
      agent,
      headers: { ...headers, 'content-length': body.length },
    });
    outgoing.on('response', (response) => {
      response.resume();
      response.on('end', () => end(response.statusCode ?? 0));
    });
    outgoing.on('error', () => end(0));
    outgoing.end(body);
  });
}

/** Date.now() has whole ms only: waits for its next tick, so that Postgres' clock can be compared with ours. */
function wallClockOffsetMs(): number {
  const before = Date.now();
  let after = before;
  while (after === before) after = Date.now();
  return after - performance.now();
}
