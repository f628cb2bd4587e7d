// The limits of repeated bodies: in time, in number, after a purge, and between processes.
import t from 'tap';
import { sha256Of, storedIdOf } from '../faults/unsigned-ids.ts';
import {
  metricsToken,
  newBody,
  openUnsignedInbox,
  ran,
  repeated,
  shopify,
  stored,
  suspected,
} from '../support/unsigned-inbox.ts';
import { waitFor } from '../support/wait.ts';

const { rig, web, other, send, rowsOf, age, purge } = await openUnsignedInbox(t);

t.test('another topic within 72 hours is another event, and later a repeat', async (t) => {
  const bodies = { early: newBody(), late: newBody(), longer: newBody() };
  const first = shopify(bodies.late, 'orders/create');
  t.match(await send(shopify(bodies.early, 'orders/create')), stored);
  t.match(await send(first), stored);
  t.match(await send(shopify(bodies.longer, 'orders/create')), stored);
  await rig.drain();
  await age(bodies.early, '71 hours 50 minutes');
  await age(bodies.late, '72 hours 1 minute');
  await age(bodies.longer, '72 hours 1 minute');
  t.match(await send(shopify(bodies.early, 'orders/paid')), stored);
  t.match(await send(shopify(bodies.late, 'orders/paid')), stored);
  const patient = await rig.web({ SAME_BODY_HOURS: '80' });
  t.match(await send(shopify(bodies.longer, 'orders/paid'), patient), stored);
  await rig.drain();
  t.match(await rowsOf(bodies.early), [ran, ran]);
  t.match(await rowsOf(bodies.late), [ran, suspected(first)]);
  t.match(await rowsOf(bodies.longer), [ran, ran]);
  patient.kill('SIGTERM');
  await patient.exited;
});

t.test('after a purge: ids are duplicates, and bodies suspected replays', async (t) => {
  const body = newBody();
  const [first, second, third] = [shopify(body), shopify(body, 'orders/create'), shopify(body)];
  for (const delivery of [first, second, third]) t.match(await send(delivery), stored);
  await rig.drain();
  await age(body, '40 days');
  await purge(body, 30);
  for (const delivery of [first, second, third]) t.match(await send(delivery), repeated, 'every id is known');
  t.same(await rowsOf(body), []);
  const [fourth, fifth] = [shopify(body), shopify(body, 'orders/cancelled')];
  t.match(await send(fourth), stored);
  t.match(await send(fifth), stored);
  await rig.drain();
  t.match(await rowsOf(body), [suspected(first), suspected(first)]);
  await age(body, '40 days');
  await purge(body, 30);
  for (const delivery of [first, second, third, fourth, fifth]) t.match(await send(delivery), repeated);
  const effects = await rig.pool.query('SELECT event_id FROM effects WHERE event_id = ANY ($1)', [
    [first, second, third, fourth, fifth].map(storedIdOf),
  ]);
  t.equal(effects.rowCount, 2, 'one for each of the two topics');
});

t.test('a body whose first event was purged within 72 hours may still have another topic', async (t) => {
  const body = newBody();
  const first = shopify(body, 'orders/create');
  t.match(await send(first), stored);
  await rig.drain();
  await age(body, '2 days');
  await purge(body, 1);
  t.match(await send(shopify(body, 'orders/paid')), stored);
  t.match(await send(shopify(body, 'orders/create')), stored);
  await rig.drain();
  t.match(await rowsOf(body), [ran, suspected(first)]);
});

async function metric(name: string): Promise<number> {
  const response = await fetch(`${web.url}/metrics`, {
    headers: { authorization: `Bearer ${metricsToken}` },
  });
  const line = (await response.text()).split('\n').find((text) => text.startsWith(`${name} `));
  return Number(line?.split(' ').at(-1) ?? 0);
}

t.test(
  '150 replays of one body in an hour: 100 are kept, and 503 says that the others are not',
  async (t) => {
    const counters = {
      kept: 'postbell_duplicate_anomalies_total{source="shopify",anomaly="suspected_replay"}',
      refused: 'postbell_duplicate_anomalies_total{source="shopify",anomaly="replay_flood"}',
    };
    const before = { kept: await metric(counters.kept), refused: await metric(counters.refused) };
    const body = newBody();
    const first = shopify(body);
    t.match(await send(first), stored);
    const replays = Array.from({ length: 150 }, () => shopify(body));
    const answers = [];
    for (const replay of replays) answers.push(await send(replay));
    t.ok(answers.slice(0, 100).every(({ status, duplicate }) => status === 200 && duplicate === false));
    for (const answer of answers.slice(100))
      t.match(answer, { status: 503, retryAfter: /^\d+$/, answer: /"unavailable"/ });
    await rig.drain();
    t.equal((await rowsOf(body)).length, 101);
    t.equal((await metric(counters.kept)) - before.kept, 100);
    t.equal((await metric(counters.refused)) - before.refused, 50);
    await web.waitForLog(({ reason, level }) =>
      Boolean(
        level === 40 &&
          String(reason) === `more than 100 suspected replays of ${first.id} came within an hour`,
      ),
    );
    t.equal((await rig.pool.query('SELECT FROM pgboss.job')).rowCount, 0, 'no job is left of any');
    const refused = `SELECT sum(rejected)::int AS count FROM rejection_counts WHERE source = 'shopify' AND reason = 'replay_flood'`;
    await waitFor(async () => (await rig.pool.query(refused)).rows[0].count >= 50, {
      what: 'the counts that raise the alert',
    });

    t.match(await send(first), repeated, 'a redelivery of the first is a duplicate, as before');
    t.match(await send(replays[0]!), repeated, 'and one of a replay that is kept');
    t.match(await send(shopify(newBody())), stored, 'other bodies are accepted');
    t.match(await send(shopify(body, 'orders/edited')), stored, 'and another topic of this one');

    const innocent = Array.from({ length: 40 }, () => shopify(newBody()));
    const together = await Promise.all(
      innocent.flatMap((delivery) => [send(delivery), send(shopify(body)), send(delivery)]),
    );
    for (const [index, { status }] of together.entries())
      t.equal(
        status,
        index % 3 === 1 ? 503 : 200,
        'in a batch with innocent deliveries only the flood is refused',
      );
    await rig.drain();
    for (const delivery of innocent) t.match(await rowsOf(delivery.body), [ran]);

    await age(body, '61 minutes');
    t.match(await send(replays[149]!), stored, 'an hour later there is room again');
  },
);

t.test('invented topics of one body are bounded as well', async (t) => {
  const body = newBody();
  const first = shopify(body, 'invented/0');
  t.match(await send(first), stored);
  await rig.pool.query(
    `INSERT INTO webhook_events (source, provider, event_id, topic, payload, body_sha256, unique_body, status, processed_at)
     SELECT source, provider, event_id || n, 'invented/' || n, payload, body_sha256, true, 'PROCESSED', now()
     FROM webhook_events, generate_series(1, 98) n WHERE event_id = $1`,
    [first.id],
  );
  t.match(await send(shopify(body, 'invented/99')), stored);
  t.match(await send(shopify(body, 'invented/100')), stored);
  await rig.drain();
  const rows = await rowsOf(body);
  t.match(
    rows.find(({ topic }) => topic === 'invented/99'),
    ran,
  );
  t.match(
    rows.find(({ topic }) => topic === 'invented/100'),
    suspected(first),
  );
});

t.test('two processes that get the same bodies in opposite orders do not deadlock', async (t) => {
  const operator = await rig.pool.connect();
  const untilAcked = async (delivery: ReturnType<typeof shopify>, to: typeof web) => {
    // On a slow machine the operator's lock may be held longer than a receiver waits.
    for (;;) if ((await send(delivery, to)).status === 200) return;
  };
  for (let round = 0; round < 6; round++) {
    const bodies = Array.from({ length: 120 }, () => newBody());
    // The order by hash is the one that counts; the ids are in that order at one process, and against it at the other.
    const sorted = bodies.toSorted((a, b) => (sha256Of(a) < sha256Of(b) ? -1 : 1));
    const idOf = (prefix: string, index: number) => `${prefix}-${round}-${String(index).padStart(3, '0')}`;
    await operator.query('BEGIN; LOCK TABLE webhook_events IN SHARE MODE');
    const sending = sorted.flatMap((body, index) => [
      untilAcked(shopify(body, 'orders/paid', idOf('up', index)), web),
      untilAcked(shopify(body, 'orders/paid', idOf('down', 999 - index)), other),
    ]);
    // Both processes have their large batches at the table, so that they go through it side by side.
    await waitFor(
      async () =>
        (
          await rig.pool.query(
            `SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'relation'
             AND application_name = 'postbell web'`,
          )
        ).rowCount === 4,
      { what: 'two transactions of each process to wait' },
    );
    await operator.query('COMMIT');
    await Promise.all(sending);
    await rig.drain();
    const { rows } = await rig.pool.query<{ count: number }>(
      `SELECT count(*)::int AS count FROM effects f JOIN webhook_events e USING (event_id)
       WHERE encode(e.body_sha256, 'hex') = ANY ($1)`,
      [bodies.map(sha256Of)],
    );
    t.equal(rows[0]?.count, bodies.length, 'each body ran once');
  }
  operator.release();
  // A session reports what it counted at its end at the latest.
  for (const process of [web, other]) process.kill('SIGTERM');
  await Promise.all([web.exited, other.exited]);
  const { rows } = await rig.pool.query(
    'SELECT deadlocks::int AS deadlocks FROM pg_stat_database WHERE datname = current_database()',
  );
  t.same(rows, [{ deadlocks: 0 }]);
});
