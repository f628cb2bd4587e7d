// A shop that is years old takes Postbell in: its tables have our names, its pg-boss is an older one. It keeps all that it had.
import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { createProject, packedPackage, run, shell } from '../deploy/deployment.ts';
import { createTestDatabase } from '../support/database.ts';
import { openSession } from '../support/inbox.ts';
import { plainEnvironment, startProcess, type TestProcess } from '../support/processes.ts';
import { waitFor } from '../support/wait.ts';

const { url } = await createTestDatabase(t, { migrated: false });
const sql = await openSession(t, url);
const tarball = await packedPackage(t);
const shop = createProject(t);
fs.cpSync(fileURLToPath(new URL('shop/', import.meta.url)), shop, { recursive: true });

const databaseUrl = { DATABASE_URL: url };
const schemas = { POSTBELL_SCHEMA: 'postbell', POSTBELL_QUEUE_SCHEMA: 'postbell_queue' };
const env = { ...databaseUrl, ...schemas, STRIPE_WEBHOOK_SECRET: 'whsec_of_the_shop_0000' };
const read = (file: string) => fs.readFileSync(path.join(shop, file), 'utf8');
const write = (file: string, text: string) => fs.writeFileSync(path.join(shop, file), text);
const postbell = (args: string, more: Record<string, string> = env) =>
  run(shop, `npx --no-install postbell ${args}`, more);
const start = (command: string) =>
  startProcess(t, ...shell(command, { cwd: shop, env: { ...plainEnvironment(), ...env } }));

/** The shop's server, with its address. */
async function openShop(): Promise<TestProcess & { address: string }> {
  const server = start('node server.js');
  const [, address = ''] = await server.waitForOutput(/listens on (http:\S+)/);
  return { ...server, address };
}
const post = (address: string, body: object) =>
  fetch(address, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  });
const rows = async (text: string) => (await sql(text)).map((row) => Object.values(row).join(' '));
async function end(running: TestProcess): Promise<unknown> {
  running.kill('SIGTERM');
  return running.exited;
}
const endsWell = { code: 0, signal: null };

/** All that the shop has in the database, but the rows that its pg-boss writes while nothing happens. */
const shopsOwn = () =>
  rows(`
    SELECT 'table', oid::regclass::text FROM pg_class WHERE relnamespace::regnamespace::text IN ('public', 'pgboss')
    UNION ALL SELECT 'migration', name FROM migrations
    UNION ALL SELECT 'order', concat_ws(' ', id, status) FROM orders
    UNION ALL SELECT 'event', body::text FROM webhook_events
    UNION ALL SELECT 'pg-boss', version::text FROM pgboss.version
    UNION ALL SELECT 'job', concat_ws(' ', data, state) FROM pgboss.job WHERE name = 'mails'
    ORDER BY 1, 2`);
let before: string[];

t.test('the shop, before: an order, a call of its carrier, a mail that waits in its pg-boss', async (t) => {
  await run(shop, 'npm install');
  await run(shop, 'node migrate.js', databaseUrl);
  const server = await openShop();
  t.equal((await post(`${server.address}/orders`, { id: 'order-1', customer: 'Ada' })).status, 201);
  t.equal((await post(`${server.address}/carrier`, { parcel: 'left' })).status, 204);
  t.same(await end(server), endsWell);
  before = await shopsOwn();
  for (const line of ['order order-1 open', 'event {"parcel": "left"}', 'job {"order": "order-1"} created'])
    t.ok(before.includes(line), line);
});

t.test('init adds what is missing to the repository, and changes no line of it', async (t) => {
  const own = ['server.js', 'database.js', 'mails.js', 'migrate.js'].map(read);
  await run(shop, `npm install '${tarball}'`);
  t.match(await postbell('init --yes', {}), /extend +package\.json[\s\S]*create +handlers\/index\.js/);
  t.same(['server.js', 'database.js', 'mails.js', 'migrate.js'].map(read), own);
  t.match(JSON.parse(read('package.json')), {
    scripts: { start: 'node server.js', test: 'node --test' },
    dependencies: { 'pg-boss': '10.4.2' },
  });
  // The embedded Postgres is for development: this shop has its own.
  await run(shop, 'npm install --omit=dev');
});

t.test('migrate refuses, and names the clashes with the remedies; nothing was changed', async (t) => {
  await t.rejects(postbell('migrate', databaseUrl), {
    message: new RegExp(
      [
        'migrate ended with 1:\\nnothing was migrated:',
        '.*: webhook_events \\(table\\); set POSTBELL_SCHEMA to a schema of .* e\\.g\\. postbell.*',
        'the schema pgboss has the pg-boss of another program \\(version \\d+; .*set POSTBELL_QUEUE_SCHEMA .*, e\\.g\\. postbell_queue',
      ].join('\\n'),
    ),
  });
  t.same(await shopsOwn(), before);
  t.same(await rows(`SELECT nspname FROM pg_namespace WHERE nspname ~ 'postbell'`), []);
});

t.test('with the remedies set, migrate leaves alone what the shop has', async (t) => {
  t.match(await postbell('migrate'), /^migrated: schema version/m);
  t.same(await shopsOwn(), before);
  await run(shop, 'npm run postbell:test', env);
});

const handler = `
const { eq } = require('drizzle-orm');
const { drizzle } = require('drizzle-orm/node-postgres');
const { defineHandler, PermanentError } = require('postbell');
const { z } = require('zod');
const { orders } = require('../database.js');

module.exports = defineHandler({
  provider: 'stripe',
  topic: 'payment_intent.succeeded',
  payload: z.object({ data: z.object({ object: z.object({ order: z.string(), amount: z.int() }) }) }),
  async handle({ payload, tx }) {
    const { order, amount } = payload.data.object;
    await drizzle(tx).update(orders).set({ status: 'paid' }).where(eq(orders.id, order));
    if (amount === 0) throw new PermanentError('nothing was paid');
  },
});
`;

/** As docs/embedding.md says, in CommonJS. */
function mountPostbell(): void {
  const edits = [
    [
      'const app = express();\n',
      `const { createWebhookListener } = require('postbell/node');
const webhooks = createWebhookListener({ path: '/webhooks' });
const app = express();
app.use('/webhooks', webhooks.listener); // before express.json()
`,
    ],
    ['server.close(stop)', 'server.close(() => webhooks.close().then(stop))'],
  ] as const;
  const text = edits.reduce((text, [from, to]) => text.replace(from, to), read('server.js'));
  write('server.js', text);
}

t.test("a signed delivery through the shop's own port is PROCESSED; its writes are drizzle's", async (t) => {
  mountPostbell();
  write('handlers/payment-intent-succeeded.js', handler);
  const [server, worker] = [await openShop(), start('node_modules/.bin/postbell worker')];
  await Promise.all([server.waitForLog('ready'), worker.waitForLog('ready')]);
  t.equal((await post(`${server.address}/orders`, { id: 'order-2', customer: 'Bob' })).status, 201);

  const send = async (id: string, order: string, amount: number) => {
    const event = { id, type: 'payment_intent.succeeded', data: { object: { order, amount } } };
    write(`${id}.json`, JSON.stringify(event));
    const to = `--data ${id}.json --url ${server.address}/webhooks/stripe`;
    return postbell(`send stripe payment_intent.succeeded ${to}`);
  };
  t.match(await send('evt_1', 'order-1', 4200), /^200 \{"ok":true,"duplicate":false\}/);
  t.match(await send('evt_1', 'order-1', 4200), /^200 \{"ok":true,"duplicate":true\}/);
  t.match(await send('evt_2', 'order-2', 0), /^200 \{"ok":true/);
  const statuses = () => rows('SELECT event_id, status FROM postbell.webhook_events ORDER BY 1');
  await waitFor(async () => !/PENDING/.test((await statuses()).join()), { what: 'both events to be done' });
  t.same(await statuses(), ['evt_1 PROCESSED', 'evt_2 FAILED']);
  const order = async (id: string) => (await fetch(`${server.address}/orders/${id}`)).json();
  t.match(await order('order-1'), { customer: 'Ada', status: 'paid' });
  t.match(await order('order-2'), { status: 'open' }, "the failed event's write was rolled back");
  t.match(await postbell('events'), /PROCESSED +stripe +evt_1 /);

  t.equal((await post(`${server.address}/webhooks/stripe`, { id: 'evt_3' })).status, 401);
  t.equal((await post(`${server.address}/carrier`, { parcel: 'arrived' })).status, 204);
  t.same(await Promise.all([end(server), end(worker)]), [endsWell, endsWell]);
});

t.test('all that the shop had still works: its rows, and the mails of its own pg-boss', async (t) => {
  const mails = start('node mails.js');
  await waitFor(async () => (await rows('SELECT FROM sent_mails')).length === 2, { what: 'both mails' });
  t.same(await end(mails), endsWell);
  await run(shop, 'node migrate.js', databaseUrl);
  const isChanging = (line: string) => /^(order|event|job) /.test(line);
  t.same(
    (await shopsOwn()).filter((line) => !isChanging(line)),
    before.filter((line) => !isChanging(line)),
  );
  t.same((await shopsOwn()).filter(isChanging), [
    'event {"parcel": "arrived"}',
    'event {"parcel": "left"}',
    'job {"order": "order-1"} completed',
    'job {"order": "order-2"} completed',
    'order order-1 paid',
    'order order-2 open',
  ]);
});
