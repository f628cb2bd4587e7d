// The example shop on a database of its own: deliveries go through the real receiver, events through a real worker.
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { Test } from 'tap';
import { loadHandlers } from '../../src/handlers/load.ts';
import { startTasks } from '../../src/maintenance/background-tasks.ts';
import { reconcileTasks } from '../../src/maintenance/reconcile.ts';
import {
  asDelivery,
  keptHeaders,
  type ProviderName,
  providers,
  readDrafts,
  type Source,
  signDelivery,
  verifyDelivery,
} from '../../src/providers/index.ts';
import { acceptDrafts } from '../../src/receive/accept.ts';
import { createReceiver } from '../../src/receive/receiver.ts';
import { workerSessionSettings } from '../../src/worker/attempt.ts';
import { startWorker } from '../../src/worker/worker.ts';
import { atEnd } from '../support/at-end.ts';
import { type Inbox, type InboxOptions, openInbox, testPolicy } from '../support/inbox.ts';
import { waitFor } from '../support/wait.ts';

const handlersFolder = fileURLToPath(new URL('../../handlers/', import.meta.url));
export const tablesSql: string = readFileSync(`${handlersFolder}tables.sql`, 'utf8');
const timeoutMs = 10_000;

export interface Rung {
  source: string;
  eventId: string;
  duplicate: boolean;
}

export type EventRow = Record<'status' | 'last_error' | 'ignored_reason' | 'entity', string | null> &
  Record<'attempts' | 'deferrals', number>;

export interface Shop extends Pick<Inbox, 'sql'> {
  /** Delivers a signed body; `id` where it travels in a header. */
  ring(
    provider: ProviderName & ('stripe' | 'shopify' | 'fedex'),
    topic: string,
    body: object,
    id?: string,
  ): Promise<Rung>;
  row(rung: Rung): Promise<EventRow>;
  /** Waits until the event is not PENDING any more; it must have that status then. */
  becomes(rung: Rung, status: string): Promise<EventRow>;
}

export async function openShop(t: Test, policy: InboxOptions['policy'] = {}): Promise<Shop> {
  const { MAX_ATTEMPTS: maxAttempts } = { ...testPolicy, ...policy };
  const inbox = await openInbox(t, { policy, sessionSettings: workerSessionSettings(timeoutMs) });
  const { database, queue, log, sql } = inbox;
  await sql(tablesSql);
  const handlers = await loadHandlers(`${handlersFolder}index.ts`);
  const receiver = createReceiver({ database, queue, log, timeoutMs: 3_000, queueMax: 1_000 });
  atEnd(t, () => receiver.close());
  const tasks = startTasks(
    reconcileTasks({ database, queue, log, maxAttempts, intervalMs: 200, deadIntervalMs: 200 }),
    log,
  );
  atEnd(t, () => tasks.stop());
  const worker = startWorker({
    ...{
      database,
      queue,
      log,
      timeoutMs,
      concurrency: 4,
      maxAttempts,
      retryDelaySeconds: 1,
      retryDelayMaxSeconds: 1,
      maxDeferrals: 100,
      heartbeatMs: 10_000,
      pollMs: 50,
    },
    handlers: () => handlers,
  });
  atEnd(t, () => worker.stop(5_000));

  const row = async ({ source, eventId }: Rung) => {
    const rows = await sql('SELECT * FROM webhook_events WHERE source = $1 AND event_id = $2', [
      source,
      eventId,
    ]);
    return rows[0] as EventRow;
  };
  return {
    sql,
    row,
    ring: async (name, topic, body, id) => {
      const source: Source = { name, provider: providers[name], secrets: [`whsec_${'s'.repeat(32)}`] };
      const now = new Date();
      const request = signDelivery(source, {
        ...{ topic, now, url: `https://shop.example.com/api/webhooks/${name}`, body: JSON.stringify(body) },
        ...(id ? { id } : {}),
      });
      const delivery = asDelivery(request, now);
      const verdict = await verifyDelivery(source, delivery);
      if (!verdict.ok) throw new Error(`refused: ${verdict.reason}`);
      const headers = keptHeaders(source, delivery);
      const drafts = readDrafts(source, delivery);
      const { body: bytes } = delivery;
      const verified = { source: name, provider: name, drafts, headers, body: bytes };
      const { duplicate } = await acceptDrafts(receiver, verified);
      worker.wake();
      return { source: name, eventId: drafts[0]!.eventId, duplicate };
    },
    becomes: async (rung, status) => {
      const settled = await waitFor(
        async () => {
          const found = await row(rung);
          return found.status === 'PENDING' ? undefined : found;
        },
        { what: `${rung.eventId} to be handled` },
      );
      if (settled.status === status) return settled;
      const { ignored_reason: reason, last_error: error } = settled;
      throw new Error(`${rung.eventId} became ${settled.status}, not ${status}: ${reason ?? error ?? ''}`);
    },
  };
}
