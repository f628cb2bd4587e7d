// Opens a database: sets up its connections and joins the parts of this folder.
import type pg from 'pg';
import { defaultSchemas } from '../config.ts';
import { describeError } from '../errors.ts';
import type { Database, DatabaseOptions } from './database.ts';
import { endDeadTransactions } from './dead-connections.ts';
import { withHeldLock } from './held-lock.ts';
import { clientClassFor } from './hosts.ts';
import { listen } from './listen.ts';
import { applicationNameIn, createFillIn } from './schemas.ts';
import { SessionPool } from './sessions.ts';
import { type Sending, toQueryConfig } from './statements.ts';
import { runTransaction, type TransactionDeps } from './transaction.ts';

export function openDatabase(options: DatabaseOptions): Database {
  const { log, pooler = false, schemas = defaultSchemas, timeoutMs = 6_000, sessionSettings = {} } = options;
  const applicationName = applicationNameIn(schemas, options.applicationName);
  const connection: pg.ClientConfig = {
    connectionString: options.url,
    application_name: applicationName,
    connectionTimeoutMillis: options.connectTimeoutMs ?? 2_000,
    keepAlive: true,
    keepAliveInitialDelayMillis: 10_000,
    // A start-up parameter costs no round trip, but a pooler rejects such a connection.
    ...(pooler ? {} : startUpOptions(sessionSettings)),
    ...(options.acceptSelfSigned ? { ssl: { rejectUnauthorized: false } } : {}),
  };
  const Client = clientClassFor(connection);
  const sessions = new SessionPool(
    {
      ...connection,
      Client: Client as new () => pg.Client, // the pool passes its settings; the type lacks the parameter
      max: options.maxConnections,
      idleTimeoutMillis: 30_000,
      query_timeout: timeoutMs,
      // Statements that need no answer in between share a round trip; pg sends a Sync after each.
      pipeline: true,
    },
    log,
  );
  const { pool } = sessions;
  const sending: Sending = { pooler, fillIn: createFillIn(schemas) };
  const transactions: TransactionDeps = {
    sessions,
    sending,
    settings: pooler ? sessionSettings : {},
    timeoutMs,
    open: new Set(),
  };

  return {
    schemas,
    // async: `pg` throws at once when a certificate's file is missing.
    query: async (statement, values) => pool.query(toQueryConfig(statement, values, sending)),
    transaction: (work, transactionOptions = {}) => runTransaction(transactions, work, transactionOptions),
    endDeadTransactions: () => endDeadTransactions(transactions.open, pool, applicationName),
    listen: (channel, onWake) => {
      const openClient = () => new Client({ ...connection, query_timeout: 5_000 });
      return listen(openClient, sending.fillIn(channel), onWake, log);
    },
    withClient: async (work) => {
      const client = new Client(connection);
      client.on('error', (error) =>
        log.warn({ error: describeError(error).text }, 'a database connection was lost'),
      );
      await client.connect();
      try {
        return await work(client);
      } finally {
        await client.end();
      }
    },
    withLock: (name, work) => {
      // Nobody waits for it as for a delivery's connection.
      const client = new Client({ ...connection, connectionTimeoutMillis: 10_000 });
      return withHeldLock(client, sending.fillIn(name), work);
    },
    counts: () => ({
      total: pool.totalCount,
      idle: pool.idleCount,
      waiting: pool.waitingCount,
      max: options.maxConnections,
    }),
    lostConnections: () => sessions.lostCount,
    close: () => pool.end(),
  };
}

function startUpOptions(settings: Record<string, string>): { options?: string } {
  const list = Object.entries(settings).map(([key, value]) => `-c ${key}=${value}`);
  return list.length ? { options: list.join(' ') } : {};
}
