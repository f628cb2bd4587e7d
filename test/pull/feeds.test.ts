// Lists that are read by a cursor alone: a run begins where the last one ended. Airtable's payloads, and `pulled` sources.
import t, { type Test } from 'tap';
import type { RecoverSource } from '../../src/providers/index.ts';
import { createPullReceiver } from '../../src/pull/receiver.ts';
import { recoverTask } from '../../src/pull/recover-task.ts';
import { atEnd } from '../support/at-end.ts';
import { newEvent, openInbox, storeEvents } from '../support/inbox.ts';
import { type Api, airtablePath, type Listed, standIns, startApi, testKey } from './api.ts';
import { quickLimits, recovererOn, recoverSourceOf } from './recovering.ts';

const inbox = await openInbox(t);
const { sql } = inbox;
const run = recovererOn(inbox);
t.beforeEach(async () => {
  await sql('DELETE FROM webhook_events');
  await sql('DELETE FROM recoveries');
});
const ids = async () =>
  (await sql('SELECT event_id FROM webhook_events ORDER BY event_id')).map(({ event_id }) => event_id);
const cursors = (api: Api, name: string) => api.calls.map(({ query }) => query.get(name));

const payload = (transaction: number): Listed => ({
  id: '',
  at: 0,
  item: { timestamp: new Date().toISOString(), baseTransactionNumber: transaction, payloadFormat: 'v0' },
});
async function openAirtable(t: Test, payloads: readonly Listed[]) {
  const api = await startApi(t, (call) => standIns.airtable(payloads, call, 2));
  return { api, recover: recoverSourceOf('airtable', api.url, { AIRTABLE_API_PATH: airtablePath }) };
}

t.test('a transaction that Airtable split into several payloads is several events', async (t) => {
  const payloads = [payload(7), payload(8), payload(8), payload(8), payload(9)];
  const { api, recover } = await openAirtable(t, payloads);
  t.match(await run(t, recover), { recovered: 5, pages: 3, isComplete: true });
  t.same(
    await ids(),
    [1, 2, 3, 4, 5].map((nth) => `ach00000000000000:${nth}`),
  );
  t.match(await sql('SELECT topic, payload FROM webhook_events ORDER BY event_id LIMIT 1'), [
    { topic: 'payload', payload: { base: { id: 'app00000000000000' }, baseTransactionNumber: 7 } },
  ]);
  payloads.push(payload(10));
  t.match(await run(t, recover), { recovered: 1, known: 0, pages: 1 });
  t.match(await run(t, recover), { recovered: 0, known: 0, pages: 1 });
  t.same(cursors(api, 'cursor'), [null, '3', '5', '6', '7']);
  t.match(
    await run(t, recover, { since: new Date(0) }),
    { recovered: 0, known: 6 },
    '--since reads from the start',
  );
});

t.test('a run that ends early goes on at its page; another webhook begins at its start', async (t) => {
  const { api, recover } = await openAirtable(t, [1, 2, 3, 4, 5].map(payload));
  t.match(await run(t, recover, { maxPages: 1 }), { recovered: 2, isComplete: false });
  await sql("UPDATE recoveries SET started_at = now() - interval '1 day'");
  t.match(await run(t, recover), { recovered: 3, known: 0 });
  const other = recoverSourceOf('airtable', api.url, {
    AIRTABLE_API_PATH: 'bases/app00000000000000/webhooks/achNew',
  });
  t.match(await run(t, other), { recovered: 5, known: 0 });
});

t.test('a cursor that the provider does not know is forgotten', async (t) => {
  const { api, recover } = await openAirtable(t, [1, 2, 3].map(payload));
  await run(t, recover);
  const real = api.reply;
  api.reply = () => ({ status: 404, body: {} });
  await t.rejects(run(t, recover), { message: /answered 404; check AIRTABLE_API_URL and AIRTABLE_API_PATH/ });
  api.reply = real;
  t.match(await run(t, recover), { recovered: 0, known: 3 });
});

t.test('a ping is followed by a run, whatever the interval', async (t) => {
  const payloads = [payload(1)];
  const { api, recover } = await openAirtable(t, payloads);
  const receiver = createPullReceiver(inbox);
  atEnd(t, () => receiver.close());
  const config = { RECOVER_MINUTES: 60, STORE_RAW_BODY: false, PAYLOAD_RETENTION_DAYS: 0 };
  const task = recoverTask({ ...inbox, receiver, recover, config, limits: quickLimits });
  const pass = () => task.pass(new AbortController().signal);
  await pass();
  await pass();
  t.equal(api.calls.length, 1, 'an hour has not passed');
  payloads.push(payload(2));
  await storeEvents(inbox, [newEvent({ source: 'airtable', provider: 'airtable', topic: 'ping' })]);
  await pass();
  await pass();
  t.equal(api.calls.length, 2);
  t.ok((await ids()).includes('ach00000000000000:2'));
});

const erp = (url: string, env: Record<string, string>): RecoverSource =>
  recoverSourceOf('erp', url, {
    POSTBELL_SOURCES: 'erp=pulled',
    ERP_API_PATH: '/v1/changes?limit=2',
    ...env,
  });
const change = (nth: number) => ({
  no: nth,
  rev: 1,
  kind: 'invoice.booked',
  at: `2026-11-01T10:00:0${nth}`,
});
const shape = {
  ERP_API_ITEMS: 'data.rows',
  ERP_API_ID: 'no,rev',
  ERP_API_TOPIC: 'kind',
  ERP_API_OCCURRED_AT: 'at',
  ERP_API_OCCURRED_AT_UNIT: 'iso-utc',
};

t.test('pulled: a feed that goes on after the last item; its own key header', async (t) => {
  const changes = [1, 2, 3, 4, 5].map(change);
  const api = await startApi(t, ({ query, headers }) => {
    if (headers['x-api-key'] !== testKey) return { status: 401 };
    const after = Number(query.get('after') ?? 0);
    const rows = changes.filter(({ no }) => no > after).slice(0, Number(query.get('limit')));
    return { body: { data: { rows } } };
  });
  const recover = erp(api.url, {
    ...shape,
    ERP_API_KEY_HEADER: 'X-Api-Key',
    ERP_API_CURSOR: 'last:no',
    ERP_API_CURSOR_PARAM: 'after',
  });
  t.match(await run(t, recover), { recovered: 5, way: 'pull', isComplete: true });
  t.same(await ids(), ['1:1', '2:1', '3:1', '4:1', '5:1']);
  t.match(await sql('SELECT * FROM webhook_events ORDER BY event_id LIMIT 1'), [
    {
      source: 'erp',
      provider: 'pulled',
      topic: 'invoice.booked',
      received_by: 'pull',
      occurred_at: new Date('2026-11-01T10:00:01Z'),
      job_id: String,
    },
  ]);
  changes.push(change(6));
  t.match(await run(t, recover), { recovered: 1, known: 0 });
  t.same(cursors(api, 'after').slice(-2), ['5', '6']);
});

t.test('pulled: a feed whose cursor is in the answer, and stays the same at its end', async (t) => {
  const changes = [1, 2, 3].map(change);
  const api = await startApi(t, ({ query }) => {
    const from = Number((query.get('cursor') ?? 'c0').slice(1));
    const rows = changes.slice(from, from + 2);
    return { body: { data: { rows, next: `c${from + rows.length}` } } };
  });
  const recover = erp(api.url, {
    ...shape,
    ERP_API_CURSOR: 'body:data.next',
    ERP_API_CURSOR_PARAM: 'cursor',
  });
  t.match(await run(t, recover), { recovered: 3 });
  t.match(await run(t, recover), { recovered: 0, known: 0 });
  t.same(cursors(api, 'cursor'), [null, 'c2', 'c3', 'c3']);
});

t.test(
  'pulled: since a time, by links of the answer or of the header, on the same origin alone',
  async (t) => {
    const links: ((page: number) => { headers?: Record<string, string>; next?: string })[] = [
      (page) => ({ next: `?page=${page}` }),
      (page) => ({ headers: { link: `</v1/changes?page=${page}>; rel="next"` } }),
    ];
    for (const [nth, linkTo] of links.entries()) {
      const api = await startApi(t, ({ query }) => {
        const page = Number(query.get('page') ?? 1);
        const { headers, next } = page < 3 ? linkTo(page + 1) : {};
        return { ...(headers && { headers }), body: { data: { rows: [change(page + 3 * nth)] }, next } };
      });
      const recover = erp(api.url, {
        ...shape,
        ERP_API_NEXT: nth === 0 ? 'body:next' : 'header:link',
        ERP_API_SINCE_PARAM: 'from',
        ERP_API_SINCE_UNIT: 's',
      });
      t.match(await run(t, recover), { recovered: 3, pages: 3 });
      t.match(api.calls[0]!.query.get('from'), /^\d{10}$/);
    }
    const elsewhere = await startApi(t, () => ({ body: {} }));
    const api = await startApi(t, () => ({
      body: { data: { rows: [change(9)] }, next: `${elsewhere.url}/v1` },
    }));
    await t.rejects(run(t, erp(api.url, { ...shape, ERP_API_NEXT: 'body:next' })), {
      message: /leads to another address than ERP_API_URL/,
    });
    t.equal(elsewhere.calls.length, 0);
  },
);

t.test('pulled: a credential in the configured query is in no error, no log and no cursor', async (t) => {
  const secret = 'tok/en+of=42';
  const own = `token=${encodeURIComponent(secret)}`;
  const api = await startApi(t, ({ query, headers }) => {
    if (query.get('token') !== secret) return { status: 403 };
    const page = Number(query.get('page') ?? 1);
    const next = page < 3 ? `http://${headers.host}/v1/changes?${own}&page=${page + 1}` : undefined;
    return page === 2 ? { body: '<html>' } : { body: { data: { rows: [change(page)] }, next } };
  });
  const recover = erp(api.url, {
    ...shape,
    ERP_API_PATH: `/v1/changes?${own}`,
    ERP_API_NEXT: 'body:next',
    ERP_API_SINCE_PARAM: 'from',
  });
  await t.rejects(run(t, recover), { message: /the answer to \/v1\/changes is HTML/ });
  const real = api.reply;
  api.reply = () => ({ body: { data: 7 } });
  await t.rejects(run(t, recover), { message: /the answer to GET \/v1\/changes has no list/ });
  const everything = JSON.stringify([await sql('SELECT * FROM recoveries'), inbox.logs]);
  for (const text of [secret, encodeURIComponent(secret)]) t.notOk(everything.includes(text));
  t.match(everything, /page=2/, 'the cursor is kept');
  api.reply = (call) =>
    call.query.get('page') === '2' ? { body: { data: { rows: [change(2)] } } } : real(call);
  t.match(await run(t, recover), { recovered: 1, isComplete: true });
  t.equal(api.calls.at(-1)!.query.get('token'), secret, 'the next run has the credential again');

  const key = 'rk+live/0123==';
  const encoded = encodeURIComponent(key);
  for (const text of [testKey, encoded, encoded.toLowerCase()]) {
    api.reply = ({ headers }) => ({
      body: { data: { rows: [change(4)] }, next: `http://${headers.host}/v1/changes?key=${text}` },
    });
    const keyed = { ...recover, key: text === testKey ? testKey : key };
    await t.rejects(run(t, keyed), { message: /has the key in the link or cursor of the next page/ });
    t.notMatch(JSON.stringify(await sql('SELECT * FROM recoveries')), text);
  }
});

t.test('pulled: a link keeps every value of a repeated parameter, in its order', async (t) => {
  const kinds = ['type=a&type=b&type=c', 'type=c&type=b&type=a&type=d', 'type=b&page=3'];
  const pages: string[] = [];
  const api = await startApi(t, ({ query, headers }) => {
    const page = pages.push(query.toString());
    const next = page < 3 ? `http://${headers.host}/v1/changes?${kinds[page]}` : undefined;
    return { body: { data: { rows: [change(page)] }, next } };
  });
  const recover = erp(api.url, {
    ...shape,
    ERP_API_PATH: `/v1/changes?${kinds[0]}`,
    ERP_API_NEXT: 'body:next',
  });
  t.match(await run(t, recover, { maxPages: 1 }), { isComplete: false });
  t.match(await sql('SELECT run_cursor FROM recoveries'), [{ run_cursor: /d$/ }]);
  t.notMatch(await sql('SELECT run_cursor FROM recoveries'), [{ run_cursor: /type=[abc]/ }], 'not stored');
  t.match(await run(t, recover), { recovered: 2, isComplete: true });
  t.same(pages, kinds);
});

t.test('pulled: a list of one page; an item without id is refused', async (t) => {
  const api = await startApi(t, () => ({ body: [{ id: 'a', type: 'x' }, { id: 'b' }] }));
  t.match(await run(t, erp(api.url, {})), { recovered: 2, pages: 1 });
  t.match(await sql('SELECT topic FROM webhook_events ORDER BY event_id'), [
    { topic: 'x' },
    { topic: 'unknown' },
  ]);
  api.reply = () => ({ body: [{ id: 'c' }, { name: 'd' }] });
  await t.rejects(run(t, erp(api.url, {})), { message: /has no id/ });
  t.same(await ids(), ['a', 'b']);
});
