// Connections of the pool, one per transaction.
import pg from 'pg';
import { describeError } from '../errors.ts';
import type { Logger } from '../logger.ts';
import { ConnectionLostError } from './database.ts';

/** A connection taken from the pool for a transaction. */
export class Session {
  readonly client: pg.PoolClient;
  /** Filled by the pool. */
  readonly #lost: WeakMap<pg.PoolClient, Error>;
  /** The reason why the connection must not return to the pool. */
  #unusableBecause: Error | undefined;

  constructor(client: pg.PoolClient, lost: WeakMap<pg.PoolClient, Error>) {
    this.client = client;
    this.#lost = lost;
  }

  get stream() {
    return this.client.connection.stream;
  }

  /** @param error reason to close the connection instead of returning it to the pool */
  leave(error?: Error): void {
    this.client.release(error ?? this.#unusableBecause ?? this.lostBecause());
  }

  /** The transaction goes on, but the connection does not return to the pool. */
  markUnusable(error: Error): void {
    this.#unusableBecause ??= error;
  }

  /** The error that dropped the connection; undefined while it is open. */
  lostBecause(): Error | undefined {
    return this.#lost.get(this.client);
  }

  /** Closes the connection at once, even while a statement runs. */
  end(): void {
    this.stream.destroy();
  }
}

export class SessionPool {
  readonly pool: pg.Pool;
  // The error listener is attached at connect. Between checkout and first use there is no other listener, and an unheard 'error'
  // (the last answer and the end of the session may come in one packet) ends the process.
  readonly #lost = new WeakMap<pg.PoolClient, Error>();
  #lostCount = 0;

  constructor(config: pg.PoolConfig, log: Logger) {
    this.pool = new pg.Pool(config);
    this.pool.on('connect', (client) =>
      client.on('error', (error) => {
        if (!this.#lost.has(client)) this.#lostCount++;
        this.#lost.set(client, error);
      }),
    );
    // A dropped idle connection must not end the process; the pool opens a new one when needed.
    this.pool.on('error', (error) =>
      log.warn({ error: describeError(error).text }, 'an idle database connection was lost'),
    );
  }

  /** Connections that were lost since the start. */
  get lostCount(): number {
    return this.#lostCount;
  }

  /** @throws ConnectionLostError */
  async open(): Promise<Session> {
    try {
      return new Session(await this.pool.connect(), this.#lost);
    } catch (error) {
      throw new ConnectionLostError(error);
    }
  }
}

/** The process id from BackendKeyData; pg's types lack the field. */
export function processIdOf(client: pg.PoolClient): number {
  return (client as unknown as { processID: number }).processID;
}
