// `postbell start`, as real processes: web goes on receiving whatever becomes of the worker, and neither outlives the other.

import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import t, { type Test } from 'tap';
import { providers, signDelivery } from '../../src/providers/index.ts';
import { makeSource } from '../providers/deliveries.ts';
import { createTestDatabase } from '../support/database.ts';
import { parseExposition } from '../support/exposition.ts';
import { openSession } from '../support/inbox.ts';
import { isRunning, startProcess, type TestProcess } from '../support/processes.ts';
import { waitFor } from '../support/wait.ts';

const { url } = await createTestDatabase(t);
const sql = await openSession(t, url);
const secret = 'whsec_of_the_start_test_00000001';
const source = makeSource(providers.stripe, secret);
const index = new URL('../../src/index.ts', import.meta.url).href;
const cwd = t.testdir({
  empty: {},
  'telemetry.mjs': `
    import { appendFileSync } from 'node:fs';
    import { NodeTracerProvider, SimpleSpanProcessor } from '@opentelemetry/sdk-trace-node';
    const write = (spans) => {
      for (const { name, links } of spans) appendFileSync('spans', name + ' links ' + links.length + '\\n');
    };
    const exporter = { export: (spans, done) => done({ code: write(spans) ?? 0 }), shutdown: async () => {} };
    new NodeTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] }).register();`,
  handlers: {
    'index.js': `
      import { existsSync, writeFileSync } from 'node:fs';
      import { defineHandler } from ${JSON.stringify(index)};
      const block = async () => {
        if (existsSync('blocked')) return;
        writeFileSync('blocked', '');
        for (;;);
      };
      export default [
        defineHandler({ provider: 'stripe', topic: 'test.quick', handle: async () => {} }),
        defineHandler({ provider: 'stripe', topic: 'test.block', handle: block }),
      ];`,
  },
});
const env = {
  DATABASE_URL: url,
  STRIPE_WEBHOOK_SECRET: secret,
  HOST: '127.0.0.1',
  PORT: '0',
  WATCHDOG_SECONDS: '3',
  HEARTBEAT_SECONDS: '10',
  SUPERVISE_SECONDS: '1',
};

async function start(t: Test) {
  const process = startProcess(t, ['start'], { cwd, env });
  const { address } = await process.waitForLog(({ msg }) => msg === 'listening');
  await process.waitForLog(({ msg, name }) => msg === 'ready' && name === 'web');
  return { process, address: `${address}/webhooks/stripe`, worker: await workerAfter(process) };
}

/** The process id of a worker that became ready, other than those before. */
async function workerAfter(process: TestProcess, ...before: number[]): Promise<number> {
  const isNew = (pid: unknown) => !before.includes(Number(pid));
  const { pid } = await process.waitForLog((line) => {
    return line.msg === 'ready' && line.name === 'worker' && isNew(line.pid);
  });
  return Number(pid);
}

async function send(address: string, id: string, topic = 'test.quick'): Promise<number> {
  const body = JSON.stringify({ id, object: 'event', type: topic, created: 1_750_000_000 });
  const { headers } = signDelivery(source, { topic, now: new Date(), url: address, body });
  return (await fetch(address, { method: 'POST', headers, body })).status;
}

const isProcessed = async (id: string) =>
  (await sql('SELECT status FROM webhook_events WHERE event_id = $1', [id]))[0]?.status === 'PROCESSED';

t.test('a blocked and a killed worker are replaced while web goes on receiving', async (t) => {
  const { process, address, worker } = await start(t);
  t.not(worker, process.pid, 'the worker is a process of its own');
  t.equal(await send(address, 'evt_block', 'test.block'), 200);
  for (let n = 0; isRunning(worker); n++) {
    t.equal(await send(address, `evt_while_blocked_${n}`), 200);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  t.match(await process.waitForLog('the worker ended'), {
    name: 'web',
    pid: process.pid,
    end: 'signal SIGKILL',
  });
  const second = await workerAfter(process, worker);
  await waitFor(() => isProcessed('evt_block'), { what: 'the blocking event to be run again' });

  globalThis.process.kill(second, 'SIGKILL');
  t.equal(await send(address, 'evt_killed'), 200);
  const third = await workerAfter(process, worker, second);
  await waitFor(() => isProcessed('evt_killed'), { what: 'the event received without a worker' });

  process.kill('SIGTERM');
  t.same(await process.exited, { code: 0, signal: null });
  t.notOk(isRunning(third), 'the worker has ended before');
  t.match(await process.waitForLog(({ msg, name }) => msg === 'stopped' && name === 'worker'), {
    pid: third,
  });
});

t.test(
  'web and the worker each serve their metrics, to whoever has the token, and trace with an SDK',
  async (t) => {
    const token = 'token-of-the-start-test';
    const process = startProcess(t, ['start'], {
      cwd,
      env: { ...env, METRICS_TOKEN: token, METRICS_PORT: '0', NODE_OPTIONS: '--import ./telemetry.mjs' },
    });
    const [{ address: web }, { address: worker }] = await Promise.all([
      process.waitForLog(({ msg }) => msg === 'listening'),
      process.waitForLog(({ msg, name }) => msg === 'metrics' && name === 'worker'),
    ]);
    t.match(worker, /^http:\/\/127\.0\.0\.1:/);
    const names: string[][] = [];
    for (const address of [web, worker]) {
      t.equal((await fetch(`${address}/metrics`)).status, 401);
      const answer = await fetch(`${address}/metrics`, { headers: { authorization: `Bearer ${token}` } });
      names.push([...parseExposition(await answer.text()).keys()]);
    }
    const [ofWeb, ofWorker] = names as [string[], string[]];
    t.ok(ofWeb.includes('postbell_requests_total') && !ofWeb.includes('postbell_attempts_total'));
    t.ok(
      ofWorker.includes('postbell_attempts_total') && ofWorker.includes('nodejs_eventloop_lag_p99_seconds'),
    );

    const port = new URL(String(worker)).port;
    const taken = startProcess(t, ['worker'], {
      cwd,
      env: { ...env, METRICS_TOKEN: token, METRICS_PORT: port },
      mayFail: true,
    });
    t.same(await taken.exited, { code: 1, signal: null });
    t.match(taken.output(), new RegExp(`port ${port} is in use: set METRICS_PORT`));
    const tokenless = startProcess(t, ['worker'], { cwd, env: { ...env, METRICS_PORT: '0' }, mayFail: true });
    t.same(await tokenless.exited, { code: 78, signal: null });
    t.match(tokenless.output(), /METRICS_PORT needs METRICS_TOKEN/);
    await process.waitForLog(({ msg, name }) => msg === 'ready' && name === 'web');
    t.equal(await send(`${web}/webhooks/stripe`, 'evt_traced'), 200);
    await waitFor(() => isProcessed('evt_traced'), { what: 'the traced event' });
    process.kill('SIGTERM');
    t.same(await process.exited, { code: 0, signal: null });
    t.same(readFileSync(`${cwd}/spans`, 'utf8'), 'receive stripe links 0\nprocess stripe links 1\n');
    await t.rejects(fetch(String(worker)), 'it has stopped listening');
  },
);

t.test('a start that is killed takes its worker along', async (t) => {
  const { process, worker } = await start(t);
  process.kill('SIGKILL');
  await process.exited;
  await waitFor(() => !isRunning(worker), { what: 'the worker to end' });
});

t.test('what cannot work ends the command, and leaves no worker', async (t) => {
  const startWrong = (more: object, folder = cwd) =>
    startProcess(t, ['start'], { cwd: folder, env: { ...env, ...more }, mayFail: true });
  const settings = startWrong({ MAX_ATTEMPTS: 'many' });
  t.same(await settings.exited, { code: 78, signal: null });
  const handlers = startWrong({}, `${cwd}/empty`);
  t.same(await handlers.exited, { code: 1, signal: null });
  t.match(handlers.output(), /there are no handlers/);
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => server.close());
  const { port } = server.address() as { port: number };
  const taken = startWrong({ PORT: String(port) });
  t.same(await taken.exited, { code: 1, signal: null });
  t.match(taken.output(), /port \d+ is in use/);
  t.same(
    taken.logs.filter(({ name }) => name === 'worker'),
    [],
  );
});
