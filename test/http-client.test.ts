// One request of ours: how its answer ends, redirects, and a kept connection that the server has closed.
import { once } from 'node:events';
import net, { type AddressInfo } from 'node:net';
import t, { type Test } from 'tap';
import { exchange } from '../src/http-client.ts';
import { atEnd } from './support/at-end.ts';

/** A server that answers each request of a connection with the next text; undefined: it closes the connection. */
async function serve(t: Test, answers: (string | undefined)[]) {
  let connections = 0;
  const server = net.createServer((socket) => {
    connections++;
    socket.on('error', () => {});
    socket.on('data', () => {
      const answer = answers.shift();
      if (answer === undefined) return void socket.resetAndDestroy();
      if (answer.endsWith('…')) socket.end(answer.slice(0, -1));
      else socket.write(answer);
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  atEnd(t, () => void server.close());
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
  const ask = (reuses = false, maxBytes = 100, signal = new AbortController().signal) =>
    exchange({ method: 'POST', url, headers: {}, body: 'x' }, { maxBytes, signal, reuses });
  return { ask, connections: () => connections };
}

const answerOf = (body: string, length = body.length) =>
  `HTTP/1.1 200 OK\r\ncontent-length: ${length}\r\n\r\n${body}`;

t.test('the end of an answer', async (t) => {
  const { ask } = await serve(t, [answerOf('whole'), answerOf('y'.repeat(200)), `${answerOf('half', 100)}…`]);
  const [whole, long, broken] = [await ask(), await ask(), await ask()];
  t.match(whole, { status: 200, end: 'whole', body: Buffer.from('whole') });
  t.match(long, { status: 200, end: 'too long' });
  t.match(broken, { status: 200, end: 'broken', body: Buffer.from('half') });
});

t.test('a redirect is an answer', async (t) => {
  const { ask, connections } = await serve(t, [
    'HTTP/1.1 302 Found\r\nlocation: /x\r\ncontent-length: 0\r\n\r\n',
  ]);
  t.match(await ask(), { status: 302, end: 'whole' });
  t.equal(connections(), 1);
});

t.test(
  'a kept connection that is closed at the moment of its use costs no failure; a new one does',
  async (t) => {
    const { ask, connections } = await serve(t, [answerOf('1'), undefined, answerOf('2'), undefined]);
    t.match(await ask(true), { body: Buffer.from('1') });
    t.match(await ask(true), { body: Buffer.from('2') });
    t.equal(connections(), 2);
    await t.rejects(ask(false), { code: 'ECONNRESET' });
  },
);

t.test('an aborted request gives the reason', async (t) => {
  const { ask } = await serve(t, [answerOf('half', 100)]);
  const stop = new AbortController();
  const asked = ask(false, 100, stop.signal);
  stop.abort(new Error('enough'));
  await t.rejects(asked, { message: 'enough' });
});
