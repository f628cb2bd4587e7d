// Bodies that are never finished: they hold no more than a bound, and whoever finishes is served.
import { once } from 'node:events';
import { connect } from 'node:net';
import t from 'tap';
import { providers, signDelivery } from '../../src/providers/index.ts';
import { makeSource } from '../providers/deliveries.ts';
import { openRoute } from '../support/route.ts';
import { waitFor } from '../support/wait.ts';

const mebibyte = 1_048_576;
const heldAtMost = 64;
const attackers = 100;
const source = makeSource(providers.stripe, 'whsec_of_the_bodies_test_0001');
const wish = { topic: 'invoice.paid', url: 'http://localhost/webhooks/stripe' };

t.test('of a hundred unfinished megabytes the oldest are given up', async (t) => {
  const { post, address, accepted } = openRoute(t, source);
  const { port } = new URL(await address);
  const answers: string[] = [];
  const sockets = [];
  for (let n = 0; n < attackers; n++) {
    const socket = connect({ port: Number(port), host: '127.0.0.1' });
    socket.setEncoding('latin1').on('error', () => {}); // `close` follows
    socket.on('data', (text: string) => {
      answers[n] = (answers[n] ?? '') + text;
    });
    socket.write(`POST /webhooks/stripe HTTP/1.1\r\nHost: a\r\nContent-Length: ${mebibyte}\r\n\r\n`);
    // One after the other, so that it is known which is older.
    await new Promise((written) => socket.write(Buffer.alloc(mebibyte - 1, 'x'), written));
    sockets.push(socket);
  }
  const isGivenUp = (text: string | undefined) => text !== undefined;
  await waitFor(() => answers.filter(isGivenUp).length >= attackers - heldAtMost, {
    what: 'the oldest to be given up',
  });
  const statuses = new Set(answers.filter(isGivenUp).map((text) => text.split(' ')[1]));
  t.same([...statuses], ['408']);
  t.match(answers[0], /"error":"timeout"/);
  t.ok(answers.filter(isGivenUp).length < attackers - heldAtMost + 10, 'the younger ones are left alone');
  t.equal(
    (await post(signDelivery(source, { ...wish, now: new Date() }))).status,
    200,
    'a delivery is served',
  );
  t.equal(accepted(), 1);

  const last = sockets.at(-1)!;
  last.write('x');
  await waitFor(() => answers[attackers - 1], { what: 'the answer to the one that is finished after all' });
  t.match(answers[attackers - 1], /^HTTP\/1\.1 401/, 'which is read, and then not believed');
  for (const socket of sockets) socket.destroy();
  await Promise.all(sockets.map((socket) => socket.closed || once(socket, 'close')));
  const large = signDelivery(source, {
    ...wish,
    now: new Date(),
    body: JSON.stringify({ id: 'evt_large', pad: 'x'.repeat(mebibyte - 100) }),
  });
  t.equal((await post(large)).status, 200, 'what they held is free again');
});

t.test('a body in pieces of a byte is read whole', async (t) => {
  const { address, accepted } = openRoute(t, source);
  const body = JSON.stringify({ id: 'evt_in_pieces', pad: 'x'.repeat(300_000) });
  const { headers } = signDelivery(source, { ...wish, now: new Date(), body });
  const socket = connect({ port: Number(new URL(await address).port), host: '127.0.0.1' });
  let text = '';
  socket.setEncoding('latin1').on('data', (piece: string) => {
    text += piece;
  });
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}`);
  socket.write(
    `POST /webhooks/stripe HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n${lines.join('\r\n')}\r\n\r\n`,
  );
  const pieces = [...body].map((byte) => `1\r\n${byte}\r\n`);
  socket.write(`${pieces.join('')}0\r\n\r\n`);
  await waitFor(() => text, { what: 'the answer' });
  t.match(text, /^HTTP\/1\.1 200/);
  t.equal(accepted(), 1);
  socket.destroy();
});
