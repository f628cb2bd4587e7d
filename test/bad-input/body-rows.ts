// B21 to B38: bodies that are validly signed and hard to read, hard to keep or hard to bear.
import { createHash } from 'node:crypto';
import type { Test } from 'tap';
import type { BadInput } from './rows.ts';
import { bodyCanary, bytesOf, mebibyte, signed, withHeader } from './senders.ts';
import { accepted, type Stage, type StoredRow } from './stage.ts';
import { rawRequest } from './wire.ts';

/** Accepted, with the exact bytes; `payloadError` null: and with its JSON. */
async function stored(
  t: Test,
  stage: Stage,
  body: string | Buffer,
  payloadError: string | null,
  title = JSON.stringify(body.toString('latin1').slice(0, 40)),
  source = 'stripe',
): Promise<StoredRow | undefined> {
  const answer = await stage.deliver(source, { body });
  t.equal(answer.status, 200, title);
  t.equal(answer.body, accepted, title);
  const row = await stage.rowOf(body);
  t.ok(row?.raw_body?.equals(Buffer.from(body)), `${title}: the exact bytes are kept`);
  t.equal(row?.payload_error, payloadError, `${title}: the reason`);
  if (payloadError) t.equal(row?.payload, null, `${title}: no payload`);
  return row;
}

const hashId = (body: string | Buffer) => `sha256:${createHash('sha256').update(body).digest('hex')}`;
const nonce = () => `"nonce":"${crypto.randomUUID()}"`;
/** Id and topic in front, whatever follows. */
function withId(rest: string): { id: string; body: string } {
  const id = `evt_${crypto.randomUUID()}`;
  return { id, body: `{"id":"${id}","type":"odd.body","note":"${bodyCanary}",${rest}}` };
}

export const bodyRows: readonly BadInput[] = [
  {
    id: 'B21',
    title: 'an escaped NUL, which jsonb cannot hold',
    check: async (t, stage) => {
      const { id, body } = withId('"a":"\\u0000"');
      await stored(t, stage, body, 'nul');
      const seen = await stage.handled(id);
      t.ok(seen.raw_body?.equals(Buffer.from(body)), 'the handler runs, and has the bytes');
      t.match(seen.payload, '"odd.body"', 'and the payload, which JavaScript can read');
    },
  },
  {
    id: 'B22',
    title: 'a raw NUL byte',
    check: async (t, stage) => {
      const body = `{"a":"\0",${nonce()}}`;
      await stored(t, stage, body, 'nul');
      const seen = await stage.handled(hashId(body));
      t.equal(seen.payload, null);
      t.ok(seen.raw_body?.equals(Buffer.from(body)));
    },
  },
  {
    id: 'B23',
    title: 'a lone surrogate',
    check: async (t, stage) => {
      for (const text of ['\\ud800', '\\udc00', '\\udc00\\ud800', '\\ud800x']) {
        const { id, body } = withId(`"a":"${text}"`);
        await stored(t, stage, body, 'surrogate');
        if (text === '\\ud800') t.ok((await stage.handled(id)).raw_body?.equals(Buffer.from(body)));
      }
    },
  },
  {
    id: 'B24',
    title: 'invalid UTF-8',
    check: async (t, stage) => {
      const head = Buffer.from(`{${nonce()},"a":"`);
      const rows: unknown[] = [];
      for (const bytes of [
        [0xff, 0xfe],
        [0xfe, 0xff],
        [0xc0, 0xaf],
        [0xed, 0xa0, 0x80],
        [0xe2, 0x82],
        [0xf5, 0x80, 0x80, 0x80],
      ]) {
        const row = await stored(
          t,
          stage,
          Buffer.concat([head, Buffer.from(bytes), Buffer.from('"}')]),
          'utf8',
        );
        rows.push(row?.event_id);
      }
      t.equal(new Set(rows).size, rows.length, 'different bytes are different events');
    },
  },
  {
    id: 'B25',
    title: 'a byte order mark; UTF-16',
    check: async (t, stage) => {
      const { id, body } = withId('"a":1');
      const row = await stored(t, stage, `\ufeff${body}`, null, 'BOM');
      t.match(row, { event_id: id, payload: { a: 1 } });
      await stored(t, stage, Buffer.from(withId('"a":1').body, 'utf16le'), 'nul', 'UTF-16');
    },
  },
  {
    id: 'B26',
    title: 'numbers that JavaScript would change',
    check: async (t, stage) => {
      const { id, body } = withId('"n":12345678901234567890,"x":1e400,"y":0.1000000000000000055,"z":2.00');
      await stored(t, stage, body, null);
      const { rows } = await stage.pool.query(
        `SELECT payload->>'n' AS n, (payload->>'x')::numeric = 1e400::numeric AS x, payload->>'y' AS y, payload->>'z' AS z
         FROM webhook_events WHERE event_id = $1`,
        [id],
      );
      t.same(rows, [{ n: '12345678901234567890', x: true, y: '0.1000000000000000055', z: '2.00' }]);
      const numeric = `{"id":98765432109876543210,"type":"a.b",${nonce()}}`;
      await stored(t, stage, numeric, null);
      t.equal((await stage.rowOf(numeric))?.event_id, '98765432109876543210', 'an id as it was written');
    },
  },
  {
    id: 'B27',
    title: 'numbers that jsonb cannot hold',
    check: async (t, stage) => {
      for (const number of [
        '9'.repeat(200_000),
        `0.${'1'.repeat(200_000)}`,
        '1e-20000',
        '1e131072',
        '1E+999999999',
      ])
        await stored(t, stage, withId(`"a":${number}`).body, 'number', number.slice(0, 12));
      await stored(t, stage, withId('"a":1e308').body, null, '1e308');
    },
  },
  {
    id: 'B28',
    title: 'nesting of 100,000',
    check: async (t, stage) => {
      for (const [open, close] of [
        ['[', ']'],
        ['{"a":', '}'],
        ['[{"a":', '}]'],
      ] as const) {
        const body = `{${nonce()},"a":${open.repeat(100_000)}1${close.repeat(100_000)}}`;
        await stored(t, stage, body, 'too_deep', open);
        t.equal((await stage.handled(hashId(body))).payload, null, 'the handler gets the bytes alone');
      }
      await stored(t, stage, `${'['.repeat(500_000)}`, 'too_deep', 'never closed');
    },
  },
  {
    id: 'B29',
    title: 'a megabyte of keys; keys that would collide in a weak hash table',
    check: async (t, stage) => {
      const many = withId(Array.from({ length: 74_000 }, (_, n) => `"k${n}":{}`).join(','));
      await stored(t, stage, many.body, null, `${many.body.length} bytes of keys`);
      // Equal under the times-33 hash that naive tables use.
      const pairs = ['Ez', 'FY'];
      const colliding = Array.from({ length: 16_384 }, (_, n) =>
        Array.from({ length: 14 }, (_, bit) => pairs[(n >> bit) & 1]).join(''),
      );
      await stored(t, stage, withId(colliding.map((key) => `"${key}":1`).join(',')).body, null, 'collisions');
    },
  },
  {
    id: 'B30',
    title: 'the same key twice: id, payload and handler agree on the last',
    check: async (t, stage) => {
      const last = `evt_${crypto.randomUUID()}`;
      const body = `{"id":"first","type":"first","id":"${last}","type":"last.one","a":1,"a":2}`;
      const row = await stored(t, stage, body, null);
      t.match(row, { event_id: last, topic: 'last.one', payload: { id: last, type: 'last.one', a: 2 } });
      t.match(await stage.handled(last), { topic: 'last.one', payload: /"a":2/ });
    },
  },
  {
    id: 'B31',
    title: 'keys of Object.prototype',
    check: async (t, stage) => {
      const { id, body } = withId(
        '"__proto__":{"polluted":1,"id":"x"},"constructor":{"prototype":{"polluted":1}},"toString":1,"hasOwnProperty":1',
      );
      const row = await stored(t, stage, body, null);
      t.equal(row?.event_id, id);
      t.match((await stage.handled(id)).payload, '"__proto__":{"id":"x","polluted":1}');
      const bare = `{"__proto__":{"id":"inherited","type":"inherited"},${nonce()}}`;
      await stored(t, stage, bare, null);
      t.match(await stage.rowOf(bare), { event_id: hashId(bare), topic: 'unknown' }, 'nothing is inherited');
    },
  },
  {
    id: 'B32',
    title: 'JSON that is not an object',
    check: async (t, stage) => {
      for (const body of ['null', '[]', '"x"', '1', 'true', '{}']) {
        const row = await stored(t, stage, body, null);
        t.equal(JSON.stringify(row?.payload), body);
      }
      t.equal((await stage.handled(hashId('[]'))).payload, '[]');
    },
  },
  {
    id: 'B33',
    title: 'an empty body, validly signed',
    check: async (t, stage) => {
      for (const source of ['stripe', 'github'])
        t.equal((await stage.deliver(source, { body: '' })).status, 200, source);
      t.match(await stage.rowOf(''), { payload: null, payload_error: 'empty' });
    },
  },
  {
    id: 'B34',
    title: 'bodies that are not JSON',
    check: async (t, stage) => {
      for (const rest of [
        '"a":',
        '"a":1,',
        '"a":NaN',
        '"a":1/* why */',
        '"a":01',
        "'a':1",
        '"a":1}{"b":2',
        '"a":Infinity',
      ])
        await stored(t, stage, `{${nonce()},${rest}}`, 'malformed', rest);
      await stored(t, stage, `{${nonce()}`, 'malformed', 'cut off');
    },
  },
  {
    id: 'B35',
    title: 'forms, XML, text, multipart, no content type',
    check: async (t, stage) => {
      for (const type of [
        'application/x-www-form-urlencoded',
        'application/xml',
        'text/plain',
        'multipart/form-data; boundary=x',
        'image/png',
        undefined,
      ]) {
        const { id, body } = withId('"a":1');
        const request = withHeader(signed('stripe', { body }), 'content-type', type);
        t.equal((await stage.send(request)).body, accepted, String(type));
        t.match(await stage.row(id), { payload: { a: 1 } }, `JSON under ${type} is JSON`);
      }
      for (const text of ['<xml/>', 'a=1&b=2', '--x\r\n\r\n1\r\n--x--'])
        await stored(t, stage, `${text}${crypto.randomUUID()}`, 'malformed', text);
    },
  },
  {
    id: 'B36',
    title: 'odd content types',
    check: async (t, stage) => {
      const odd = [
        'application/json\tx',
        '\t',
        'application/json; charset=utf-16',
        `application/json; ${'a=b; '.repeat(1_600)}`,
        'json',
        '/',
        'application/json;charset="',
        'é/é',
        '__proto__',
      ];
      for (const type of odd) {
        const { id, body } = withId('"a":1');
        const request = withHeader(signed('stripe', { body }), 'content-type', type);
        t.equal((await stage.send(request)).body, accepted, JSON.stringify(type.slice(0, 40)));
        t.match(await stage.row(id), { payload: { a: 1 } }, 'never another parser');
      }
      const twice = signed('stripe', { body: withId('"a":1').body });
      twice.headers.push(['Content-Type', 'text/xml']);
      t.equal((await stage.send(twice)).body, accepted, 'two of them');
    },
  },
  {
    id: 'B37',
    title: 'a thousand events in one body; a hundred thousand',
    check: async (t, stage) => {
      const prefix = crypto.randomUUID().slice(0, 8);
      const batch = (count: number, item: (n: number) => object) =>
        JSON.stringify(Array.from({ length: count }, (_, n) => item(n)));
      const thousand = batch(1_000, (n) => ({ sg_event_id: `${prefix}-${n}`, event: 'open' }));
      const startedAt = performance.now();
      t.equal((await stage.deliver('sendgrid', { body: thousand })).body, accepted);
      const { rows } = await stage.pool.query(
        // By their time, which is the transaction's: xmin changes as soon as a worker has one of them.
        `SELECT count(*)::int AS count, count(DISTINCT received_at)::int AS transactions FROM webhook_events WHERE event_id LIKE $1`,
        [`${prefix}-%`],
      );
      t.same(rows, [{ count: 1_000, transactions: 1 }], 'all in one transaction');
      const many = batch(100_001, (n) => ({ n }));
      t.equal((await stage.deliver('sendgrid', { body: many })).status, many.length > mebibyte ? 413 : 200);
      const over = batch(80_000, (n) => ({ n }));
      t.equal((await stage.deliver('sendgrid', { body: over })).body, accepted);
      t.match(
        await stage.rowOf(over),
        { payload: null, payload_error: 'too_many' },
        'stored as one, and flagged',
      );
      t.comment(`three batches in ${Math.round(performance.now() - startedAt)} ms`);
    },
  },
  {
    id: 'B38',
    title: 'a topic of 5 KB with characters of every kind',
    check: async (t, stage) => {
      const topic = `;%'"<script>\u001b]0;x\u0007\u202e\n${'x'.repeat(5_000)}`;
      const id = `evt_${crypto.randomUUID()}`;
      const body = JSON.stringify({ id, type: topic });
      await stored(t, stage, body, null);
      t.equal((await stage.row(id))?.topic, topic.slice(0, 200));
      t.equal((await stage.handled(id)).topic, topic.slice(0, 200));
      const logged = stage.web
        .output()
        .split('\n')
        .filter((line) => line.includes(id));
      t.equal(logged.length, 1);
      t.notMatch(logged[0], '\u001b', 'escaped in the log');
      t.same(stage.web.output().match(/\u202e/g), null, 'nothing that reorders a terminal line');
      const request = signed('github', { body: `{${nonce()}}` });
      const latin1 = withHeader(request, 'x-github-event', 'é\u009b31m');
      const { answers } = await stage.exchange(rawRequest(latin1), { answers: 1 });
      t.equal(answers[0]?.body, accepted, `a header with C1 characters, in ${bytesOf(latin1).length} bytes`);
    },
  },
];
