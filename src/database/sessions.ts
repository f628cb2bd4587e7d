// Connections out of the pool, and who shares one: a transaction, and another one behind it while its COMMIT is under way.
import pg from 'pg';
import { describeError } from '../errors.ts';
import type { Logger } from '../logger.ts';
import { ConnectionLostError } from './database.ts';

/** A connection out of the pool; it goes back when its last user has left. */
export class Session {
  readonly client: pg.PoolClient;
  /** Filled by the pool. */
  readonly #lost: WeakMap<pg.PoolClient, Error>;
  #users = 0;
  /** Why it cannot go back into the pool. */
  #spoilt: Error | undefined;

  constructor(client: pg.PoolClient, lost: WeakMap<pg.PoolClient, Error>) {
    this.client = client;
    this.#lost = lost;
  }

  get stream() {
    return this.client.connection.stream;
  }

  get isSpoilt(): boolean {
    return this.#spoilt !== undefined;
  }

  join(): void {
    this.#users++;
  }

  /** @param error why the connection must not be used any more: it is ended, under whoever else is on it too */
  leave(error?: Error): void {
    this.#users--;
    this.#spoilt ??= error ?? this.lostBecause();
    if (this.#users === 0) this.client.release(this.#spoilt);
    else if (error) this.end();
  }

  /** Whoever is on it goes on, but the connection does not go back into the pool. */
  spoil(error: Error): void {
    this.#spoilt ??= error;
  }

  /** Undefined while the connection has not dropped. */
  lostBecause(): Error | undefined {
    return this.#lost.get(this.client);
  }

  /** At once, whatever runs on it. */
  end(): void {
    this.stream.destroy();
  }
}

export class SessionPool {
  readonly pool: pg.Pool;
  // Heard from the first moment on: while a client goes from the pool to its next user nobody else listens, and a drop
  // just then (its last answer and the end of the session in one packet) would end the process.
  readonly #lost = new WeakMap<pg.PoolClient, Error>();
  // Their COMMIT leaves before the event loop goes on.
  readonly #departing = new Set<Session>();

  constructor(config: pg.PoolConfig, log: Logger) {
    this.pool = new pg.Pool(config);
    this.pool.on('connect', (client) => client.on('error', (error) => this.#lost.set(client, error)));
    // An idle connection that drops must not end the process; the pool opens a new one when asked.
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

  /** Sends what waits in the corked stream at the end of this turn; until then another transaction may come behind. */
  depart(session: Session): void {
    this.#departing.add(session);
    process.nextTick(() => {
      this.#departing.delete(session);
      session.stream.uncork();
    });
  }

  /** A session whose COMMIT is just leaving: for one more transaction behind it, in the same packet. */
  takeDeparting(): Session | undefined {
    for (const session of this.#departing) {
      this.#departing.delete(session);
      if (!session.isSpoilt) return session;
    }
    return undefined;
  }
}

/** As told by BackendKeyData; missing in the types. */
export function processIdOf(client: pg.PoolClient): number {
  return (client as unknown as { processID: number }).processID;
}
