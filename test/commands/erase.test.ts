// `erase`: after it the value is in no column of the database, and nothing that has to stay is gone.
import t, { type Test } from 'tap';
import { runErase } from '../../src/commands/erase.ts';
import { purge } from '../../src/maintenance/purge.ts';
import { createReceiver } from '../../src/receive/receiver.ts';
import { atEnd } from '../support/at-end.ts';
import { createCli, fakeTerminal } from '../support/cli.ts';
import { createTestDatabase } from '../support/database.ts';
import { rowsWith } from '../support/database-dump.ts';
import { eventRows, newEvent, openInboxOn, openSession, sha256, storeEvents } from '../support/inbox.ts';
import { startProcess } from '../support/processes.ts';
import { waitFor } from '../support/wait.ts';

const value = 'cus_Zqx81';
const path = 'data.object.customer';

function eventOf(customer: string, overrides: Parameters<typeof newEvent>[0] = {}) {
  const payloadText = JSON.stringify({ data: { object: { customer, email: `of ${customer}` } } });
  return newEvent({
    payloadText,
    rawBody: Buffer.from(payloadText),
    headers: { 'x-shop': `shop of ${customer}` },
    ...overrides,
  });
}

/** An event of each settled status of the person, an event of somebody else, and everything that is kept beside them. */
async function openShop(t: Test) {
  const { url } = await createTestDatabase(t);
  const inbox = await openInboxOn(t, url);
  const { sql } = inbox;
  const [processed, failed, ignored] = ['processed', 'failed', 'ignored'].map((name) =>
    eventOf(value, { eventId: `evt_${name}`, uniqueBody: name === 'processed' }),
  );
  const other = eventOf('cus_other', { eventId: 'evt_other' });
  await storeEvents(inbox, [processed!, failed!, ignored!, other]);
  await sql(
    `UPDATE webhook_events SET status = upper(split_part(event_id, '_', 2)), attempts = 2, entity = $1,
      last_error = CASE WHEN event_id = 'evt_failed' THEN 'Error: no customer ' || $1 END,
      ignored_reason = CASE WHEN event_id = 'evt_ignored' THEN 'refunded ' || $1 END WHERE event_id <> 'evt_other'`,
    [value],
  );
  await sql(
    `UPDATE webhook_events SET status = 'PROCESSED', entity = 'cus_other' WHERE event_id = 'evt_other'`,
  );
  await sql(
    `INSERT INTO failed_attempts (source, event_id, error, stack)
    VALUES ('stripe', 'evt_failed', 'Error: no customer ' || $1::text, 'at handle ' || $1::text), ('stripe', 'evt_other', 'Error: other', NULL)`,
    [value],
  );
  await sql(
    `INSERT INTO entity_clock VALUES ('stripe', $1, now(), 'evt_processed'), ('stripe', 'cus_other', now(), 'evt_other')`,
    [value],
  );
  await sql(
    `INSERT INTO operator_actions (operator, action, filter, reason, matched) VALUES
    ('ada', 'replay', jsonb_build_object('source', 'stripe', 'payload', jsonb_build_object('path', '["data"]'::jsonb, 'value', $1::text)), NULL, 3),
    ('ada', 'replay', jsonb_build_object('entity', $1::text), NULL, 3),
    ('ada', 'replay', jsonb_build_object('error', 'no customer ' || $1::text), NULL, 3),
    ('ada', 'ignore', '{"eventId": "evt_ignored"}', 'refunded ' || $1::text, 1),
    ('ada', 'replay', '{"entity": "cus_other"}', NULL, 1)`,
    [value],
  );
  await sql(`INSERT INTO pauses (source, reason) VALUES ('stripe', 'until ' || $1::text || ' has paid')`, [
    value,
  ]);
  await sql(
    `INSERT INTO rehearsals (source, event_id, asked_by, started_at, ends_before, ended_at, result)
    VALUES ('stripe', 'evt_failed', 'ada', now(), now(), now(), jsonb_build_object('rows', $1::text))`,
    [value],
  );
  await sql(
    `INSERT INTO captured_requests (source, received_at, request_id, process, method, url, headers, body, body_bytes, status, outcome)
    SELECT 'stripe', now(), 'r', 'web', 'POST', '/', '{}', convert_to(id, 'UTF8'), 9, 200, 'accepted' FROM unnest(ARRAY[$1, 'cus_other']) AS id`,
    [value],
  );
  await sql(
    `INSERT INTO quarantined_requests (source, arrived_at, address, reason, request_id, method, url, headers, body, bytes)
    SELECT 'stripe', now(), '', 'signature', id, 'POST', '/', '{}', convert_to('{"customer":"' || id || '"}', 'UTF8'), 600
    FROM unnest(ARRAY[$1, 'cus_other']) AS id`,
    [value],
  );
  return {
    url,
    inbox,
    cli: createCli(t, { DATABASE_URL: url }),
    processed: processed!,
    failed: failed!,
    ignored: ignored!,
    other,
  };
}

t.test('the value is gone from every column, and the ids stay', async (t) => {
  const { inbox, cli, processed, failed, ignored, other } = await openShop(t);
  t.ok((await rowsWith(inbox, value)).length >= 8, 'it was in many rows');
  t.match(await cli(['erase', path, value, '--yes']), {
    code: 0,
    stdout: '3 events erased, and the value in 7 other rows; ids, topics and times are kept\n',
    stderr:
      /1 PENDING or FAILED event among them.*\n.*operator_actions \(4 rows\), pauses \(1 row\), quarantined_requests \(1 row\), captured_requests \(1 row\): .*\n.*your own tables stays/,
  });
  t.same(await rowsWith(inbox, value), []);
  t.same(await rowsWith(inbox, sha256(processed.payloadText!).toString('latin1')), []);
  t.same(
    await rowsWith(inbox, 'cus_other').then((rows) => rows.length),
    5,
    'nothing of anybody else is gone',
  );
  const rows = await eventRows(inbox, [processed, failed, ignored, other]);
  t.match(rows, [
    {
      status: 'PROCESSED',
      topic: 'invoice.paid',
      attempts: 2,
      received_at: Date,
      processed_at: Date,
      erased_at: Date,
    },
    { status: 'IGNORED', ignored_reason: 'erased', last_error: null },
    { status: 'IGNORED', ignored_reason: 'erased' },
    { status: 'PROCESSED', erased_at: null, entity: 'cus_other' },
  ]);
  t.same(rows.map(({ payload }) => payload).slice(0, 3), Array(3).fill({ erased: true }));
  const [action] = await inbox.sql(`SELECT * FROM operator_actions WHERE action = 'erase'`);
  t.match(action, {
    matched: 10,
    done: 10,
    ended_at: Date,
    filter: { payload: { path: path.split('.'), value: '(not kept)' } },
  });
  t.match(await cli.inside(['erase', path, value, '--yes']), {
    code: 1,
    stderr: /no event has this value there/,
  });
});

t.test('the value is found as URLs, forms and ASCII JSON write it', async (t) => {
  const { inbox, cli } = await openShop(t);
  const name = 'Zoë "Q"/Co (1)';
  await storeEvents(inbox, [eventOf(name, { eventId: 'evt_zoe' })]);
  await inbox.sql(`UPDATE webhook_events SET status = 'PROCESSED' WHERE event_id = 'evt_zoe'`);
  const bodies = [
    ...['n=Zo%C3%AB+%22Q%22%2FCo+(1)', 'n=Zo%c3%ab+%22Q%22%2fCo+(1)', 'n=Zo%c3%ab+%22Q%22%2fCo+%281%29'],
    ...[`{"n":"Zoë \\"Q\\"/Co (1)"}`, '{"n":"Zo\\u00eb \\"Q\\"/Co (1)"}', '{"n":"Zo\\u00EB \\"Q\\"/Co (1)"}'],
    '{"n":"Zo\\u00eb \\"Q\\"\\/Co (1)"}',
  ];
  const requests = [...bodies.map((body) => ['/', body]), ['/?n=Zo%c3%ab%20%22Q%22%2fCo%20(1)', '{}']];
  for (const [url, body] of requests)
    await inbox.sql(
      `INSERT INTO quarantined_requests (source, arrived_at, address, reason, request_id, method, url, headers, body, bytes)
      VALUES ('stripe', now(), '', 'signature', 'zoe', 'POST', $1, '{}', convert_to($2, 'UTF8'), 600)`,
      [url, body],
    );
  t.match(await cli.inside(['erase', path, name, '--yes']), { code: 0 });
  t.same(
    await inbox.sql(
      `SELECT url, convert_from(body, 'UTF8') FROM quarantined_requests WHERE request_id = 'zoe'`,
    ),
    [],
  );
  t.equal((await inbox.sql('SELECT FROM quarantined_requests')).length, 2, 'the others stay');
});

/** Keeps rejected requests. @returns a look at the bodies that are left */
async function keepRequests(
  { sql }: { sql: Awaited<ReturnType<typeof openSession>> },
  bodies: readonly string[],
) {
  await sql('DELETE FROM quarantined_requests');
  for (const body of bodies)
    await sql(
      `INSERT INTO quarantined_requests (source, arrived_at, address, reason, request_id, method, url, headers, body, bytes)
      VALUES ('stripe', now(), '', 'signature', 'r', 'POST', $1, $2, $3, 600)`,
      body.startsWith('/')
        ? [body, '{}', '']
        : ['/', JSON.stringify({ 'x-shop': ['other'] }), Buffer.from(body, 'latin1')],
    );
  return async () =>
    (await sql('SELECT url, body FROM quarantined_requests ORDER BY id')).map(({ url, body }) =>
      url === '/' ? (body as Buffer).toString('latin1') : url,
    );
}

t.test('a rejected request in which the value is a part of a longer word stays', async (t) => {
  const { inbox, cli } = await openShop(t);
  const others = [
    ...[
      '{"customer":"cus_12345"}',
      '{"customer":"xcus_1"}',
      '{"customer":"cus_1-2"}',
      '{"customer":"a-cus_1"}',
    ],
    ...[
      'c=cus_1%31',
      'c=%61cus_1',
      'c=%2Dcus_1',
      String.raw`{"c":"cus_1\u0061"}`,
      String.raw`{"c":"\u005fcus_1"}`,
    ],
    ...['/?c=cus_12', '/?c=cus_1%2D2', '\xff\0cus_10', 'cus_1_cus_1_'],
  ];
  const theirs = [
    ...[
      '{"customer":"cus_1"}',
      'cus_1',
      'c=%22cus_1%22',
      'c=a%3Dcus_1',
      'c=%2Ccus_1%2C',
      '{"c":"cus_12 cus_1"}',
    ],
    ...[String.raw`{"c":"a\ncus_1\n"}`, String.raw`{"c":"\u0020cus_1\u0020"}`, '/?c=cus_1', '/?c=%20cus_1&d'],
    ...['\xff\xe2cus_1\xff\0', '\0cus_1\x01'],
  ];
  const left = await keepRequests(inbox, [...others, ...theirs]);
  t.match(await cli.inside(['erase', 'no.event', 'cus_1']), {
    code: 1,
    stderr:
      /quarantined_requests \(12 rows\): requests are deleted whole.*\n.*\n12 rows would be erased: add --yes/,
  });
  t.equal((await left()).length, others.length + theirs.length);
  t.match(await cli.inside(['erase', 'no.event', 'cus_1', '--yes', '--until', '1h']), { code: 1 });
  t.equal((await left()).length, others.length + theirs.length, 'they arrived later');
  t.match(await cli.inside(['erase', 'no.event', 'cus_1', '--yes', '--since', '1h']), {
    code: 0,
    stdout: /^0 events erased, and the value in 12 other rows/,
  });
  t.same(await left(), others);
  t.match(await inbox.sql(`SELECT matched, done FROM operator_actions WHERE action = 'erase'`), [
    { matched: 12, done: 12 },
  ]);
});

t.test('a value of few characters is sought in events alone, which is said', async (t) => {
  const { inbox, cli } = await openShop(t);
  const left = await keepRequests(inbox, ['{"n":42}']);
  const warning = /warning: a value of fewer than 4 characters is sought in events only/;
  t.match(await cli.inside(['erase', 'n', '42', '--yes']), { code: 1, stderr: warning });
  t.same(await left(), ['{"n":42}']);
  t.notMatch((await cli.inside(['erase', 'n', '4242', '--yes'])).stderr, warning);
});

t.test('deliveries of erased events are duplicates, also after a purge', async (t) => {
  const { inbox, cli, processed } = await openShop(t);
  const receiver = createReceiver({ ...inbox, timeoutMs: 3_000, queueMax: 100 });
  atEnd(t, () => receiver.close());
  const deliver = () => receiver.submit([processed], Buffer.from(processed.payloadText!));
  await cli.inside(['erase', path, value, '--yes']);
  t.match(await deliver(), { duplicate: true });
  await inbox.sql(
    `UPDATE webhook_events SET received_at = now() - interval '40 days', processed_at = processed_at - interval '40 days'`,
  );
  await inbox.sql(
    `INSERT INTO hourly_counts SELECT 'stripe', date_trunc('hour', now(), 'UTC'), 't', 0, 0, 0, 0, 0, 0, 0, array_fill(0, ARRAY[20]), 0, now()`,
  );
  t.match(await purge({ ...inbox, retentionMs: 30 * 86_400_000 }), { events: 4 });
  t.match(await deliver(), { duplicate: true });
  t.same(await rowsWith(inbox, value), []);
});

t.test('an erased event never runs again, whoever asks', async (t) => {
  const { inbox, cli, processed } = await openShop(t);
  await cli.inside(['erase', path, value, '--yes']);
  t.match(await cli.inside(['replay', 'evt_processed', '--status', 'PROCESSED']), {
    code: 1,
    stderr: /evt_processed was erased on .* cannot run/,
  });
  t.match(await cli.inside(['rehearse', 'evt_processed', '--yes']), { code: 1 });
  t.match(
    await cli.inside(['replay', '--status', 'PROCESSED,IGNORED', '--yes']),
    { code: 0, stdout: /^1 event set/ },
    'the event of somebody else',
  );
  await inbox.sql(`UPDATE webhook_events SET status = 'PENDING'`);
  t.match(await eventRows(inbox, [processed]), [{ status: 'PROCESSED', processed_at: Date }], 'nor by SQL');
  for (const wrong of [`payload = '{}'`, `last_error = 'x'`, `headers = '{"a":"b"}'`])
    await t.rejects(
      inbox.sql(`UPDATE webhook_events SET ${wrong} WHERE event_id = 'evt_processed'`),
      { code: '23514', message: /nothing_lost/ },
      wrong,
    );
  t.match(await cli.inside(['show', 'evt_processed']), { code: 0, stdout: /erased +20/ });
});

t.test('PENDING events are refused, and given up with --force', async (t) => {
  const { inbox, cli } = await openShop(t);
  const pending = eventOf(value, { eventId: 'evt_pending' });
  await storeEvents(inbox, [pending]);
  t.match(await cli.inside(['erase', path, value, '--yes']), {
    code: 1,
    stdout: '',
    stderr: /4 events match, 1 of them PENDING: wait .*--force.*nothing was erased/,
  });
  t.ok((await rowsWith(inbox, value)).length > 8);
  t.match(await cli.inside(['erase', path, value, '--yes', '--force', '--json']), {
    code: 0,
    stdout: '{"matched":4,"erased":4,"otherRows":7}\n',
  });
  t.same(await rowsWith(inbox, value), []);
  t.match(await eventRows(inbox, [pending]), [{ status: 'IGNORED', ignored_reason: 'erased' }]);
});

t.test('a row that another session holds is left, and named', async (t) => {
  const { url, inbox, cli } = await openShop(t);
  const session = await openSession(t, url);
  await session('BEGIN');
  await session(`SELECT FROM webhook_events WHERE event_id = 'evt_failed' FOR UPDATE`);
  t.match(await cli.inside(['erase', path, value, '--yes']), {
    code: 1,
    stdout: /^2 events erased/,
    stderr: /1 event not erased.*run erase again/,
  });
  await session('COMMIT');
  t.match(await cli.inside(['erase', path, value, '--yes']), { code: 0, stdout: /^1 event erased/ });
  t.same(await rowsWith(inbox, value), []);
});

t.test(
  'lists, numbers, any key, keyed hashes; source and time narrow it; nothing without a yes',
  async (t) => {
    const { url } = await createTestDatabase(t);
    const inbox = await openInboxOn(t, url);
    const key = 'k'.repeat(32);
    const cli = createCli(t, { DATABASE_URL: url, REDACT_KEY: key });
    const { hashText } = await import('../../src/providers/index.ts');
    const bodies = {
      list: '{"customers":[{"email":"x"},{"email":"a@b.c"}]}',
      map: '{"customers":{"one":{"email":"a@b.c"}}}',
      hashed: `{"customers":[{"email":"${hashText(key, 'a@b.c')}"}]}`,
      number: '{"customer":12345678901234567890}',
      odd: '{"__proto__":{"a\\"b":"a@b.c"}}',
    };
    await storeEvents(
      inbox,
      Object.entries(bodies).map(([eventId, payloadText]) =>
        newEvent({ eventId, payloadText, source: eventId === 'list' ? 'shopify' : 'stripe' }),
      ),
    );
    await inbox.sql(`UPDATE webhook_events SET status = 'PROCESSED'`);
    const erased = async (...args: string[]) => {
      await inbox.sql(
        `UPDATE webhook_events SET erased_at = NULL, body_sha256 = sha256(''), payload = '{}' WHERE erased_at IS NOT NULL`,
      );
      const { code } = await cli.inside(['erase', ...args]);
      const rows = await inbox.sql(
        'SELECT event_id FROM webhook_events WHERE erased_at IS NOT NULL ORDER BY 1',
      );
      return [code, ...rows.map((row) => row.event_id)];
    };
    t.same(await erased('customers.*.email', 'a@b.c'), [1], 'no terminal, no yes');
    t.same(await erased('customers.*.email', 'nobody', '--yes'), [1]);
    t.same(await erased('customers.*.email', 'a@b.c', '--yes', '--until', '1h'), [1]);
    t.same(await erased('customers.*.email', 'a@b.c', '--yes', '--source', 'shopify'), [0, 'list']);
    t.same(await erased('customers.*.email', 'a@b.c', '--yes', '--since', '1h'), [0, 'hashed', 'map']);
    t.same(await erased('customer', '12345678901234567891', '--yes'), [1], 'numbers are exact');
    t.same(await erased('customer', '12345678901234567890', '--yes'), [0, 'number']);
    t.same(await erased('__proto__.a"b', 'a@b.c', '--yes'), [0, 'odd']);
    t.match(await cli.inside(['erase', 'a..b', 'x', '--yes']), {
      code: 1,
      stderr: /the path must be 1 to 50 keys/,
    });
    t.match(await cli.inside(['erase', Array(1_000).fill('a').join('.'), 'x']), {
      code: 1,
      stderr: /the path must be 1 to 50 keys/,
    });
    t.match(await cli.inside(['erase', 'a', '']), { code: 1, stderr: /the value is empty, or/ });
  },
);

t.test('a person is asked, and standard input keeps the value from other users', async (t) => {
  const { url, inbox } = await openShop(t);
  const io = fakeTerminal({ DATABASE_URL: url });
  const running = runErase(io, path, value, {});
  io.input.write('y\n');
  t.equal(await running, 0);
  t.match(io.printed.err, /Erase 3 events and 7 other rows\? This cannot be undone/);
  t.same(await rowsWith(inbox, value), []);
  const cli = createCli(t, { DATABASE_URL: url });
  t.match(await cli(['erase', path, '-', '--yes'], { input: 'cus_other\n' }), {
    code: 0,
    stdout: /^1 event erased/,
  });
});

t.test(
  'killed in the middle, and run again: everything is erased, and the record says how far the first run was',
  async (t) => {
    const { url } = await createTestDatabase(t);
    const inbox = await openInboxOn(t, url);
    await inbox.sql(
      `INSERT INTO webhook_events (source, provider, event_id, topic, payload, status, processed_at, body_sha256)
    SELECT 'stripe', 'stripe', 'evt_' || n, 't', jsonb_build_object('customer', $1::text), 'PROCESSED', now(), sha256('')
    FROM generate_series(1, 20000) AS n`,
      [value],
    );
    const args = ['erase', 'customer', value, '--yes'];
    const erasing = startProcess(t, args, { env: { DATABASE_URL: url }, mayFail: true });
    const done = async () =>
      Number((await inbox.sql('SELECT coalesce(max(done), 0) AS done FROM operator_actions'))[0]!.done);
    await waitFor(async () => (await done()) > 0, { what: 'a slice' });
    erasing.kill('SIGKILL');
    await erasing.exited;
    const first = await done();
    t.ok(first > 0 && first < 20_000, `${first} were erased`);
    t.equal((await rowsWith(inbox, value)).length, 20_000 - first, 'the record is right');
    t.match(await inbox.sql('SELECT ended_at FROM operator_actions'), [{ ended_at: null }]);
    t.match(await createCli(t, { DATABASE_URL: url })(args), {
      code: 0,
      stdout: new RegExp(`^${(20_000 - first).toLocaleString('en-US')} events erased`),
    });
    t.same(await rowsWith(inbox, value), []);
  },
);
