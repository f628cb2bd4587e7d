// B50 to B63: methods, paths, headers, other protocols, floods, handshakes, and the end of the process.
import { createHmac } from 'node:crypto';
import { connect } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { busyness } from '../support/busyness.ts';
import { patienceMs } from '../support/wait.ts';
import { refused } from './refused.ts';
import type { BadInput } from './rows.ts';
import { bytesOf, headOf, mebibyte, signed, sources, stripe, withHeader } from './senders.ts';
import { accepted, answerTo, type Stage } from './stage.ts';

export const httpRows: readonly BadInput[] = [
  {
    id: 'B50',
    title: 'every other method',
    check: async (t, stage) => {
      for (const method of [
        'GET',
        'PUT',
        'DELETE',
        'HEAD',
        'OPTIONS',
        'TRACE',
        'PATCH',
        'PROPFIND',
        'PURGE',
        'QUERY',
      ]) {
        const { status, headers } = await stage.send({ ...stripe(), method });
        t.match({ status, allow: headers.allow }, { status: 405, allow: 'POST' }, method);
      }
      t.equal(
        (await stage.send({ ...stripe(), path: '/api/webhooks/meta', method: 'PUT' })).headers.allow,
        'POST, GET',
      );
      for (const method of ['FOO', 'post', 'P OST', ''])
        t.match(
          await answerTo(stage, bytesOf({ ...stripe(), method })),
          { status: 400, isClosed: true },
          `"${method}"`,
        );
      t.ok((await answerTo(stage, 'CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n')).isClosed, 'CONNECT');
    },
  },
  {
    id: 'B51',
    title: 'an unknown source',
    check: async (t, stage) => {
      const statements = await stage.statementsOf(async () => {
        for (const prefix of ['/api/webhooks', '/webhooks'])
          t.match(await stage.send({ ...stripe(), path: `${prefix}/nope` }), {
            status: 404,
            body: /not_found/,
          });
      });
      t.same(statements, []);
    },
  },
  {
    id: 'B52',
    title: 'paths with .., double slashes, bad escapes, or names of Object.prototype',
    check: async (t, stage) => {
      const before = await stage.eventCount();
      for (const path of [
        '/api/webhooks/../admin',
        '/api/webhooks/%2e%2e%2f',
        '//api/webhooks/stripe',
        '/api//webhooks/stripe',
        '/api/webhooks/stripe/',
        '/API/webhooks/stripe',
        '/api/webhooks/STRIPE',
        '/api/webhooks/stripe%00',
        '/api/webhooks/%zz',
        '/api/webhooks/%',
        '/api/webhooks/__proto__',
        '/api/webhooks/constructor',
        '/api/webhooks/stripe;a=b',
        '/api/webhooks/stripe%2f',
        '/api/webhooks/',
        '/api/webhooks',
        '/',
        '/api/webhooks/./stripe',
        '/api/webhooks/strip%C3%A9',
        '/api/webhooks/strip\xff',
        '/api/webhooks/\\stripe',
        '/%2e/api/webhooks/stripe',
        'http://other/api/webhooks/nope',
        '*',
      ]) {
        const { status } = await stage.send({ ...stripe(), path });
        t.ok(status === 404 || status === 400, `${path}: ${status}`);
      }
      t.equal(await stage.eventCount(), before);
      t.equal(
        (await stage.send({ ...stripe(), path: '/api/webhooks/%73tripe' })).body,
        accepted,
        'an escaped s is an s',
      );
    },
  },
  {
    id: 'B53',
    title: 'source names of 101 and 10,000 characters',
    check: async (t, stage) => {
      for (const length of [100, 101, 10_000])
        t.equal((await stage.send({ ...stripe(), path: `/api/webhooks/${'x'.repeat(length)}` })).status, 404);
    },
  },
  {
    id: 'B54',
    title: 'query strings of every kind are ignored',
    check: async (t, stage) => {
      for (const query of [
        'a[]=1',
        '__proto__[x]=1',
        'x'.repeat(8_000),
        '%zz',
        '%00',
        'a=1&a=2',
        '?',
        '',
        '#x',
      ])
        t.equal(
          (await stage.send({ ...stripe(), path: `/api/webhooks/stripe?${query}` })).body,
          accepted,
          query.slice(0, 20),
        );
    },
  },
  {
    id: 'B55',
    title: 'no Host, two Hosts, a foreign Host',
    check: async (t, stage) => {
      const bytes = bytesOf(stripe()).toString('latin1');
      t.match(await answerTo(stage, bytes.replace('Host: postbell.test\r\n', '')), {
        status: 400,
        isClosed: true,
      });
      t.match(await answerTo(stage, bytes.replace('Host:', 'Host: a\r\nHost:')), {
        status: 400,
        isClosed: true,
      });
      const { answers } = await stage.exchange(bytes.replace('postbell.test', 'evil.test'), { answers: 1 });
      t.equal(answers[0]?.body, accepted);
      t.notMatch(JSON.stringify(answers), 'evil', 'never used in an answer');
    },
  },
  {
    id: 'B56',
    title: 'forged X-Forwarded-For decides nothing',
    check: async (t, stage) => {
      t.equal(
        (await stage.send(withHeader(stripe(), 'x-forwarded-for', '6.6.6.6, 127.0.0.1'))).body,
        accepted,
      );
      const huge = withHeader(stripe(), 'x-forwarded-for', '6.6.6.6, '.repeat(10_000));
      t.equal((await stage.send(huge)).status, 431);
      await refused(
        t,
        stage,
        withHeader(withHeader(stripe(), 'x-forwarded-for', '6.6.6.6'), 'stripe-signature', 'x'),
        'unsigned',
      );
      t.notMatch(stage.web.output(), '6.6.6.6', 'in no log');
    },
  },
  {
    id: 'B58',
    title: 'line breaks in headers; odd X-Request-Id',
    check: async (t, stage) => {
      const bytes = bytesOf(stripe()).toString('latin1');
      for (const line of [
        'x: a\rb\r\n',
        'x: a\nb: c\r\n',
        'x: a\r\n folded\r\n',
        'x\r\n',
        ': a\r\n',
        'x y: a\r\n',
        'x: \0\r\n',
        'x: a\x01\r\n',
      ]) {
        const answer = await answerTo(stage, bytes.replace('content-type', `${line}content-type`));
        t.match(answer, { status: 400, count: 1, isClosed: true }, JSON.stringify(line));
      }
      for (const given of ['"><script>', 'a'.repeat(65), 'x'.repeat(10_000), 'a b', '../..', 'é', '']) {
        const { headers, body } = await stage.send(
          withHeader(withHeader(stripe(), 'stripe-signature', 'x'), 'x-request-id', given),
        );
        t.match(headers['x-request-id'], /^[0-9a-f-]{36}$/, given.slice(0, 20));
        t.equal(JSON.parse(body).requestId, headers['x-request-id']);
      }
      t.equal(
        (await stage.send(withHeader(stripe(), 'x-request-id', 'req_1.A-z'))).headers['x-request-id'],
        'req_1.A-z',
      );
    },
  },
  {
    id: 'B59',
    title: 'other protocols on the port',
    check: async (t, stage) => {
      const upgrade = withHeader(withHeader(stripe(), 'upgrade', 'websocket'), 'connection', 'Upgrade');
      t.equal((await stage.send(upgrade)).body, accepted, 'an upgrade that is not taken up is a request');
      for (const [title, bytes] of Object.entries({
        'HTTP/2': 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n',
        TLS: Buffer.from('16030100b0010000ac0303', 'hex'),
        'HTTP/0.9': 'GET /\r\n\r\n',
        SSH: 'SSH-2.0-OpenSSH_9.6\r\n',
        Redis: '*1\r\n$4\r\nPING\r\n',
        Postgres: Buffer.from('0000000804d2162f', 'hex'),
        nothing: '\r\n\r\n\r\n\0',
      }))
        t.match(await answerTo(stage, bytes), { isClosed: true }, title);
    },
  },
  {
    id: 'B60',
    title: 'a flood of forgeries: 401 each, and signed traffic is never limited',
    check: async (t, stage) => {
      const { flood, valid, statements } = await floodOf(stage, 2_000);
      t.same(new Set(flood), new Set([401]));
      t.same(new Set(valid), new Set([200]));
      t.same(
        statements.filter(
          (text) =>
            !/INTO "public"\.webhook_events|pgboss"?\.job|BEGIN|COMMIT|SET LOCAL|UPDATE "public"\.webhook_events/.test(
              text,
            ),
        ),
        [],
      );
    },
  },
  {
    id: 'B61',
    title: 'handshakes, right and wrong',
    check: async (t, stage) => {
      const slack = (at?: Date) =>
        signed('slack', {
          topic: 'url_verification',
          body: '{"type":"url_verification","challenge":"abc.DEF-1"}',
          ...(at && { at }),
        });
      t.match(await stage.send(slack()), {
        status: 200,
        body: 'abc.DEF-1',
        headers: { 'content-type': /^text\/plain/ },
      });
      t.equal((await stage.send(withHeader(slack(), 'x-slack-signature', 'v0=00'))).status, 401);
      for (const challenge of ['<script>', 'x'.repeat(1_025), 'a b']) {
        const body = JSON.stringify({ type: 'url_verification', challenge });
        t.match(
          await stage.deliver('slack', { body }),
          { status: 200, body: '' },
          'no challenge, so an event',
        );
      }
      const zoomBody = '{"event":"endpoint.url_validation","payload":{"plainToken":"tok"},"event_ts":1}';
      for (const secretIndex of [0, 1]) {
        const { body } = await stage.deliver('zoom', { body: zoomBody, secretIndex });
        const encryptedToken = createHmac('sha256', sources.get('zoom')!.secrets[secretIndex]!)
          .update('tok')
          .digest('hex');
        t.same(JSON.parse(body), { plainToken: 'tok', encryptedToken }, `keyed with secret ${secretIndex}`);
      }
      const meta = (query: string) =>
        stage.send({ method: 'GET', path: `/api/webhooks/meta?${query}`, framing: 'none' });
      const ask = (token: string) => `hub.mode=subscribe&hub.verify_token=${token}&hub.challenge=42`;
      t.match(await meta(ask(sources.get('meta')!.verifyToken!)), { status: 200, body: '42' });
      t.equal((await meta(ask('wrong'))).status, 403);
      t.equal((await meta('')).status, 400);
      t.equal((await stage.deliver('xero', { body: '{"events":[],"entropy":"S0m3"}' })).status, 200);
      t.equal((await stage.send(withHeader(signed('xero'), 'x-xero-signature', 'AAAA'))).status, 401);
    },
  },
  {
    id: 'B62',
    title: 'an exception in the code of the route',
    check: async (t, stage) => {
      const web = await stage.newWeb({ POSTBELL_FAILPOINT: 'web.verified:throw' });
      const { answers } = await stage.exchange(bytesOf(stripe()), { answers: 1, port: web.port });
      t.match(answers[0], { status: 503, body: /"unavailable"/, headers: { 'retry-after': '5' } });
      t.notMatch(JSON.stringify(answers), /failpoint/, 'not its message');
      web.process.kill('SIGTERM');
    },
  },
  {
    id: 'B63',
    title: 'requests during the shutdown',
    begin: async (stage) => {
      const web = await stage.newWeb({});
      const stalled = stage.exchange(headOf(stripe(), 'content-length: 10'), {
        port: web.port,
        timeoutMs: patienceMs,
      });
      await delay(200);
      web.process.kill('SIGTERM');
      const stoppedAt = performance.now();
      const { code } = await web.process.exited;
      await stalled;
      return { code, ms: performance.now() - stoppedAt };
    },
    check: async (t, stage, begun) => {
      const stalled = begun as { code: number; ms: number };
      t.equal(stalled.code, 0, 'a request that stalls does not hold it up for ever');
      t.ok(stalled.ms < 12_000 * busyness(), `it ended after ${Math.round(stalled.ms)} ms`);
      const web = await stage.newWeb({});
      const [late, large] = [stripe(), headOf(stripe(), `content-length: ${2 * mebibyte}`)];
      const bytes = bytesOf(late);
      const half = connect({ port: web.port, host: '127.0.0.1' });
      half.write(bytes.subarray(0, bytes.length - 10));
      let text = '';
      half.on('data', (chunk) => {
        text += chunk;
      });
      await delay(50);
      const tooLarge = stage.exchange([large.subarray(0, 200), large.subarray(200)], { port: web.port });
      await delay(20);
      web.process.kill('SIGTERM');
      await web.process.waitForLog('stopping');
      half.write(bytes.subarray(bytes.length - 10));
      const [, { answers }] = await Promise.all([new Promise((ended) => half.on('close', ended)), tooLarge]);
      t.match(text, accepted, 'what had begun is accepted');
      t.match(text, /connection: close/i, 'and told that the connection ends');
      t.ok(await stage.rowOf(late.body));
      t.match(answers, [{ status: 413 }]);
      t.match(await web.process.exited, { code: 0 }, 'and an idle connection holds nobody up');
    },
  },
];

async function floodOf(stage: Stage, count: number) {
  const flood: number[] = [];
  const valid: number[] = [];
  const statements = await stage.statementsOf(async () => {
    const forge = async () => {
      const requests = Array.from({ length: 50 }, () =>
        bytesOf(withHeader(stripe(), 'stripe-signature', `t=1,v1=${'0'.repeat(64)}`)),
      );
      const { answers } = await stage.exchange(Buffer.concat(requests), { answers: 50, timeoutMs: 30_000 });
      flood.push(...answers.map(({ status }) => status));
    };
    const deliver = async () => {
      for (let n = 0; n < 20; n++) valid.push((await stage.send(stripe())).status);
    };
    await Promise.all([...Array.from({ length: count / 50 }, forge), deliver(), deliver()]);
  });
  return { flood, valid, statements };
}
