// Connections of the pool. Two transactions may share one: the second starts while the COMMIT of the first is in flight.
import pg from 'pg';
import { describeError } from '../errors.ts';
import type { Logger } from '../logger.ts';
import { ConnectionLostError } from './database.ts';

/** A connection taken from the pool; it returns when its last transaction has left it. */
export class Session {
  readonly client: pg.PoolClient;
  /** Filled by the pool. */
  readonly #lost: WeakMap<pg.PoolClient, Error>;
  #users = 0;
  /** The reason why the connection must not return to the pool. */
  #unusableBecause: Error | undefined;

  constructor(client: pg.PoolClient, lost: WeakMap<pg.PoolClient, Error>) {
    this.client = client;
    this.#lost = lost;
  }

  get stream() {
    return this.client.connection.stream;
  }

  get isUnusable(): boolean {
    return this.#unusableBecause !== undefined;
  }

  join(): void {
    this.#users++;
  }

  /** @param error reason to close the connection at once, even if another transaction still uses it */
  leave(error?: Error): void {
    this.#users--;
    this.#unusableBecause ??= error ?? this.lostBecause();
    if (this.#users === 0) this.client.release(this.#unusableBecause);
    else if (error) this.end();
  }

  /** Running transactions go on, but the connection does not return to the pool. */
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
  // Sessions whose COMMIT is written and sent at the end of this turn of the event loop.
  readonly #held = new Set<Session>();

  constructor(config: pg.PoolConfig, log: Logger) {
    this.pool = new pg.Pool(config);
    this.pool.on('connect', (client) => client.on('error', (error) => this.#lost.set(client, error)));
    // A dropped idle connection must not end the process; the pool opens a new one when needed.
    this.pool.on('error', (error) =>
      log.warn({ error: describeError(error).text }, 'an idle database connection was lost'),
    );
  }

  /** @throws ConnectionLostError */
  async open(): Promise<Session> {
    const client = await this.pool.connect().catch((error: unknown) => {
      throw new ConnectionLostError(error);
    });
    return new Session(client, this.#lost);
  }

  /** Sends the corked stream at the end of this turn; until then the next transaction may add its BEGIN. */
  holdForNext(session: Session): void {
    this.#held.add(session);
    process.nextTick(() => {
      this.#held.delete(session);
      session.stream.uncork();
    });
  }

  /** A held session, for one more transaction in the same packet as the COMMIT. */
  takeHeld(): Session | undefined {
    for (const session of this.#held) {
      this.#held.delete(session);
      if (!session.isUnusable) return session;
    }
    return undefined;
  }
}

/** The process id from BackendKeyData; pg's types lack the field. */
export function processIdOf(client: pg.PoolClient): number {
  return (client as unknown as { processID: number }).processID;
}
