// F34, F35, F47: a snapshot that is held, tables that are full, senders that mean harm.
import { createHmac } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { Agent, request } from 'node:http';
import { createConnection } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { atEnd } from '../../support/at-end.ts';
import { runProcess } from '../../support/processes.ts';
import { startLoad } from '../load.ts';
import type { Rig } from '../rig.ts';
import { testProfile } from '../rig.ts';
import { isAck, type Sent } from '../sender.ts';
import type { Fault } from './fault.ts';

const percentile = (sent: readonly Sent[], share: number) => {
  const times = sent.map(({ sentAt, repliedAt }) => repliedAt - sentAt).toSorted((a, b) => a - b);
  return Math.round(times[Math.min(times.length - 1, Math.floor(times.length * share))] ?? 0);
};

export const heldSnapshot: Fault = {
  id: 'F34',
  title: 'another session holds a snapshot at 200 events a second',
  isAlone: true,
  run: async (context) => {
    context.repeats(1, 1);
    const heldMs = context.isFull ? 120_000 : 10_000;
    const rig = await context.rig();
    await Promise.all([rig.web(), rig.worker()]);
    const load = startLoad(rig, { prefix: 'evt', perSecond: 200 });
    const measure = async (ms: number) => {
      const from = rig.sender.sent.length;
      const processed = await countProcessed(rig);
      await delay(ms);
      return {
        p99: percentile(rig.sender.sent.slice(from), 0.99),
        perSecond: ((await countProcessed(rig)) - processed) / (ms / 1_000),
      };
    };
    await delay(2_000);
    const base = await measure(Math.min(heldMs, 15_000));
    const holder = await rig.pool.connect();
    await holder.query('BEGIN ISOLATION LEVEL REPEATABLE READ');
    await holder.query('SELECT count(*) FROM webhook_events');
    await delay(heldMs / 2);
    const held = await measure(heldMs / 2);
    await holder.query('ROLLBACK');
    holder.release();
    await load.stop();
    const figures = `${Math.round(base.perSecond)} → ${Math.round(held.perSecond)} processed a second, ack p99 ${base.p99} → ${held.p99} ms`;
    context.expect(held.perSecond >= base.perSecond / 2, `too slow under the snapshot: ${figures}`);
    context.note(`held for ${heldMs / 1_000} s (10 min in the plan): ${figures}`);
    await context.balance(rig);
  },
};

async function countProcessed({ pool }: Rig): Promise<number> {
  const { rows } = await pool.query('SELECT count(*)::int AS count FROM effects');
  return rows[0].count;
}

export const fullTables: Fault = {
  id: 'F35',
  title: 'a backlog and a history of many events',
  isAlone: true,
  run: async (context) => {
    context.repeats(1, 1);
    const [finished, pending] = context.isFull ? [1_000_000, 200_000] : [50_000, 10_000];
    const rig = await context.rig();
    const { pool } = rig;
    await pool.query('SET synchronous_commit = off');
    const fill = async (count: number, prefix: string, columns: string, values: string) => {
      for (let from = 0; from < count; from += 50_000)
        await pool.query(`
          INSERT INTO webhook_events (source, provider, event_id, topic, payload, body_sha256, ${columns})
          SELECT 'filled', 'stripe', '${prefix}' || n, 'nobody.handles-it', '{"filled": true}',
            sha256(n::text::bytea), ${values}
          FROM generate_series(${from + 1}, ${Math.min(count, from + 50_000)}) AS n`);
    };
    await fill(
      finished,
      'done_',
      'status, processed_at, received_at',
      `'PROCESSED', now(), now() - n * interval '1 s'`,
    );
    // The backlog comes after an idle time, as Postgres sees it.
    await pool.query('ANALYZE');
    await fill(pending, 'open_', 'status, job_id', `'PENDING', gen_random_uuid()`);
    await pool.query(`
      INSERT INTO pgboss.job (id, name, data, retry_limit, retry_delay, retry_backoff, expire_seconds, start_after, keep_until, policy)
      SELECT job_id, 'webhooks', jsonb_build_object('source', source, 'eventId', event_id), 4, 60, true, 600,
        now() + interval '1 day', now() + interval '1 year', 'standard'
      FROM webhook_events WHERE status = 'PENDING'`);
    const token = 'metrics-token-of-the-fault-tests';
    const [web] = await Promise.all([rig.web({ METRICS_TOKEN: token }), rig.worker()]);
    const from = rig.sender.sent.length;
    const load = startLoad(rig, { prefix: 'evt', perSecond: 50 });
    await delay(context.isFull ? 20_000 : 5_000);
    const scrapeAt = performance.now();
    const scrape = await fetch(`${web.url}/metrics`, { headers: { authorization: `Bearer ${token}` } });
    await scrape.text();
    const scrapeMs = performance.now() - scrapeAt;
    await load.stop();
    const sent = rig.sender.sent.slice(from);
    const { rows } = await pool.query(
      `SELECT percentile_cont(0.99) WITHIN GROUP (ORDER BY extract(epoch FROM processed_at - received_at) * 1000) AS p99
       FROM webhook_events WHERE source = 'stripe' AND status = 'PROCESSED'`,
    );
    const env = { ...testProfile, DATABASE_URL: pool.options.connectionString! };
    const statusAt = performance.now();
    const status = await runProcess(['status', '--json'], { env });
    const statusMs = performance.now() - statusAt;
    context.expect(status.code === 0, `status ended with ${status.code}`);
    context.expect(scrape.status === 200 && scrapeMs < 250, `a scrape took ${Math.round(scrapeMs)} ms`);
    context.expect(
      Number(rows[0].p99) < 1_000,
      `p99 from arrival to PROCESSED is ${Math.round(rows[0].p99)} ms`,
    );
    context.note(
      `${finished.toLocaleString('en')} finished and ${pending.toLocaleString('en')} pending (5,000,000 and 1,000,000 in the plan): ack p99 ${percentile(sent, 0.99)} ms, arrival to PROCESSED p99 ${Math.round(rows[0].p99)} ms, scrape ${Math.round(scrapeMs)} ms, status ${Math.round(statusMs)} ms with its start`,
    );
    await pool.query(`DELETE FROM pgboss.job WHERE data->>'source' = 'filled'`);
    await pool.query(`DELETE FROM webhook_events WHERE source = 'filled'`);
    await context.balance(rig, { ignores: ({ invariant }) => invariant === 'A2' });
  },
};

/** As docs/operations.md has it for a small machine that both processes share. With all the memory of a large machine V8 takes some 100 MB more for any load. */
const smallHeap = '--max-old-space-size=256 --max-semi-space-size=8';

export const hostileSenders: Fault = {
  id: 'F47',
  title: 'slow senders on 2,000 sockets and a flood of forged signatures',
  isAlone: true,
  run: async (context) => {
    context.repeats(1, 1);
    const sockets = context.isFull ? 2_000 : 500;
    const rig = await context.rig();
    const [web] = await Promise.all([rig.web({ NODE_OPTIONS: smallHeap }), rig.worker()]);
    const rss = () =>
      Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${web.pid}/status`, 'utf8'))![1]) / 1_024;
    const commits = async () =>
      Number(
        (await rig.pool.query(`SELECT xact_commit FROM pg_stat_database WHERE datname = current_database()`))
          .rows[0].xact_commit,
      );
    const idle = await commits();
    await delay(3_000);
    const idlePerSecond = ((await commits()) - idle) / 3;
    const flood = startFlood(web.url, 1_000);
    await delay(5_000); // what the engine takes for any load is not what an attack costs
    const before = rss();
    const close = dribble(context.t, web.url, sockets);
    const floodedFrom = await commits();
    const seconds = context.isFull ? 30 : 6;
    await delay(seconds * 1_000);
    const floodPerSecond = ((await commits()) - floodedFrom) / seconds;
    const from = rig.sender.sent.length;
    const load = startLoad(rig, { prefix: 'evt', perSecond: 50 });
    await delay(seconds * 1_000);
    await load.stop();
    const refused = await flood.stop();
    const grown = rss() - before;
    close();
    const sent = rig.sender.sent.slice(from);
    const p99 = percentile(sent, 0.99);
    context.expect(sent.every(isAck), 'a valid delivery was refused');
    context.expect(grown <= 50, `memory grew by ${Math.round(grown)} MB`);
    context.expect(p99 < 1_000, `valid deliveries: p99 ${p99} ms`);
    // One rejection a second is sampled into rejected_requests, and trimmed; every 10 s all are counted.
    context.expect(
      floodPerSecond - idlePerSecond < 6,
      `unsigned traffic caused ${(floodPerSecond - idlePerSecond).toFixed(1)} commits a second`,
    );
    context.note(
      `${refused.toLocaleString('en')} forged requests, all 401; valid p99 ${p99} ms; ${(floodPerSecond - idlePerSecond).toFixed(1)} commits a second above idle (the sample of rejections); memory +${Math.round(grown)} MB`,
    );
    await context.balance(rig);
  },
};

/** Sockets that send the head of a request, then a byte a second. */
function dribble(t: Parameters<typeof atEnd>[0], url: string, count: number): () => void {
  const { hostname, port } = new URL(url);
  const open = Array.from({ length: count }, () => {
    const socket = createConnection({ host: hostname, port: Number(port) });
    socket.on('error', () => {}); // the server may end it, as it should
    socket.write('POST /api/webhooks/stripe HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n');
    return socket;
  });
  const timer = setInterval(() => {
    for (const socket of open) if (socket.writable) socket.write('x');
  }, 1_000);
  const close = () => {
    clearInterval(timer);
    for (const socket of open) socket.destroy();
  };
  atEnd(t, close);
  return close;
}

function startFlood(url: string, perSecond: number) {
  const agent = new Agent({ keepAlive: true, maxSockets: 50 });
  let refused = 0;
  const wrong = `t=${Math.floor(Date.now() / 1_000)},v1=${createHmac('sha256', 'wrong').update('x').digest('hex')}`;
  const timer = setInterval(() => {
    for (let index = 0; index < perSecond / 50; index++) {
      const outgoing = request(`${url}/api/webhooks/stripe`, {
        method: 'POST',
        agent,
        headers: { 'stripe-signature': wrong },
      });
      outgoing.on('response', (incoming) => {
        if (incoming.statusCode === 401) refused++;
        incoming.resume();
      });
      outgoing.on('error', () => {}); // counted by its absence
      outgoing.end('{"id":"evt_forged"}');
    }
  }, 20);
  return {
    stop: async () => {
      clearInterval(timer);
      await delay(500);
      agent.destroy();
      return refused;
    },
  };
}
