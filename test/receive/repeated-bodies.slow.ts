// Equal bodies under different ids, where no signature covers the id: every delivery has its row, and a body runs once.
import t from 'tap';
import { storedIdOf, type UnsignedDelivery, unsignedIdsEnvironment } from '../faults/unsigned-ids.ts';
import { createCli } from '../support/cli.ts';
import {
  newBody,
  openUnsignedInbox,
  ran,
  repeated,
  shopify,
  stored,
  suspected,
} from '../support/unsigned-inbox.ts';
import { waitFor } from '../support/wait.ts';

const { rig, databaseUrl, web, other, send, rowsOf } = await openUnsignedInbox(t);
const cli = createCli(t, { DATABASE_URL: databaseUrl });
const newId = () => crypto.randomUUID();
const withoutTopic = (body: string) => ({ ...shopify(body), topic: undefined });

t.test('one body under three topics is three events, and each runs', async (t) => {
  const topics: Record<UnsignedDelivery['source'], readonly string[]> = {
    shopify: ['orders/updated', 'orders/create', 'orders/paid'],
    woocommerce: ['product.created', 'product.updated', 'product.deleted'],
    github: ['push', 'ping', 'star'],
  };
  for (const [source, list] of Object.entries(topics) as [UnsignedDelivery['source'], string[]][]) {
    const body = newBody();
    const deliveries = list.map((topic) => ({ source, topic, body, id: newId() }));
    for (const delivery of deliveries) t.match(await send(delivery), stored, `${source} ${delivery.topic}`);
    await rig.drain();
    t.match(
      await rowsOf(body),
      list.map((topic) => ({ topic, ...ran })),
      source,
    );
    for (const delivery of deliveries) t.match(await send(delivery, other), repeated, 'its own redelivery');
    await waitFor(async () => (await rowsOf(body)).every(({ duplicates }) => duplicates === 1), {
      what: 'each redelivery to be counted on its own event',
    });
  }
});

t.test('one body under three topics at once is three events as well', async (t) => {
  for (let round = 0; round < 5; round++) {
    const body = newBody();
    const answers = await Promise.all(
      ['a', 'b', 'c'].map((topic, index) => send(shopify(body, topic), index % 2 ? web : other)),
    );
    for (const answer of answers) t.match(answer, stored);
    await rig.drain();
    const rows = await rowsOf(body);
    t.equal(rows.length, 3);
    for (const row of rows) t.match(row, ran);
  }
});

t.test('one body under another id is a row that says so, and an operator can run it', async (t) => {
  const body = newBody();
  const bodies = { source: 'woocommerce' as const, topic: 'product.deleted', body };
  const [first, second, third] = [newId(), newId(), newId()].map((id) => ({ ...bodies, id })) as [
    UnsignedDelivery,
    UnsignedDelivery,
    UnsignedDelivery,
  ];
  for (const delivery of [first, second, third]) t.match(await send(delivery), stored);
  for (const delivery of [first, second, third]) t.match(await send(delivery), repeated);
  await rig.drain();
  t.match(await rowsOf(body), [ran, suspected(first), suspected(first)]);

  await rig.pool.query(`UPDATE webhook_events SET status = 'PENDING' WHERE event_id = $1`, [
    storedIdOf(second),
  ]);
  const replayed = await cli(['replay', storedIdOf(third), '--yes']);
  t.equal(replayed.code, 0, replayed.stderr);
  await rig.drain();
  t.match(await rowsOf(body), [ran, ran, ran]);

  const fourth = { ...bodies, id: newId() };
  t.match(await send(fourth), stored);
  t.match((await rowsOf(body))[3], suspected(first), 'the first stays the first');
  const shown = await cli(['show', storedIdOf(fourth)]);
  t.match(shown.stdout, `suspected replay of ${storedIdOf(first)}`);
});

t.test('of two at once exactly one runs', async (t) => {
  for (let round = 0; round < 20; round++) {
    const body = newBody();
    const deliveries = [shopify(body), shopify(body)] as const;
    const answers = await Promise.all([send(deliveries[0]), send(deliveries[1], other)]);
    for (const answer of answers) t.match(answer, stored);
    await rig.drain();
    const rows = await rowsOf(body);
    const first = deliveries.find(({ id }) => rows.some((row) => row.event_id === id && row.effects === 1));
    t.ok(first, 'one ran');
    if (!first) return;
    t.match(
      rows.find(({ event_id }) => event_id !== first.id),
      suspected(first),
    );
    t.equal(rows.length, 2);
  }
});

t.test('a crowd at two processes: one id often, and many ids of one body', async (t) => {
  const body = newBody();
  const ids = Array.from({ length: 20 }, newId);
  const answers = await Promise.all(
    Array.from({ length: 100 }, (_, index) =>
      send(shopify(body, 'orders/paid', ids[index % 20]!), index % 3 ? web : other),
    ),
  );
  t.ok(answers.every(({ status }) => status === 200));
  t.equal(answers.filter(({ duplicate }) => duplicate === false).length, 20, 'each id was new once');
  await rig.drain();
  const rows = await rowsOf(body);
  t.equal(rows.length, 20);
  t.equal(rows.filter(({ effects }) => effects === 1).length, 1);
  t.equal(rows.filter(({ status }) => status === 'IGNORED').length, 19);
});

t.test('a first one that is rolled back leaves the second to run', async (t) => {
  const stopped = await rig.web({ POSTBELL_FAILPOINT: 'web.after-enqueue:stop' });
  const body = newBody();
  const [first, second] = [shopify(body), shopify(body)];
  const unanswered = send(first, stopped).catch(() => 'no answer');
  const waiting = (state: string) => async () =>
    (
      await rig.pool.query(
        `SELECT FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'postbell web' AND ${state}`,
      )
    ).rowCount;
  await waitFor(waiting(`state = 'idle in transaction'`), { what: 'the first to be inserted' });
  const answering = (async () => {
    for (;;) {
      const answer = await send(second);
      // The lock of the first may be held longer than a receiver waits.
      if (answer.status !== 503) return answer;
    }
  })();
  await waitFor(waiting(`wait_event_type = 'Lock'`), { what: 'the second to wait for the first' });
  stopped.kill('SIGKILL');
  t.equal(await unanswered, 'no answer');
  t.match(await answering, stored);
  await rig.drain();
  t.match(await rowsOf(body), [{ event_id: second.id, ...ran }]);
  t.match(await send(first), stored, 'its sender tries again');
  t.match(await rowsOf(body), [ran, suspected(second)]);
});

t.test('whatever became of the first one, a repeat is kept and does not run', async (t) => {
  const states = { FAILED: 'permanent', PENDING: 'wait-until-allowed' };
  for (const [status, act] of Object.entries(states)) {
    const body = newBody({ do: act, ms: 600_000 });
    const [first, second] = [shopify(body), shopify(body)];
    t.match(await send(first), stored);
    if (status === 'FAILED') await rig.waitForStatus(first.id, status);
    t.match(await send(second, other), stored);
    t.match(await rowsOf(body), [{ status }, suspected(first)]);
    await rig.pool.query('INSERT INTO allowed VALUES ($1)', [first.id]);
  }
  await rig.drain();
});

t.test('a topic header that was left out makes no new event, and one that is there does', async (t) => {
  const [known, unknown] = [newBody(), newBody()];
  const first = shopify(known);
  t.match(await send(first), stored);
  t.match(await send(withoutTopic(known)), stored);
  t.match(await send(withoutTopic(unknown)), stored);
  t.match(await send(shopify(unknown)), stored);
  await rig.drain();
  t.match(await rowsOf(known), [ran, { topic: 'unknown', ...suspected(first) }]);
  t.match(await rowsOf(unknown), [{ topic: 'unknown', ...ran }, ran]);
});

t.test('with REPEATED_BODIES=run equal bodies are events of their own', async (t) => {
  const lenient = await rig.web({ SHOPIFY_REPEATED_BODIES: 'run' });
  const body = newBody();
  const deliveries = [shopify(body), shopify(body), shopify(body)];
  for (const delivery of deliveries) t.match(await send(delivery, lenient), stored);
  for (const delivery of deliveries) t.match(await send(delivery, lenient), repeated);
  await rig.drain();
  t.match(await rowsOf(body), [ran, ran, ran]);
  lenient.kill('SIGTERM');
  await lenient.exited;
  const wrong = await cli(['web'], { env: { ...unsignedIdsEnvironment, SHOPIFY_REPEATED_BODIES: 'yes' } });
  t.match(wrong, { code: 78, stderr: /SHOPIFY_REPEATED_BODIES must be run/ });
});
