// Captures without a database behind them: what a closed one costs, and how much an open one may hold.
import t, { type Test } from 'tap';
import type { Database } from '../../src/database/database.ts';
import { providers, type Source, signDelivery } from '../../src/providers/index.ts';
import { createCaptures } from '../../src/receive/captures.ts';
import { captureLog } from '../support/inbox.ts';
import { createRoute } from '../support/route.ts';
import { waitFor } from '../support/wait.ts';

const { stripe } = providers;
const source: Source = { name: 'stripe', provider: stripe, secrets: [stripe.secret.generate().secret] };
const sources = new Map([[source.name, source]]);

/** Notes every statement. Inserts wait until `answer` is called. */
function databaseOf(open: boolean) {
  const statements: string[] = [];
  const inserted: unknown[][] = [];
  const { promise: answered, resolve: answer } = Promise.withResolvers<void>();
  const query = async (statement: { text: string; values?: unknown[] }) => {
    statements.push(statement.text);
    if (statement.text.includes('leftMs'))
      return { rows: open ? [{ source: 'stripe', leftMs: 3_600_000 }] : [] };
    if (!statement.text.includes('INSERT INTO {inbox}.captured_requests')) return { rows: [] };
    await answered;
    inserted.push(statement.values!);
    const count = (statement.values![0] as Buffer).readInt32BE(12);
    return { rows: Array.from({ length: count }, (_, id) => ({ id: id + 1 })) };
  };
  const database = { query, transaction: (work: (tx: unknown) => unknown) => work({ query }) };
  return { database: database as unknown as Database, statements, inserted, answer };
}

function openCaptures(t: Test, parts: ReturnType<typeof databaseOf>, showsAll = false) {
  const { log, logs } = captureLog();
  const captures = createCaptures({
    ...{ database: parts.database, log, sources, waiting: new Map(), host: 'web.1', showsAll },
  });
  captures.start();
  t.teardown(async () => {
    parts.answer();
    await captures.stop();
  });
  return { captures, log, logs };
}

const isRead = ({ statements }: ReturnType<typeof databaseOf>) =>
  waitFor(() => statements.some((text) => text.includes('leftMs')), { what: 'the first look' });

t.test('while no capture is open, requests make no statement and are not handed on', async (t) => {
  const parts = databaseOf(false);
  const { captures, log } = openCaptures(t, parts);
  await isRead(parts);
  const taken: unknown[] = [];
  const watched = { ...captures, note: () => taken.push('note'), take: () => taken.push('take') };
  const app = createRoute([source], {
    receiver: { submit: async () => ({ duplicate: false }) },
    rejections: { record: () => {} },
    log,
    captures: watched,
  });
  t.teardown(() => app.close());
  const url = `${await app.listen({ port: 0, host: '127.0.0.1' })}/webhooks/stripe`;
  for (let count = 0; count < 20; count++) {
    const { headers, body } = signDelivery(source, { topic: 'invoice.paid', now: new Date(), url });
    const right = await fetch(url, { method: 'POST', headers, body: new Uint8Array(body) });
    const wrong = await fetch(url, { method: 'POST', body: 'x' });
    t.strictSame([right.status, wrong.status], [200, 401]);
    await Promise.all([right.text(), wrong.text()]);
  }
  t.strictSame(taken, []);
  t.notOk(parts.statements.some((text) => text.includes('INSERT')));
});

t.test('a database that does not answer: few requests wait, and the rest is counted', async (t) => {
  const parts = databaseOf(true);
  const { captures } = openCaptures(t, parts);
  await waitFor(() => captures.wants('stripe'), { what: 'the capture' });
  t.notOk(captures.wants('github'));
  const requests = 10_000;
  const before = process.memoryUsage().arrayBuffers;
  for (let count = 0; count < requests; count++)
    captures.take(
      { id: `r${count}`, name: 'stripe', method: 'POST', url: '/', headers: {} },
      Buffer.alloc(300_000),
      200,
    );
  globalThis.gc?.();
  const bound = 32 * 1_048_576;
  await waitFor(() => process.memoryUsage().arrayBuffers - before < bound, {
    what: 'the memory to be free again',
  });
  parts.answer();
  const counts = await waitFor(() => parts.statements.find((text) => text.includes('not_shown')), {
    what: 'the number of those not shown',
  });
  t.ok(counts);
  const kept = parts.inserted.reduce((sum, values) => sum + (values[0] as Buffer).readInt32BE(12), 0);
  t.ok(kept >= 1 && kept <= 32, `${kept} were kept: 8 MB wait at most`);
});

t.test('in dev every known source is shown, and no other name', async (t) => {
  const { captures } = openCaptures(t, databaseOf(false), true);
  t.ok(captures.wants('stripe'));
  t.notOk(captures.wants('no-such-source'));
});

t.test('a request that cannot be described is counted, and the others are shown', async (t) => {
  const parts = databaseOf(true);
  const { captures, logs } = openCaptures(t, parts);
  await waitFor(() => captures.wants('stripe'), { what: 'the capture' });
  parts.answer();
  const headers = { 'x-broken': null } as unknown as Record<string, string[]>;
  for (const [id, sent] of [
    ['r1', {}],
    ['r2', headers],
    ['r3', {}],
  ] as const)
    captures.take({ id, name: 'stripe', method: 'POST', url: '/', headers: sent }, Buffer.from('x'), 200);
  await waitFor(() => parts.statements.some((text) => text.includes('not_shown')), { what: 'the count' });
  t.equal(
    parts.inserted.reduce((sum, values) => sum + (values[0] as Buffer).readInt32BE(12), 0),
    2,
  );
  t.match(logs, [{ msg: 'a captured request could not be described' }]);
});

t.test('old requests are deleted at the start and every hour, also where no capture ends', async (t) => {
  const parts = databaseOf(false);
  const { now } = performance;
  t.teardown(() => Object.assign(performance, { now }));
  openCaptures(t, parts, true);
  const purges = () => parts.statements.filter((text) => text.includes('DELETE')).length;
  const reads = () => parts.statements.filter((text) => text.includes('leftMs')).length;
  await waitFor(() => reads() >= 2, { what: 'the second look' });
  t.equal(purges(), 1);
  performance.now = () => now.call(performance) + 3_600_000;
  await waitFor(() => purges() === 2, { what: 'the purge of the next hour', timeoutMs: 3_640_000 });
});

t.test('a flood at one source leaves room for the requests of the others', async (t) => {
  const parts = databaseOf(true);
  const { captures } = openCaptures(t, parts, true);
  await waitFor(() => captures.wants('stripe'), { what: 'the capture' });
  const take = (name: string, id: string) =>
    captures.take({ id, name, method: 'POST', url: '/', headers: {} }, Buffer.alloc(200_000), 200);
  const { now } = performance;
  t.teardown(() => Object.assign(performance, { now }));
  // Each second has room for some requests of a source: over time the flood would take the whole queue.
  for (let second = 0; second < 60; second++) {
    performance.now = () => now.call(performance) + second * 1_000;
    for (let count = 0; count < 20; count++) take('stripe', `flood-${second}-${count}`);
  }
  take('github', 'the-other');
  parts.answer();
  await waitFor(() => parts.statements.some((text) => text.includes('not_shown')), { what: 'the counts' });
  t.ok(
    parts.inserted.some((values) => (values[2] as Buffer).includes('the-other')),
    'the request of the other source',
  );
});
