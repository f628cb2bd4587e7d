// Connects to one of the several hosts of DATABASE_URL, anew at each connection: so connections follow a failover.
import pg from 'pg';
import { type DatabaseHosts, hostsOf } from '../database-url.ts';

interface Host {
  host: string;
  port: number;
}

type Callback = (error: Error | null, client?: pg.Client) => void;

/**
 * The class of the clients for this connection: `pg`'s own, or, if the URL names several hosts, a subclass that asks them
 * before it connects. Clients that connect at the same time share the answer.
 * @param connection.connectionTimeoutMillis limit of asking; of one host after the other, each has its share
 */
export function clientClassFor(connection: pg.ClientConfig): typeof pg.Client {
  const hosts = hostsOf(connection.connectionString ?? '');
  if (hosts.urls.length === 1) return pg.Client;
  let search: Promise<Host> | undefined;
  const find = () => {
    search ??= findHost(hosts, connection).finally(() => {
      search = undefined;
    });
    return search;
  };
  return class extends pg.Client {
    constructor(config: pg.ClientConfig) {
      super({ ...config, connectionString: hosts.urls[0] });
    }

    override connect(): Promise<pg.Client>;
    override connect(callback: Callback): void;
    override connect(callback?: Callback): Promise<pg.Client> | undefined {
      if (callback) {
        find().then((found) => this.#connectTo(found, callback), callback);
        return undefined;
      }
      return new Promise((resolve, reject) => {
        this.connect((error) => (error ? reject(error) : resolve(this)));
      });
    }

    // The callback goes to `pg` itself: later, an 'error' in the same packet would have no listener yet.
    #connectTo(found: Host, callback: Callback): void {
      // The pool's time-out destroys the stream; `connect` would open it again.
      if (this.connection.stream.destroyed) callback(new Error('the connection was given up'));
      else super.connect.call(Object.assign(this, found), callback);
    }
  };
}

async function findHost({ urls, needsWritable }: DatabaseHosts, connection: pg.ClientConfig): Promise<Host> {
  const totalMs = connection.connectionTimeoutMillis ?? 0;
  const timeoutMs = needsWritable ? totalMs : Math.ceil(totalMs / urls.length);
  const limits = { connectionTimeoutMillis: timeoutMs, query_timeout: timeoutMs };
  const askAt = (url: string) => ask({ ...connection, ...limits, connectionString: url }, needsWritable);
  // All at once: a dead machine does not answer, and the new primary must not wait for it.
  if (needsWritable)
    return Promise.any(urls.map(askAt)).catch(({ errors }: AggregateError) => {
      throw new AggregateError(errors, 'no host of DATABASE_URL accepts writes');
    });
  const errors: unknown[] = [];
  for (const url of urls) {
    try {
      return await askAt(url);
    } catch (error) {
      errors.push(error);
    }
  }
  throw new AggregateError(errors, 'no host of DATABASE_URL answers');
}

/** Rejects unless the host answers and, if asked for, accepts writes. */
async function ask(connection: pg.ClientConfig, needsWritable: boolean): Promise<Host> {
  const client = new pg.Client(connection);
  client.on('error', () => {}); // the call under way rejects
  try {
    await client.connect();
    // `on` on a standby, too.
    if (needsWritable) {
      const { rows } = await client.query<{ transaction_read_only: string }>('SHOW transaction_read_only');
      if (rows[0]?.transaction_read_only !== 'off') throw new ReadOnlyError(client.host, client.port);
    }
    return { host: client.host, port: client.port };
  } finally {
    client.end().catch(() => {}); // it is not needed any more
  }
}

/** Bears Postgres' own code for a write on such a server. */
class ReadOnlyError extends Error {
  readonly code = '25006';
  constructor(host: string, port: number) {
    super(`${host}:${port} is read only`);
    this.name = 'ReadOnlyError';
  }
}
