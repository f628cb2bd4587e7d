// forwardTo: what the team's app gets, and what its answer does to the event.
import { createHmac, randomBytes } from 'node:crypto';
import t from 'tap';
import type { NewEvent } from '../../src/events/event.ts';
import { forwardTo } from '../../src/index.ts';
import { type AttemptOptions, failuresOf, openJobsOf, rowOf, runNext } from '../support/attempt.ts';
import { newEvent, openInbox, storeEvents } from '../support/inbox.ts';
import { freePort } from '../support/ports.ts';
import { type Answering, startApp } from './app.ts';

const key = randomBytes(32);
const secret = `whsec_${key.toString('base64')}`;
const inbox = await openInbox(t);
const app = await startApp(t);
const ok: Answering = (response) => response.writeHead(204).end();
const to = (url = app.url) => [forwardTo({ provider: 'stripe', topic: 'invoice.*', url, secret })];

/** Forwards one new event, once. */
async function forward(
  event: Partial<NewEvent> = {},
  {
    answer = ok,
    handlers = to(),
    ...options
  }: AttemptOptions & { answer?: Answering; handlers?: ReturnType<typeof to> } = {},
) {
  app.answer = answer;
  app.received = [];
  const stored = newEvent(event);
  await storeEvents(inbox, [stored]);
  const { kind } = await runNext(inbox, handlers, options);
  const { status, last_error: error, failures, deferrals } = await rowOf(inbox, stored);
  const [job] = await openJobsOf(inbox, stored);
  await inbox.sql(`UPDATE webhook_events SET status = 'IGNORED' WHERE status = 'PENDING'`);
  await inbox.sql('DELETE FROM pgboss.job');
  return { kind, status, error, failures, deferrals, job, event: stored, request: app.received[0], app };
}

t.test('the app gets the bytes as received, signed under the event’s id', async (t) => {
  const rawBody = Buffer.from('{ "amount": 1.50, "amount": 2,\n"naïve": "é" }');
  const headers = { 'content-type': 'application/json; charset=utf-8', 'user-agent': 'Stripe/1.0' };
  const { status, request, event } = await forward({ rawBody, headers });
  t.equal(status, 'PROCESSED');
  t.match(request, { method: 'POST', path: '/hooks?from=postbell' });
  t.same(request?.body, rawBody);
  t.match(request?.headers, {
    'content-type': 'application/json; charset=utf-8',
    'content-length': String(rawBody.length),
    'webhook-id': event.eventId,
    'postbell-source': 'stripe',
    'postbell-topic': 'invoice.paid',
    'postbell-attempt': '1',
    traceparent: /^00-[0-9a-f]{32}-[0-9a-f]{16}-01$/,
  });
  const sentAt = String(request?.headers['webhook-timestamp']);
  t.ok(Math.abs(Number(sentAt) - Date.now() / 1_000) < 300);
  const signed = Buffer.concat([Buffer.from(`${event.eventId}.${sentAt}.`), rawBody]);
  const expected = createHmac('sha256', key).update(signed).digest('base64');
  t.equal(request?.headers['webhook-signature'], `v1,${expected}`);
});

t.test('without the bytes the app gets equal JSON, its large numbers unrounded', async (t) => {
  const payloadText = '{"id": 12345678901234567890, "amount": 1.50, "text": "é\\u2028"}';
  const { status, request } = await forward({
    payloadText,
    headers: { 'content-type': 'application/x-www-form-urlencoded' },
  });
  t.equal(status, 'PROCESSED');
  t.match(request?.headers, { 'content-type': 'application/json' });
  t.match(request?.body.toString(), /12345678901234567890/);
  t.match(request?.body.toString(), /1\.50/);
  t.same(JSON.parse(String(request?.body)), JSON.parse(payloadText));
});

t.test('a body that is no JSON is forwarded as it is', async (t) => {
  const rawBody = Buffer.from([0, 255, 10]);
  const { status, request } = await forward({ payloadText: null, payloadError: 'malformed', rawBody });
  t.equal(status, 'PROCESSED');
  t.same(request?.body, rawBody);
});

t.test('what may not stand in a header, or would make the signed text ambiguous, is encoded', async (t) => {
  const { status, request } = await forward({
    eventId: 'a é%.1700000000.x\n',
    topic: 'invoice.\r\nx: y',
    payloadText: '{}',
  });
  t.equal(status, 'PROCESSED');
  t.match(request?.headers, {
    'webhook-id': 'a%20%C3%A9%25%2E1700000000.x%0A',
    'postbell-topic': 'invoice.%0D%0Ax:%20y',
  });
  t.equal(decodeURIComponent(String(request?.headers['webhook-id'])), 'a é%.1700000000.x\n');
});

for (const status of [200, 204, 299]) {
  t.test(`${status} is PROCESSED`, async (t) => {
    const result = await forward({}, { answer: (response) => response.writeHead(status).end() });
    t.match(result, { kind: 'processed', status: 'PROCESSED' });
  });
}

for (const [status, headers, error] of [
  [400, {}, /^Error: the app at http:\/\/127\.0\.0\.1:\d+ answered 400$/],
  [401, {}, /answered 401$/],
  [404, {}, /answered 404$/],
  [500, {}, /answered 500$/],
  [503, {}, /answered 503$/],
  [503, { 'retry-after': 'soon' }, /answered 503$/],
  [500, { 'retry-after': '5' }, /answered 500$/],
  [302, { location: '/elsewhere' }, /answered 302; redirects are not followed: set the final address$/],
] as [number, Record<string, string>, RegExp][]) {
  t.test(`${status} ${JSON.stringify(headers)} is a failure, and is retried`, async (t) => {
    const answer: Answering = (response) =>
      response.writeHead(status, headers).end('card 4242 of ada@example.com');
    const result = await forward({}, { answer });
    t.match(result, { kind: 'failed', status: 'PENDING', failures: 1, error });
    t.equal(result.app.received.length, 1);
    t.notMatch(JSON.stringify(await failuresOf(inbox, result.event)), /4242|ada@/);
  });
}

for (const status of [410, 422]) {
  t.test(`${status} is FAILED at once`, async (t) => {
    const answer: Answering = (response) => response.writeHead(status).end('4242');
    const result = await forward({}, { answer });
    t.match(result, {
      status: 'FAILED',
      error: new RegExp(`^PermanentError: the app at .* answered ${status}$`),
    });
  });
}

for (const [what, retryAfter, seconds] of [
  ['seconds', '120', 120],
  ['0', '0', 1],
  ['a date', new Date(Date.now() + 600_000).toUTCString(), 600],
  ['a date in the past', 'Wed, 21 Oct 2015 07:28:00 GMT', 1],
] as const) {
  t.test(`503 with Retry-After as ${what} defers the event`, async (t) => {
    const answer: Answering = (response) => response.writeHead(503, { 'retry-after': retryAfter }).end();
    const logged = inbox.logs.length;
    const result = await forward({}, { answer });
    t.match(result, { kind: 'deferred', status: 'PENDING', failures: 0, deferrals: 1 });
    const line = inbox.logs.slice(logged).find(({ msg }) => msg === 'attempt');
    const [, found] = /answered 503 with Retry-After: (\d+) s/.exec(String(line?.reason)) ?? [];
    t.ok(Number(found) > seconds - 300 && Number(found) <= seconds, `${found} s`);
  });
}

t.test('a retry has the same id and trace, another span, and the number of the attempt', async (t) => {
  const event = newEvent();
  app.received = [];
  app.answer = (response) => response.writeHead(app.received.length === 1 ? 500 : 200).end();
  await storeEvents(inbox, [event]);
  t.match(await runNext(inbox, to()), { kind: 'failed' });
  t.match(await runNext(inbox, to()), { kind: 'processed' });
  const [first, second] = app.received.map(({ headers }) => headers);
  t.match([first, second], [{ 'postbell-attempt': '1' }, { 'postbell-attempt': '2' }]);
  t.equal(second?.['webhook-id'], first?.['webhook-id']);
  const [, trace, span] = String(first?.traceparent).split('-');
  const [, sameTrace, otherSpan] = String(second?.traceparent).split('-');
  t.equal(sameTrace, trace);
  t.not(otherSpan, span);
});

t.test('an app that does not answer in time is a failure', async (t) => {
  const result = await forward({}, { answer: () => {}, timeoutMs: 300 });
  t.match(result, { kind: 'failed', status: 'PENDING', error: /ran longer than 0\.3 s/ });
});

t.test('an app that is not there is a failure that names the cause', async (t) => {
  const handlers = to(`http://127.0.0.1:${await freePort()}/hooks`);
  const result = await forward({}, { handlers });
  t.match(result, {
    kind: 'failed',
    error: /the app at .* did not answer; cause: Error: connect ECONNREFUSED/,
  });
});

t.test('an app that drops the connection is a failure', async (t) => {
  const result = await forward({}, { answer: (response) => response.destroy() });
  t.match(result, {
    kind: 'failed',
    status: 'PENDING',
    error: /did not answer; cause: Error: socket hang up/,
  });
});

t.test('an endless answer is not read to its end', async (t) => {
  let sent = 0;
  const answer: Answering = (response) => {
    response.writeHead(200);
    const more = () => {
      while (!response.destroyed && response.write(Buffer.alloc(16_384))) sent += 16_384;
    };
    response.on('drain', more);
    more();
  };
  t.match(await forward({}, { answer }), { status: 'PROCESSED' });
  t.ok(sent < 50_000_000, `${sent} bytes`);
});

t.test('a kept connection that the app has closed costs no attempt', async (t) => {
  let isFirst = true;
  const sockets = new Set<unknown>();
  const answer: Answering = (response) => {
    const isReused = sockets.has(response.socket);
    sockets.add(response.socket);
    if (isReused && isFirst) {
      isFirst = false;
      response.socket?.destroy();
    } else response.writeHead(204).end();
  };
  t.match(await forward({}, { answer }), { status: 'PROCESSED' });
  const second = await forward({}, { answer });
  t.notOk(isFirst, 'the connection was used again');
  t.match(second, { status: 'PROCESSED', failures: 0 });
  t.equal(second.app.received.length, 2);
});

t.test('during the call the transaction holds no lock and no snapshot', async (t) => {
  let held: Promise<Record<string, unknown>[]> | undefined;
  const answer: Answering = (response) => {
    held =
      inbox.sql(`SELECT a.state, a.backend_xmin, (SELECT array_agg(DISTINCT l.locktype) FROM pg_locks l WHERE l.pid = a.pid) AS locks
      FROM pg_stat_activity a WHERE datname = current_database() AND state LIKE 'idle in transaction%'`);
    held.finally(() => response.writeHead(204).end());
  };
  t.match(await forward({}, { answer }), { status: 'PROCESSED' });
  t.same(await held, [{ state: 'idle in transaction', backend_xmin: null, locks: ['virtualxid'] }]);
});

for (const [what, options, error] of [
  ['no URL', { url: '' }, /^forwardTo: url must be an absolute address/],
  ['another scheme', { url: 'ftp://example.com' }, /url must be an absolute address/],
  ['a password', { url: 'http://me:pw@example.com' }, /must not hold a user or a password/],
  ['no secret', { secret: '' }, /secret is missing; postbell keys/],
  ['a short secret', { secret: 'whsec_c2hvcnQ=' }, /secret holds a key shorter than 24 bytes/],
  ['a public key', { secret: `whpk_${key.toString('base64')}` }, /secret is not whsec_/],
  ['no topic', { topic: 'a*b' }, /topic must be/],
] as const) {
  t.test(`wrong options throw, with the remedy: ${what}`, async (t) => {
    const wrong = { provider: 'stripe', topic: '*', url: app.url, secret, ...options };
    t.throws(() => forwardTo(wrong), { name: 'TypeError', message: error });
  });
}
