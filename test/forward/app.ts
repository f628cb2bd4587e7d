// A stand-in for a team's app: records what it gets, and answers as a test wants.
import { once } from 'node:events';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Test } from 'tap';
import { atEnd } from '../support/at-end.ts';

export interface Received {
  method: string | undefined;
  path: string | undefined;
  headers: http.IncomingHttpHeaders;
  body: Buffer;
}

export type Answering = (response: http.ServerResponse, received: Received) => void;

export interface App {
  url: string;
  received: Received[];
  answer: Answering;
  server: http.Server;
}

/** Answers 204 until `answer` is another. */
export async function startApp(t: Test): Promise<App> {
  const server = http.createServer(async (request, response) => {
    const body = Buffer.concat(await request.toArray());
    const { method, url: path, headers } = request;
    const received = { method, path, headers, body };
    app.received.push(received);
    app.answer(response, received);
  });
  const answer: Answering = (response) => response.writeHead(204).end();
  const app: App = { url: '', received: [], answer, server };
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  app.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/hooks?from=postbell`;
  atEnd(t, async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });
  return app;
}
