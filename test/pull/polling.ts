// Measures polling: how long an event waits, and how many calls an hour costs. An event every 2 s, RECOVER_MINUTES=1, a real
// worker, a list by time (Stripe) and a feed (Airtable). `npx node test/pull/polling.ts <minutes>`
import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import pg from 'pg';
import { startEmbeddedPostgres } from '../../src/dev/postgres/start.ts';
import { type ApiCall, airtablePath, type Listed, standIns, testKey } from './api.ts';

const minutes = Number(process.argv[2] ?? 30);
const everyMs = 2_000;
const startMs = Date.now();
const eventOf = {
  stripe: (nth: number, at: number) => ({
    id: `evt_${nth}`,
    type: 'invoice.paid',
    created: at / 1_000,
    at,
    data: {},
  }),
  airtable: (nth: number, at: number) => ({
    timestamp: new Date(at).toISOString(),
    at,
    baseTransactionNumber: nth,
  }),
};

type Name = keyof typeof eventOf;
/** What has happened by now. */
const listed = (name: Name): Listed[] =>
  Array.from({ length: Math.floor((Date.now() - startMs) / everyMs) }, (_, nth) => {
    const at = Math.floor((startMs + (nth + 1) * everyMs) / 1_000) * 1_000;
    return { id: `evt_${nth}`, at, item: eventOf[name](nth, at) };
  });
const calls: Record<Name, number> = { stripe: 0, airtable: 0 };
const server = http.createServer(async (request, response) => {
  const url = new URL(request.url!, 'http://api');
  const body = Buffer.concat(await request.toArray()).toString();
  const { method = 'GET', headers } = request;
  const name: Name = url.pathname.startsWith('/v1/') ? 'stripe' : 'airtable';
  calls[name]++;
  const call: ApiCall = { method, path: url.pathname, query: url.searchParams, headers, body };
  const reply = standIns[name](listed(name), call);
  response.writeHead(reply.status ?? 200, { 'content-type': 'application/json' });
  response.end(JSON.stringify(reply.body));
});
await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
const api = `http://127.0.0.1:${(server.address() as { port: number }).port}`;

const postgres = await startEmbeddedPostgres();
const folder = mkdtempSync(path.join(tmpdir(), 'postbell-polling-'));
const handlers = path.join(folder, 'handlers.ts');
writeFileSync(handlers, `export default [{ provider: '*', topic: '*', handle: async () => {} }];\n`);
const env = {
  PATH: process.env.PATH,
  DATABASE_URL: postgres.url,
  POSTBELL_HANDLERS: handlers,
  LOG_LEVEL: 'warn',
  RECOVER_MINUTES: '1',
  STRIPE_API_KEY: testKey,
  STRIPE_API_URL: api,
  AIRTABLE_API_KEY: testKey,
  AIRTABLE_API_URL: api,
  AIRTABLE_API_PATH: airtablePath,
};
const cli = path.resolve(import.meta.dirname, '../../src/cli.ts');
spawnSync(process.execPath, [cli, 'migrate'], { env, cwd: folder, stdio: 'inherit' });
const worker = spawn(process.execPath, [cli, 'worker'], { env, cwd: folder, stdio: 'inherit' });

await delay(minutes * 60_000);
const client = new pg.Client(postgres.url);
await client.connect();
const seconds = (share: number, column: string) =>
  `percentile_cont(${share}) WITHIN GROUP (ORDER BY extract(epoch FROM ${column}) - (payload ->> 'at')::float8 / 1000)`;
const { rows } =
  await client.query(`SELECT source, count(*)::int AS events, ${seconds(0.5, 'received_at')} AS median,
  ${seconds(1, 'received_at')} AS worst, ${seconds(1, 'processed_at')} AS worst_processed FROM webhook_events GROUP BY source`);
for (const row of rows) {
  const callsPerHour = Math.round((calls[row.source as Name] / minutes) * 60);
  process.stdout.write(`${JSON.stringify({ ...row, callsPerHour })}\n`);
}
await client.end();
worker.kill();
await new Promise((resolve) => worker.once('exit', resolve));
await postgres.stop();
server.close();
