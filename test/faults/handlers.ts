// The handlers of the fault tests: each writes its effect through tx, and a journal that no rollback can undo.
import { randomUUID } from 'node:crypto';
import { openSync, writeSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { Later, PermanentError } from '../../src/errors.ts';
import { defineHandler, type HandlerContext } from '../../src/handlers/handler.ts';
import { badErrors, misuses } from './misuse.ts';

interface Payload {
  data?: {
    object: {
      /** Names what to do besides writing the effect; default: nothing. */
      do?: string;
      ms?: number;
      times?: number;
      entity?: string;
      /** Rows of `allowed`, to be locked in this order. */
      locks?: string[];
    };
  };
}
type Context = Omit<HandlerContext<unknown>, 'readBody'>;
const objectOf = (payload: unknown) => (payload as Payload).data?.object ?? {};

const journalFile = process.env.FAULTS_JOURNAL;
if (!journalFile) throw new Error('FAULTS_JOURNAL is not set');
// The kernel keeps what a killed process wrote; one write per line, so that processes do not mix theirs.
const journal = openSync(journalFile, 'a');

async function handle(context: Context): Promise<unknown> {
  const { event, tx } = context;
  const attemptId = randomUUID();
  const note = (kind: string) => {
    const at = performance.timeOrigin + performance.now();
    const line = { at, kind, eventId: event.id, attemptId, pid: process.pid, attempt: event.attempt };
    writeSync(journal, `${JSON.stringify(line)}\n`);
  };
  const { do: what, ms } = objectOf(context.payload);
  note('start');
  try {
    if (what === 'wait-first') await delay(ms, undefined, { signal: context.signal });
    await tx.query('INSERT INTO effects (event_id, attempt_id, pid) VALUES ($1, $2, $3)', [
      event.id,
      attemptId,
      process.pid,
    ]);
    return await act(context);
  } finally {
    note('end');
  }
}

async function act(context: Context): Promise<unknown> {
  const { event, tx, signal, payload } = context;
  const { do: what, ms = 0, times = 1, locks = [] } = objectOf(payload);
  if (what === undefined) return undefined;
  if (what === 'wait') return delay(ms, undefined, { signal });
  if (what === 'wait-deaf') return delay(ms);
  if (what === 'wait-deaf-times') return event.attempt <= times ? delay(ms) : undefined;
  if (what === 'wait-until-allowed') return waitUntilAllowed(context, ms, signal);
  if (what === 'wait-deaf-until-allowed') return waitUntilAllowed(context, ms);
  if (what === 'spin') for (const until = Date.now() + ms; Date.now() < until; );
  if (what === 'spin') return undefined;
  if (what === 'throw') throw new Error('the handler wanted to fail');
  if (what === 'throw-times' && event.attempt <= times)
    throw new Error(`failure ${event.attempt} of ${times}`);
  if (what === 'throw-times') return delay(ms);
  if (what === 'lock') return lockInOrder(context, locks);
  if (what === 'throw-until-allowed') {
    const { rowCount } = await tx.query('SELECT FROM allowed WHERE event_id = $1', [event.id]);
    if (rowCount === 0) throw new Error('it is not allowed yet');
    return delay(ms, undefined, { signal });
  }
  if (what === 'permanent') throw new PermanentError('never');
  if (what === 'later-for' && Date.now() - event.receivedAt.getTime() < ms)
    throw new Later({ afterSeconds: 1 });
  if (what === 'kill') process.kill(process.pid, 'SIGKILL');
  if (what === 'exit') process.exit(7);
  if (what === 'abort') process.abort();
  if (what === 'out-of-memory') for (const kept: unknown[] = []; ; ) kept.push(new Array(100_000).fill(1.5));
  if (what === 'throw-outside') {
    setTimeout(() => {
      throw new Error('thrown where no promise could catch it');
    }, 20);
    return delay(3_600_000, undefined, { signal });
  }
  const misuse = misuses[what];
  if (misuse) return misuse(context);
  const badError = badErrors[what];
  if (badError) throw badError();
  return undefined;
}

async function lockInOrder({ tx, signal }: Context, keys: readonly string[]): Promise<void> {
  for (const key of keys) {
    await tx.query('UPDATE allowed SET event_id = event_id WHERE event_id = $1', [key]);
    await delay(200, undefined, { signal });
  }
}

async function waitUntilAllowed({ event, tx }: Context, ms: number, signal?: AbortSignal): Promise<void> {
  for (const until = Date.now() + ms; Date.now() < until; ) {
    const { rowCount } = await tx.query('SELECT FROM allowed WHERE event_id = $1', [event.id]);
    if (rowCount) return;
    await delay(100, undefined, signal && { signal });
  }
}

export default [
  defineHandler({ provider: 'stripe', topic: 'ledger.event', handle }),
  ...['github', 'shopify', 'woocommerce'].map((provider) => defineHandler({ provider, topic: '*', handle })),
  defineHandler({
    provider: 'stripe',
    topic: 'ledger.entity',
    entity: (payload) => objectOf(payload).entity,
    handle,
  }),
  defineHandler({
    provider: 'stripe',
    topic: 'ledger.batch',
    handle,
    batch: async ({ items, ...rest }) => {
      for (const { event, payload } of items) await handle({ event, payload, ...rest });
    },
  }),
];
