// B39 to B49: lengths, framing, headers and connections, on raw sockets.
import { gzipSync } from 'node:zlib';
import { busyness } from '../support/busyness.ts';
import { waitFor } from '../support/wait.ts';
import type { BadInput } from './rows.ts';
import {
  bytesOf,
  headOf,
  mebibyte,
  type SignedRequest,
  signed,
  stripe,
  stripeBody,
  withHeader,
} from './senders.ts';
import { accepted, answerTo, repeated } from './stage.ts';
import { type Stall, stall } from './stalls.ts';
import { rawRequest } from './wire.ts';

/** A body of exactly so many bytes. */
function sized(bytes: number): string {
  const { id } = stripeBody();
  const head = `{"id":"${id}","type":"big.one","pad":"`;
  return `${head}${'x'.repeat(bytes - head.length - 2)}"}`;
}

export const framingRows: readonly BadInput[] = [
  {
    id: 'B39',
    title: 'a Content-Length one byte too large',
    check: async (t, stage) => {
      // Only the head is sent: the answer comes before the body, and the connection is closed.
      const answer = await answerTo(stage, headOf(stripe(), `content-length: ${mebibyte + 1}`));
      t.match(answer, { status: 413, body: /too_large/, count: 1, isClosed: true });
      const whole = signed('stripe', { body: sized(mebibyte + 1) });
      t.match(await answerTo(stage, bytesOf(whole)), { status: 413, count: 1 });
      t.equal(await stage.rowOf(whole.body), undefined);
    },
  },
  {
    id: 'B40',
    title: 'a chunked body over the limit gets 413 and is not cut',
    check: async (t, stage) => {
      const request = signed('stripe', { body: sized(mebibyte + 1) });
      const answer = await answerTo(stage, rawRequest({ ...request, framing: 'chunked' }));
      t.match(answer, { status: 413, count: 1, isClosed: true });
      const before = await stage.eventCount();
      const cut = { ...request, body: request.body.subarray(0, mebibyte) };
      t.equal((await stage.send({ ...cut, framing: 'chunked' })).status, 401, 'what a cut would have left');
      t.equal(await stage.eventCount(), before, 'no row');
    },
  },
  {
    id: 'B41',
    title: 'a body of exactly the allowed size',
    check: async (t, stage) => {
      const request = signed('stripe', { body: sized(mebibyte) });
      t.equal((await stage.send(request)).body, accepted);
      t.equal((await stage.rowOf(request.body))?.raw_body?.length, mebibyte);
      const chunked = signed('stripe', { body: sized(mebibyte) });
      t.equal((await stage.send({ ...chunked, framing: 'chunked' })).body, accepted, 'chunked');
    },
  },
  {
    id: 'B42',
    title: 'compressed bodies, small bombs',
    check: async (t, stage) => {
      const bomb = gzipSync(Buffer.alloc(64 * mebibyte));
      for (const encoding of [
        'gzip',
        'br',
        'deflate',
        'gzip, gzip',
        'GZIP',
        'zstd',
        'x-gzip',
        'identity, gzip',
        '',
      ]) {
        const request = withHeader(signed('stripe', { body: bomb }), 'content-encoding', encoding);
        const { status, body } = await stage.send(request);
        t.match({ status, body }, { status: 415, body: /unsupported_encoding/ }, encoding);
        t.equal(await stage.rowOf(bomb), undefined);
      }
      for (const encoding of ['identity', 'Identity'])
        t.equal(
          (await stage.send(withHeader(stripe(), 'content-encoding', encoding))).body,
          accepted,
          encoding,
        );
    },
  },
  {
    id: 'B43',
    title: 'contradictory lengths: no second request is smuggled in',
    check: async (t, stage) => {
      const smuggled = bytesOf(stripe()).toString('latin1');
      const before = await stage.eventCount();
      for (const framing of [
        'content-length: 5|content-length: 6',
        'content-length: 5|content-length: 5',
        `content-length: ${smuggled.length}|transfer-encoding: chunked`,
        'transfer-encoding: chunked|content-length: 4',
        'content-length: -1',
        'content-length: +5',
        'content-length: 0x5',
        'content-length: 5 5',
        'content-length: 99999999999999999999',
        'transfer-encoding: chunked, identity',
        'transfer-encoding: identity',
        'transfer-encoding: xchunked',
        'transfer-encoding:  chunked|transfer-encoding: cow',
        'transfer-encoding : chunked',
      ]) {
        const answer = await answerTo(stage, `${headOf(stripe(), framing)}0\r\n\r\n${smuggled}`);
        t.match(answer, { status: 400, count: 1, isClosed: true }, framing);
      }
      const chunked = headOf(stripe(), 'transfer-encoding: chunked');
      for (const chunks of [
        'zz\r\n',
        '-1\r\n',
        '5;x\nhello',
        'ffffffffffffffff1\r\n',
        '5\r\nhelloX\r\n',
        '0\r\nHost: a\n\r\n',
      ])
        t.match(
          await answerTo(stage, `${chunked}${chunks}${smuggled}`),
          { count: 1, isClosed: true },
          JSON.stringify(chunks),
        );
      const short = await stage.exchange([headOf(stripe(), 'content-length: 100'), 'abc'], { end: 'half' });
      t.ok(short.isClosed && short.answers.every(({ status }) => status === 400), 'larger than what comes');
      t.equal(await stage.eventCount(), before, 'nothing was stored');
    },
  },
  {
    id: 'B44',
    title: 'bad and good requests on one connection do not mix',
    check: async (t, stage) => {
      const good = Array.from({ length: 6 }, stripe);
      const unsigned = (request: SignedRequest) => withHeader(request, 'stripe-signature', 't=1,v1=00');
      const order = [
        good[0]!,
        unsigned(good[1]!),
        good[2]!,
        { ...good[3]!, path: '/nope' },
        good[4]!,
        good[0]!,
      ];
      const { answers } = await stage.exchange(Buffer.concat(order.map(bytesOf)), { answers: order.length });
      t.same(
        answers.map(({ status, body }) => (status === 200 ? body : status)),
        [accepted, 401, accepted, 404, accepted, repeated],
      );
      t.equal(new Set(answers.map(({ headers }) => headers['x-request-id'])).size, order.length);
      t.equal(await stage.rowOf(good[1]!.body), undefined);
      const { answers: cut } = await stage.exchange([
        bytesOf(good[5]!),
        'GET / HTTP/9.9\r\n\r\n',
        bytesOf(good[1]!),
      ]);
      t.match(cut, [{ body: accepted }, { status: 400 }], 'after a parse error nothing more is read');
    },
  },
  {
    id: 'B45',
    title: '17 KB of headers; 2,001 headers; a very long URL',
    check: async (t, stage) => {
      const long = withHeader(stripe(), 'x-long', 'x'.repeat(17_000));
      t.match(await answerTo(stage, bytesOf(long)), {
        status: 431,
        body: /headers_too_large/,
        isClosed: true,
      });
      const many = stripe();
      for (let n = 0; n < 2_001; n++) many.headers.unshift(['a', '']);
      t.match(await answerTo(stage, bytesOf(many)), { status: 431, body: /headers_too_large/ });
      t.equal(await stage.rowOf(many.body), undefined);
      t.match(await answerTo(stage, `GET /${'x'.repeat(20_000)} HTTP/1.1\r\n`), {
        status: 431,
        isClosed: true,
      });
    },
  },
  {
    id: 'B46',
    title: '2,000 stalled connections: 408 within 20 s, valid deliveries not affected',
    begin: (stage) => stall(stage),
    check: async (t, _stage, begun) => {
      const { endings, validAnswers, keptAlive, memoryMb } = begun as Stall;
      t.equal(endings.length, 2_000);
      const odd = endings.filter(({ status, afterMs }) => status !== 408 || afterMs > 20_000 * busyness());
      t.same(odd.slice(0, 5), [], 'each ended by 408 within 20 s');
      t.same(
        new Set(validAnswers),
        new Set([accepted]),
        `all of ${validAnswers.length} valid deliveries accepted`,
      );
      t.ok(validAnswers.length > 10);
      t.equal(keptAlive, accepted, 'a connection that was only idle is served after that time');
      t.ok(memoryMb < 100, `web grew by ${memoryMb} MB`);
    },
  },
  {
    id: 'B47',
    title: 'a client that disconnects in the middle of its body',
    check: async (t, stage) => {
      const before = await stage.eventCount();
      for (const framing of ['content-length: 5000', 'transfer-encoding: chunked'])
        for (const end of ['destroy', 'half'] as const)
          await stage.exchange([headOf(stripe(), framing), '64\r\n', '{"id":'], { end, timeoutMs: 3_000 });
      const { body } = await stage.deliver('stripe', { body: stripeBody().body });
      t.equal(body, accepted);
      t.equal(await stage.eventCount(), before + 1, 'no row of them');
      t.same(
        stage.web.logs.filter(({ level = 0 }) => level >= 50),
        [],
        'nothing at level error',
      );
    },
  },
  {
    id: 'B48',
    title: 'a client that disconnects before the answer',
    check: async (t, stage) => {
      const request = stripe();
      await stage.exchange(bytesOf(request), { end: 'destroy' });
      await waitFor(() => stage.rowOf(request.body), { what: 'the row' });
      t.equal((await stage.send(request)).body, repeated);
    },
  },
  {
    id: 'B49',
    title: 'Expect',
    check: async (t, stage) => {
      const request = withHeader(stripe(), 'expect', '100-continue');
      const { answers } = await stage.exchange(bytesOf(request), { answers: 2 });
      t.match(answers, [{ status: 100 }, { status: 200, body: accepted }]);
      t.equal((await stage.send(withHeader(stripe(), 'expect', 'x'))).status, 417);
    },
  },
];
