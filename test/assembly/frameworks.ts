// The examples of docs/embedding.md with the real Express, Koa, Hono, Fastify and Next's kind of route. Not part of `npm test`: it
// installs packages from the npm registry. By hand: npx tap test/assembly/frameworks.ts (a minute)
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import t, { type Test } from 'tap';
import { providers, signDelivery } from '../../src/providers/index.ts';
import { makeSource } from '../providers/deliveries.ts';
import { createTestDatabase } from '../support/database.ts';
import { openSession } from '../support/inbox.ts';
import { startProcess } from '../support/processes.ts';
import { waitFor } from '../support/wait.ts';

const root = new URL('../../', import.meta.url);
const { url } = await createTestDatabase(t);
const sql = await openSession(t, url);
const secret = 'whsec_of_the_frameworks_test_01';
const source = makeSource(providers.stripe, secret);
const folder = t.testdir({
  'package.json': '{"type":"module","private":true}',
  handlers: {
    'index.js': `
      import { defineHandler } from ${JSON.stringify(new URL('src/index.ts', root).href)};
      const handle = ({ event, tx }) => tx.query('INSERT INTO effects VALUES ($1)', [event.id]);
      export default [defineHandler({ provider: 'stripe', topic: '*', handle })];`,
  },
});
const packages = ['express', 'koa', 'koa-bodyparser', 'hono', '@hono/node-server', 'fastify'];
execFileSync('npm', ['install', '--no-fund', '--no-audit', ...packages], { cwd: folder, stdio: 'pipe' });

/** The examples of the page, in order. */
const [fastifyExample, expressExample, koaExample, nextExample, workerExample] = [
  ...fs.readFileSync(new URL('docs/embedding.md', root), 'utf8').matchAll(/^```js\n([\s\S]*?)^```/gm),
].map(([, code]) => code!);

const listening = `process.stdout.write(JSON.stringify({ msg: 'listening', port: server.address().port }) + '\\n');`;
const koaStart = `
  import Koa from 'koa';
  import { createWebhookListener } from 'postbell/node';
  const webhooks = createWebhookListener({ path: '/webhooks' });
  const app = new Koa();`;
const koaEnd = `
  const server = app.listen(0, () => { ${listening} });
  process.once('SIGTERM', () => server.close(() => webhooks.close()));`;
const honoStart = `
  import { serve } from '@hono/node-server';
  import { Hono } from 'hono';
  ${nextExample}
  const app = new Hono();`;
const honoEnd = `
  webhooks = createWebhookHandler({ path: '/webhooks' }); // the test waits for it before the first request
  app.all('/webhooks/:source', (c) => answer(c.req.raw));
  const server = serve({ fetch: app.fetch, port: 0 }, () => { ${listening} });
  process.once('SIGTERM', () => { server.close(() => webhooks?.close()); server.closeIdleConnections(); });`;
const expressApp = `${expressExample!.replace('listen(3000)', `listen(0, () => { ${listening} })`)}
  app.post('/own', (request, response) => response.json({ own: request.body }));`;

/** By name: the app's text, and whether it reads bodies before Postbell does. */
const apps: Record<string, { text: string; readsBodies?: boolean }> = {
  fastify: {
    text: `${fastifyExample!.replace('port: 3000', 'port: 0')}
      const { server } = app;
      ${listening}
      process.once('SIGTERM', () => app.close());`,
  },
  express: { text: expressApp },
  'express-after-json': {
    text: expressApp.replace('app.use(', 'app.use(express.json());\napp.use('),
    readsBodies: true,
  },
  koa: { text: `${koaStart}${koaExample}${koaEnd}` },
  'koa-after-bodyparser': {
    text: `import bodyParser from 'koa-bodyparser';${koaStart}app.use(bodyParser());${koaExample}${koaEnd}`,
    readsBodies: true,
  },
  hono: { text: honoStart + honoEnd },
  'hono-after-json': {
    text: `${honoStart}app.use(async (c, next) => { await c.req.text(); await next(); });${honoEnd}`,
    readsBodies: true,
  },
};

/** Starts a file of the app's folder as a process; the package's imports lead to this repository. */
function startApp(t: Test, name: string, text: string) {
  const ours = text.replaceAll(/from 'postbell(?:\/(\w+))?'/g, (_all, entry = 'index') => {
    return `from ${JSON.stringify(new URL(`src/${entry}.ts`, root).href)}`;
  });
  const script = path.join(folder, `${name}.js`);
  fs.writeFileSync(script, ours);
  const env = { DATABASE_URL: url, STRIPE_WEBHOOK_SECRET: secret };
  return startProcess(t, [], { script, cwd: folder, env });
}

function delivery(id: string): RequestInit {
  const body = JSON.stringify({ id, object: 'event', type: 'invoice.paid', created: 1_750_000_000 });
  const { headers } = signDelivery(source, {
    topic: 'invoice.paid',
    now: new Date(),
    url: 'http://a/',
    body,
  });
  return { method: 'POST', headers: { ...headers, 'content-type': 'application/json' }, body };
}

for (const [name, { text, readsBodies = false }] of Object.entries(apps)) {
  t.test(name, async (t) => {
    const app = startApp(t, name, text);
    const { port } = await app.waitForLog('listening');
    await app.waitForLog(({ msg }) => msg === 'ready');
    const address = `http://127.0.0.1:${port}/webhooks/stripe`;
    const answer = await fetch(address, delivery(`evt_${name}`));
    const stored = await sql('SELECT FROM webhook_events WHERE event_id = $1', [`evt_${name}`]);
    if (readsBodies) {
      t.equal(answer.status, 500);
      t.match(await app.waitForLog('the request failed'), { remedy: /before every body parser/ });
      t.equal(stored.length, 0);
    } else {
      t.same([answer.status, await answer.text()], [200, '{"ok":true,"duplicate":false}']);
      t.equal(stored.length, 1);
      t.equal((await fetch(address, { method: 'POST', body: '{}' })).status, 401);
      t.equal((await fetch(address, { method: 'PUT', body: '{}' })).status, 405);
    }
    app.kill('SIGTERM');
    t.same(await app.exited, { code: 0, signal: null }, 'the app ends by itself: nothing is left open');
  });
}

t.test('the worker of the page', async (t) => {
  await sql('CREATE TABLE effects (event_id text)');
  const worker = startApp(t, 'worker', workerExample!);
  await waitFor(async () => (await sql('SELECT FROM effects')).length === 4, {
    what: 'the events of the apps',
  });
  worker.kill('SIGTERM');
  t.same(await worker.exited, { code: 0, signal: null });
});
