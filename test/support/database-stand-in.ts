// What stands between a process and its database, e.g. a proxy: listens under the database's URL until the test ends.
import { once } from 'node:events';
import type { AddressInfo, Server, Socket } from 'node:net';
import type { Test } from 'tap';
import { atEnd } from './at-end.ts';

/**
 * @param sockets every one that is open; they are ended with the server
 * @returns the database's URL with the server's place in it
 */
export async function standInForDatabase(
  t: Test,
  server: Server,
  sockets: ReadonlySet<Socket>,
  databaseUrl: string,
): Promise<string> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  atEnd(t, async () => {
    for (const socket of sockets) socket.destroy();
    server.close();
    await once(server, 'close');
  });
  const url = new URL(databaseUrl);
  url.hostname = '127.0.0.1';
  url.port = String((server.address() as AddressInfo).port);
  return url.href;
}
