// Shopify has no list of events: an event is made of a thing's newest state, where no stored event carries that state.
import t, { type Test } from 'tap';
import { providers, readDrafts } from '../../src/providers/index.ts';
import { createPullReceiver } from '../../src/pull/receiver.ts';
import { recoverTask } from '../../src/pull/recover-task.ts';
import { acceptDrafts } from '../../src/receive/accept.ts';
import { makeSigned } from '../providers/deliveries.ts';
import { atEnd } from '../support/at-end.ts';
import { createCli } from '../support/cli.ts';
import { openInbox } from '../support/inbox.ts';
import { receiversOn } from '../support/receivers.ts';
import { type Listed, shopifyKey, standIns, startApi, testKey } from './api.ts';
import { recovererOn, recoverSourceOf } from './recovering.ts';

const inbox = await openInbox(t);
const { sql } = inbox;
const receiver = receiversOn(inbox)(t);
const run = recovererOn(inbox);
const hourMs = 3_600_000;
const now = Math.floor(Date.now() / 1_000) * 1_000;
t.beforeEach(async () => {
  await sql('DELETE FROM webhook_events');
  await sql('DELETE FROM recoveries');
});

/** Shopify writes the time of the shop's zone. */
const shopTime = (at: number) => new Date(at - 5 * hourMs).toISOString().replace('.000Z', '-05:00');
function thing(resource: string, id: number, updatedAt: number, createdAt = updatedAt - 60_000): Listed {
  const item = { id, created_at: shopTime(createdAt), updated_at: shopTime(updatedAt), total_price: '42.00' };
  return { id: `${resource}-${id}`, at: updatedAt, item };
}

async function openShop(t: Test, things: readonly Listed[], env: Record<string, string> = {}) {
  const api = await startApi(t, (call) => standIns.shopify(things, call, 2));
  return { api, recover: recoverSourceOf('shopify', api.url, { SHOPIFY_API_TOPICS: 'orders', ...env }) };
}

/** The webhook of a state, which arrives now. */
function deliver({ item }: Listed, topic: string, id: string = crypto.randomUUID()) {
  const { source, delivery } = makeSigned(providers.shopify, {
    topic,
    id,
    now: new Date(),
    body: JSON.stringify(item),
  });
  const drafts = readDrafts(source, delivery);
  return acceptDrafts(receiver, {
    source: 'shopify',
    provider: 'shopify',
    drafts,
    headers: {},
    body: delivery.body,
  });
}

const rows = () =>
  sql(
    'SELECT event_id, topic, occurred_at, received_by, payload, job_id FROM webhook_events ORDER BY event_id',
  );

t.test('an event is made of each state, once, and says so', async (t) => {
  const at = now - 600_000;
  const things = [
    thing('orders', 1, at),
    thing('orders', 2, at + 1_000, at + 1_000),
    thing('orders', 3, at + 2_000),
    thing('products', 1, at),
  ];
  const { api, recover } = await openShop(t, things, { SHOPIFY_API_TOPICS: 'orders,products' });
  t.match(await run(t, recover), { recovered: 4, known: 0, pages: 3, way: 'pull', isComplete: true });
  const found = await rows();
  const iso = (ms: number) => new Date(ms).toISOString();
  t.same(
    found.map(({ event_id, topic }) => [event_id, topic]),
    [
      [`made:orders/create:2:${iso(at + 1_000)}`, 'orders/create'],
      [`made:orders/updated:1:${iso(at)}`, 'orders/updated'],
      [`made:orders/updated:3:${iso(at + 2_000)}`, 'orders/updated'],
      [`made:products/update:1:${iso(at)}`, 'products/update'],
    ],
  );
  t.match(found[1], {
    received_by: 'pull',
    occurred_at: new Date(at),
    payload: things[0]!.item,
    job_id: String,
  });
  t.match(await run(t, recover), { recovered: 0, known: 4 });
  t.equal(new Set(found.map(({ job_id }) => job_id)).size, 4);
  t.ok(api.calls.every(({ headers }) => headers['x-shopify-access-token']));

  const changed = thing('orders', 1, now - 1_000);
  things[0] = changed;
  t.match(await run(t, recover), { recovered: 1, known: 3 }, 'a newer state is another event');
});

t.test('a state that a webhook brought, or a newer one, is not made', async (t) => {
  const at = now - 600_000;
  const things = [1, 2, 3, 4].map((id) => thing('orders', id, at));
  const { recover } = await openShop(t, things);
  await deliver(things[0]!, 'orders/paid');
  await deliver(thing('orders', 2, at + 5_000), 'orders/updated');
  await deliver(thing('orders', 3, at - 5_000), 'orders/updated');
  await deliver(things[3]!, 'products/update');
  t.match(await run(t, recover, { isDryRun: true }), { recovered: 2, known: 2 });
  t.match(await run(t, recover), { recovered: 2, known: 2 });
  const made = (await rows()).filter(({ event_id }) => String(event_id).startsWith('made:'));
  t.same(
    made.map(({ payload }) => (payload as { id: number }).id),
    [3, 4],
    'an older state, and a product with the number of an order, do not count',
  );
});

t.test('with webhooks, a state is left alone while its webhook may still arrive', async (t) => {
  const things = [thing('orders', 1, now - hourMs), thing('orders', 2, now - 6 * hourMs)];
  const secret = { SHOPIFY_WEBHOOK_SECRET: 'shpss_0123456789abcdef0123456789abcdef' };
  const { recover } = await openShop(t, things, secret);
  t.match(await run(t, recover), { recovered: 1, known: 0 });
  t.match(await rows(), [{ payload: { id: 2 } }]);
  await deliver(things[0]!, 'orders/updated');
  t.equal((await rows()).length, 2, 'the late webhook of the other is one row and one effect');
  const { recover: onlyPulled } = await openShop(t, things);
  t.match(await run(t, onlyPulled, { since: new Date(now - 12 * hourMs) }), { recovered: 0, known: 2 });
});

t.test('no delivery has an id that begins with made:', async (t) => {
  const order = thing('orders', 1, now - 600_000);
  const id = `made:orders/updated:1:${new Date(order.at).toISOString()}`;
  await deliver(thing('orders', 9, order.at), 'orders/updated', id);
  t.match(await rows(), [{ event_id: /^sha256:[0-9a-f]{64}$/ }]);
  const { recover } = await openShop(t, [order]);
  t.match(await run(t, recover), { recovered: 1 }, 'it cannot take the place of a made event');
});

t.test('asks for no state whose webhook may have been purged', async (t) => {
  const { api, recover } = await openShop(t, []);
  await run(t, recover, { keptDays: 1 });
  const since = Date.parse(api.calls[0]!.query.get('updated_at_min')!);
  t.ok(Math.abs(Date.now() - 24 * hourMs - since) < 10_000, 'a day, and not the usual three');

  const config = { RECOVER_MINUTES: 60, STORE_RAW_BODY: false, PAYLOAD_RETENTION_DAYS: 0 };
  const retentionDays = new Map([['shopify', 1]]);
  const pullReceiver = createPullReceiver(inbox);
  atEnd(t, () => pullReceiver.close());
  const task = recoverTask({ ...inbox, receiver: pullReceiver, recover, config, retentionDays });
  await sql(
    `UPDATE recoveries SET ended_at = now() - interval '9 days', recovered_until = now() - interval '9 days'`,
  );
  await task.pass(new AbortController().signal);
  const sinceOfTask = Date.parse(api.calls.at(-1)!.query.get('updated_at_min')!);
  t.ok(Math.abs(Date.now() - 24 * hourMs - sinceOfTask) < 10_000, "the source's own days");

  const cli = createCli(t, {
    DATABASE_URL: inbox.url,
    SHOPIFY_API_KEY: testKey,
    SHOPIFY_API_URL: api.url,
    SHOPIFY_API_TOPICS: 'orders',
    SHOPIFY_RETENTION_DAYS: '1',
  });
  t.match(await cli.inside(['recover', 'shopify', '--since', '9d']), { code: 0 });
  const sinceOfCommand = Date.parse(api.calls.at(-1)!.query.get('updated_at_min')!);
  t.ok(Math.abs(Date.now() - 24 * hourMs - sinceOfCommand) < 10_000, 'also by hand');
});

t.test('an app of the Dev Dashboard: its id and secret buy a token', async (t) => {
  const { api, recover } = await openShop(t, [thing('orders', 1, now - 1_000)], {
    SHOPIFY_API_KEY: shopifyKey,
  });
  t.match(await run(t, recover), { recovered: 1 });
  t.match(api.calls[0], { method: 'POST', path: '/admin/oauth/access_token' });
});

t.test('Retry-After: 2.0 is waited for; a thing without id or time is refused', async (t) => {
  const { api, recover } = await openShop(t, [thing('orders', 1, now - 1_000)]);
  const real = api.reply;
  const replies = [{ status: 429, headers: { 'retry-after': '2.0' } }];
  api.reply = (call) => replies.shift() ?? real(call);
  const startedAt = performance.now();
  t.match(await run(t, recover), { recovered: 1 });
  t.ok(performance.now() - startedAt >= 1_900);
  api.reply = () => ({ body: { orders: [{ id: 1 }] } });
  await t.rejects(run(t, recover), { message: /has no id where the provider has it/ });
  api.reply = () => ({ body: { orders: ['1'] } });
  await t.rejects(run(t, recover), { message: /has no id where the provider has it/ });
});
