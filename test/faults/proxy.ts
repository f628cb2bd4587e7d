// A TCP proxy in front of Postgres that can lose, delay, cut and withhold.
import { createConnection, createServer, type Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import type { Test } from 'tap';
import { standInForDatabase } from '../support/database-stand-in.ts';

export interface Proxy {
  /** `databaseUrl` with the proxy's address in it. */
  url: string;
  /** Bytes vanish in both directions, new connections are accepted and never served. */
  blackHole(): void;
  /** Bytes pass again: on connections made from now on, and with `revive` on the old ones as well. */
  heal(options?: { revive?: boolean }): void;
  /** Every connection ends at once, by RST or by FIN. */
  cut(how: 'reset' | 'end'): void;
  /** Each chunk comes so much later, in both directions. */
  delayBy(ms: number): void;
  /** The next `count` answers to COMMIT never arrive: Postgres has committed, and the connection is reset. */
  swallowCommits(count: number): void;
  swallowed(): number;
  /** The next `count` COMMITs arrive as ROLLBACK: what COMMIT of an aborted transaction does, tag and all. */
  rollBackCommits(count: number): void;
  rolledBack(): number;
  /** The next `count` connections on which a BEGIN comes with nothing behind it are reset; Postgres never sees it. */
  cutAtBegin(count: number): void;
  cutAtBegins(): number;
  /** The next answer to a statement has the end of its session right behind it, in one packet. */
  endSessionBehindAnswer(): void;
  /** Connections that LISTEN go silent; all others go on. @returns how many */
  loseListeners(): number;
  connections(): number;
}

interface Link {
  client: Socket;
  server: Socket;
  /** Loses what it is given, for ever or until it is healed. */
  isLost: boolean;
  held: (() => void)[];
  isListener: boolean;
}

// CommandComplete with the tag COMMIT.
const commitAnswer = Buffer.from('C\0\0\0\x0bCOMMIT\0', 'latin1');
// ReadyForQuery outside a transaction, and what Postgres says when it is shut down.
const readyForQuery = Buffer.from('Z\0\0\0\x05I', 'latin1');
const fatalFields = 'SFATAL\0VFATAL\0C57P01\0Mterminating connection due to administrator command\0\0';
const fatal = Buffer.concat([Buffer.from('E\0\0\0\0', 'latin1'), Buffer.from(fatalFields, 'latin1')]);
fatal.writeInt32BE(fatal.length - 1, 1);
// Query with the text COMMIT, and with the text ROLLBACK.
const commitQuery = Buffer.from('Q\0\0\0\x0bCOMMIT\0', 'latin1');
const beginQuery = Buffer.from('BEGIN ISOLATION LEVEL READ COMMITTED\0', 'latin1');
const rollbackQuery = Buffer.from('Q\0\0\0\x0dROLLBACK\0', 'latin1');

export async function startProxy(t: Test, databaseUrl: string): Promise<Proxy> {
  const target = new URL(databaseUrl);
  const links = new Set<Link>();
  /** Also of links whose other end has gone into a black hole. */
  const sockets = new Set<Socket>();
  let isHole = false;
  let delayMs = 0;
  let toSwallow = 0;
  let swallowed = 0;
  let toRollBack = 0;
  let rolledBack = 0;
  let isEndAwaited = false;
  let toCut = 0;
  let cutAtBegins = 0;

  const server = createServer({ noDelay: true }, (client) => {
    const upstream = createConnection({
      host: target.hostname,
      port: Number(target.port || 5432),
      noDelay: true,
    });
    const link: Link = { client, server: upstream, isLost: isHole, held: [], isListener: false };
    links.add(link);
    for (const socket of [client, upstream]) {
      sockets.add(socket);
      socket.on('close', () => sockets.delete(socket));
    }
    join(link, client, upstream, (chunk) => {
      if (chunk.includes('LISTEN ')) link.isListener = true;
      if (toCut > 0 && chunk.subarray(-beginQuery.length).equals(beginQuery)) {
        toCut--;
        cutAtBegins++;
        client.resetAndDestroy();
        upstream.destroy();
        return undefined;
      }
      const at = toRollBack > 0 ? chunk.indexOf(commitQuery) : -1;
      if (at === -1) return chunk;
      toRollBack--;
      rolledBack++;
      return Buffer.concat([chunk.subarray(0, at), rollbackQuery, chunk.subarray(at + commitQuery.length)]);
    });
    join(link, upstream, client, (chunk) => {
      if (isEndAwaited && chunk.subarray(-readyForQuery.length).equals(readyForQuery)) {
        isEndAwaited = false;
        client.end(Buffer.concat([chunk, fatal]));
        upstream.destroy();
        return undefined;
      }
      if (toSwallow === 0 || !chunk.includes(commitAnswer)) return chunk;
      toSwallow--;
      swallowed++;
      client.resetAndDestroy();
      upstream.destroy();
      return undefined;
    });
  });

  /** `change` gives what is to be sent on; undefined: nothing. */
  function join(link: Link, from: Socket, to: Socket, change: (chunk: Buffer) => Buffer | undefined): void {
    from.on('data', async (chunk: Buffer) => {
      if (link.isLost) {
        link.held.push(() => to.write(chunk));
        return;
      }
      if (delayMs) await delay(delayMs);
      const changed = change(chunk);
      if (changed) to.write(changed);
    });
    from.on('error', () => {}); // `close` follows
    from.on('end', () => {
      if (!link.isLost) to.end();
    });
    from.on('close', () => {
      links.delete(link);
      if (!link.isLost) to.destroy();
    });
  }

  const url = await standInForDatabase(t, server, sockets, databaseUrl);
  return {
    url,
    blackHole: () => {
      isHole = true;
      for (const link of links) link.isLost = true;
    },
    heal: ({ revive = false } = {}) => {
      isHole = false;
      if (!revive) return;
      for (const link of links) {
        link.isLost = false;
        for (const send of link.held.splice(0)) send();
      }
    },
    cut: (how) => {
      for (const { client, server: upstream } of links) {
        if (how === 'reset') {
          client.resetAndDestroy();
          upstream.resetAndDestroy();
        } else {
          client.end();
          upstream.end();
        }
      }
    },
    delayBy: (ms) => {
      delayMs = ms;
    },
    swallowCommits: (count) => {
      toSwallow = count;
    },
    swallowed: () => swallowed,
    rollBackCommits: (count) => {
      toRollBack = count;
    },
    rolledBack: () => rolledBack,
    cutAtBegin: (count) => {
      toCut = count;
    },
    cutAtBegins: () => cutAtBegins,
    endSessionBehindAnswer: () => {
      isEndAwaited = true;
    },
    loseListeners: () => {
      const listeners = [...links].filter((link) => link.isListener);
      for (const link of listeners) link.isLost = true;
      return listeners.length;
    },
    connections: () => links.size,
  };
}
