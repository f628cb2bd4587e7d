// Stands between a process and Postgres and writes down every statement that goes through.
import { createConnection, createServer, type Socket } from 'node:net';
import type { Test } from 'tap';
import { standInForDatabase } from '../support/database-stand-in.ts';

export interface StatementCounter {
  /** `databaseUrl` with the counter's address in it. */
  url: string;
  /** Texts of the statements executed so far; of a prepared one at each execution. */
  readonly statements: string[];
}

export async function startStatementCounter(t: Test, databaseUrl: string): Promise<StatementCounter> {
  const target = new URL(databaseUrl);
  const statements: string[] = [];
  const sockets = new Set<Socket>();
  const server = createServer({ noDelay: true }, (client) => {
    const upstream = createConnection({
      host: target.hostname,
      port: Number(target.port || 5432),
      noDelay: true,
    });
    const read = createFrontendReader((text) => statements.push(text));
    client.on('data', read).pipe(upstream);
    upstream.pipe(client);
    for (const [socket, other] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      sockets.add(socket);
      socket.on('error', () => {}); // `close` follows
      socket.on('close', () => {
        sockets.delete(socket);
        other.destroy();
      });
    }
  });
  return { url: await standInForDatabase(t, server, sockets, databaseUrl), statements };
}

/** Reads what a client says to Postgres: Query (Q), Parse (P) and Bind (B), which stands for one execution. */
function createFrontendReader(onStatement: (text: string) => void): (chunk: Buffer) => void {
  const prepared = new Map<string, string>();
  let buffered = Buffer.alloc(0);
  let isStartUp = true;
  return (chunk) => {
    buffered = Buffer.concat([buffered, chunk]);
    for (;;) {
      // The first message has no type byte.
      const lengthAt = isStartUp ? 0 : 1;
      if (buffered.length < lengthAt + 4) return;
      const end = lengthAt + buffered.readInt32BE(lengthAt);
      if (buffered.length < end) return;
      const message = buffered.subarray(lengthAt + 4, end);
      if (!isStartUp) {
        const type = String.fromCharCode(buffered[0]!);
        const [first = '', second = ''] = message.toString('latin1').split('\0', 2);
        if (type === 'Q') onStatement(first);
        else if (type === 'P') prepared.set(first, second);
        else if (type === 'B') onStatement(prepared.get(second) ?? '');
      }
      isStartUp = false;
      buffered = buffered.subarray(end);
    }
  };
}
