// LISTEN on a separate connection. The listener opens a lost connection again.
import type pg from 'pg';
import { describeError } from '../errors.ts';
import type { Logger } from '../logger.ts';
import type { Listener } from './database.ts';

/** @param openClient makes a client that is not connected yet */
export function listen(
  openClient: () => pg.Client,
  channel: string,
  onWake: (payload: string | undefined) => void,
  log: Logger,
): Listener {
  let client: pg.Client | undefined;
  let isClosed = false;
  let isListening = false;
  let retry: NodeJS.Timeout | undefined;
  let check: NodeJS.Timeout | undefined;

  const connect = async () => {
    client = undefined;
    let isGone = false;
    const again = (error?: Error) => {
      if (isGone) return;
      isGone = true;
      clearInterval(check);
      if (isListening && !isClosed)
        log.warn(
          { error: error && describeError(error).text },
          'the connection for LISTEN was lost; the worker polls until it is back',
        );
      isListening = false;
      client?.end().catch(() => {}); // the connection is lost already
      if (!isClosed) retry = setTimeout(connect, 2_000);
    };
    try {
      // Throws while a certificate's file is missing: it may be replaced at this moment.
      const opened = openClient();
      client = opened;
      opened.on('error', again);
      opened.on('end', () => again());
      opened.on('notification', ({ payload }) => onWake(payload));
      await opened.connect();
      await opened.query(`LISTEN ${channel}`);
      isListening = true;
      onWake(undefined);
      check = setInterval(() => checkServer(opened).catch(again), 10_000);
    } catch (error) {
      again(error as Error);
    }
  };
  void connect();
  return {
    isListening: () => isListening,
    close: async () => {
      isClosed = true;
      clearTimeout(retry);
      clearInterval(check);
      await client?.end().catch(() => {}); // the connection was lost already
    },
  };
}

/**
 * A half-open socket raises no error: the time-out of the query detects it. A primary that became read only may live on
 * after a failover, and notifications are sent on the new primary.
 * @throws Error if the connection has to be opened again
 */
async function checkServer(client: pg.Client): Promise<void> {
  const { rows } = await client.query<{ transaction_read_only: string }>('SHOW transaction_read_only');
  if (rows[0]?.transaction_read_only !== 'off') throw new Error('the server became read only');
}
