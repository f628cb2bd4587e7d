// The provider of the fault tests: signs, sends, retries until it is answered 2xx, and writes down every answer.

import { createHash } from 'node:crypto';
import { appendFileSync } from 'node:fs';
import { Agent, type IncomingMessage, request } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';
import { type Source, signDelivery } from '../../src/providers/index.ts';
import { parseSources } from '../../src/providers/sources.ts';
import { patienceMs } from '../support/wait.ts';

/** In every body and in the handlers' errors; must never be seen in a log, an answer or a table of errors. */
export const canary = 'PII-CANARY-5d1f';
export const secret = 'whsec_SECRET-CANARY-77c2f0a1';

/** One event to be sent; the same order gives the same bytes. */
export interface Order {
  id: string;
  topic?: string;
  /** For the handler: what to do, see handlers.ts. */
  act?: Record<string, unknown>;
  occurredAtSeconds?: number;
}

/** One delivery and what became of it. */
export interface Sent {
  eventId: string;
  sha256: string;
  /** On this machine's clock, in ms. */
  sentAt: number;
  repliedAt: number;
  status: number | 'timeout' | 'reset';
  duplicate: boolean | null;
  retryAfter: string | null;
  /** Headers and body, to look for what must not be there. */
  answer: string;
}

export interface Sender {
  /** Every delivery so far; whoever sends by other means adds theirs. */
  readonly sent: Sent[];
  deliver(order: Order): Promise<Sent>;
  /** As a provider does: again until 2xx. Fails when that takes longer than `giveUpMs`. */
  deliverUntilAcked(order: Order, giveUpMs?: number): Promise<Sent>;
  close(): void;
}

export const clock = () => performance.timeOrigin + performance.now();
export const isAck = ({ status }: Sent) => typeof status === 'number' && status >= 200 && status < 300;

/** Not as JSON.stringify would write it: a body that was parsed and written again differs. */
export function bodyOf({ id, topic = 'ledger.event', act = {}, occurredAtSeconds }: Order): Buffer {
  const object = JSON.stringify({ ...act, note: `${canary} ü` }).replace('ü', '\\u00fc');
  const created = occurredAtSeconds ?? 1_700_000_000;
  return Buffer.from(
    `{ "object":"event", "type":"${topic}",\n  "created": ${created}.0e0, "data": {"object": ${object}}, "id":"${id}" }\n`,
  );
}

/**
 * @param options.urls where the web processes are now, e.g. http://127.0.0.1:3000; asked for each delivery
 * @param options.file gets one line of JSON per delivery
 */
export function createSender(options: {
  urls: () => readonly string[];
  file: string;
  timeoutMs?: number;
  retryMs?: number;
  maxSockets?: number;
  secret?: string;
  /** Its name; default: stripe. */
  source?: string;
}): Sender {
  const { timeoutMs = 8_000, retryMs = 250, maxSockets = 100 } = options;
  const source = stripeSource(options.secret ?? secret);
  const agent = new Agent({ keepAlive: true, maxSockets });
  const sent: Sent[] = [];
  let turn = 0;
  let isClosed = false;

  async function deliver(order: Order): Promise<Sent> {
    const urls = options.urls();
    const url = `${urls[turn++ % urls.length] ?? 'http://127.0.0.1:1'}/api/webhooks/${options.source ?? 'stripe'}`;
    const body = bodyOf(order);
    const { headers } = signDelivery(source, {
      url,
      body,
      topic: order.topic ?? 'ledger.event',
      now: new Date(),
    });
    const sentAt = clock();
    const reply = await post(url, headers, body, agent, timeoutMs);
    const record: Sent = {
      eventId: order.id,
      sha256: createHash('sha256').update(body).digest('hex'),
      sentAt,
      repliedAt: clock(),
      ...reply,
    };
    sent.push(record);
    appendFileSync(options.file, `${JSON.stringify(record)}\n`);
    return record;
  }

  return {
    sent,
    deliver,
    deliverUntilAcked: async (order, giveUpMs = patienceMs) => {
      const giveUpAt = clock() + giveUpMs;
      for (;;) {
        const record = await deliver(order);
        if (isAck(record)) return record;
        if (isClosed) throw new Error(`${order.id} was not accepted before the end of the test`);
        if (clock() > giveUpAt)
          throw new Error(`${order.id} was not accepted in ${giveUpMs} ms: ${record.status}`);
        await delay(retryMs);
      }
    },
    close: () => {
      isClosed = true;
      agent.destroy();
    },
  };
}

function stripeSource(text: string): Source {
  const { sources, problems } = parseSources({ STRIPE_WEBHOOK_SECRET: text });
  const source = sources.get('stripe');
  if (!source) throw new Error(problems.join('; '));
  return source;
}

type Reply = Pick<Sent, 'status' | 'duplicate' | 'retryAfter' | 'answer'>;

function post(
  url: string,
  headers: Record<string, string>,
  body: Buffer,
  agent: Agent,
  timeoutMs: number,
): Promise<Reply> {
  const noReply = { duplicate: null, retryAfter: null, answer: '' };
  return new Promise((resolve) => {
    const outgoing = request(
      url,
      { method: 'POST', agent, headers: { ...headers, 'content-length': body.length } },
      async (incoming) => {
        const text = await read(incoming).catch(() => undefined);
        clearTimeout(timer);
        resolve(text === undefined ? { status: 'reset', ...noReply } : toReply(incoming, text));
      },
    );
    const timer = setTimeout(() => {
      resolve({ status: 'timeout', ...noReply });
      outgoing.destroy();
    }, timeoutMs);
    outgoing.on('error', () => {
      clearTimeout(timer);
      resolve({ status: 'reset', ...noReply });
    });
    outgoing.end(body);
  });
}

async function read(incoming: IncomingMessage): Promise<string> {
  let text = '';
  for await (const chunk of incoming) text += chunk;
  return text;
}

function toReply(incoming: IncomingMessage, text: string): Reply {
  let duplicate: boolean | null = null;
  try {
    duplicate = (JSON.parse(text) as { duplicate?: boolean }).duplicate ?? null;
  } catch {
    // an answer that is not ours; its text is kept
  }
  return {
    status: incoming.statusCode ?? 0,
    duplicate,
    retryAfter: incoming.headers['retry-after'] ?? null,
    answer: `${JSON.stringify(incoming.headers)} ${text}`,
  };
}
