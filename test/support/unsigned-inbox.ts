// An inbox of sources whose signature does not cover the id, as real processes; what is sent to it, and what became of it.
import type { Test } from 'tap';
import { openRig, type Rig, type WebProcess } from '../faults/rig.ts';
import type { Sent } from '../faults/sender.ts';
import {
  sendUnsigned,
  sha256Of,
  storedIdOf,
  type UnsignedDelivery,
  unsignedIdsEnvironment,
} from '../faults/unsigned-ids.ts';
import { createTestDatabase } from './database.ts';
import { waitFor } from './wait.ts';

export const metricsToken = 'a-token-for-the-metrics';
export const stored = { status: 200, duplicate: false };
export const repeated = { status: 200, duplicate: true };
/** What a row must be, see `rowsOf`. */
export const ran = { status: 'PROCESSED', ignored_reason: null, effects: 1 };
export const suspected = (first: UnsignedDelivery) => ({
  status: 'IGNORED',
  ignored_reason: `suspected replay of ${storedIdOf(first)}`,
  job_id: null,
  effects: 0,
});

let count = 0;
/** A body that was never sent. @param act as in faults/handlers.ts */
export const newBody = (act: object = {}) =>
  JSON.stringify({ id: ++count, test: crypto.randomUUID(), data: { object: act } });

/** A delivery of Shopify, by default under an id of its own. */
export function shopify(
  body: string,
  topic = 'orders/paid',
  id: string = crypto.randomUUID(),
): UnsignedDelivery {
  return { source: 'shopify', id, topic, body };
}

export interface Row {
  event_id: string;
  topic: string;
  status: string;
  ignored_reason: string | null;
  job_id: string | null;
  duplicates: number;
  effects: number;
}

export interface UnsignedInbox {
  rig: Rig;
  databaseUrl: string;
  /** Two processes of one installation. */
  web: WebProcess;
  other: WebProcess;
  send(delivery: UnsignedDelivery, to?: WebProcess): Promise<Sent>;
  /** In order of arrival. */
  rowsOf(body: string): Promise<Row[]>;
  /** Moves the arrival of the events with that body back. */
  age(body: string, interval: string): Promise<void>;
  /** Until the purge of a worker of its own has taken every event with that body. */
  purge(body: string, retentionDays: number): Promise<void>;
}

export async function openUnsignedInbox(t: Test): Promise<UnsignedInbox> {
  const { url: databaseUrl } = await createTestDatabase(t);
  const env = { ...unsignedIdsEnvironment, METRICS_TOKEN: metricsToken };
  const rig = await openRig(t, { url: databaseUrl, env });
  const [web, other] = await Promise.all([rig.web(), rig.web(), rig.worker()]);
  const rowsOf: UnsignedInbox['rowsOf'] = async (body) => {
    const { rows } = await rig.pool.query<Row>(
      `SELECT e.*, (SELECT count(*)::int FROM effects f WHERE f.event_id = e.event_id) AS effects
       FROM webhook_events e WHERE body_sha256 = decode($1, 'hex') ORDER BY received_at, event_id`,
      [sha256Of(body)],
    );
    return rows;
  };
  return {
    rig,
    databaseUrl,
    web,
    other,
    send: (delivery, to = web) => sendUnsigned(to.url, delivery),
    rowsOf,
    age: async (body, interval) => {
      await rig.pool.query(
        `UPDATE webhook_events SET received_at = received_at - $2::interval,
           processed_at = processed_at - $2::interval WHERE body_sha256 = decode($1, 'hex')`,
        [sha256Of(body), interval],
      );
    },
    purge: async (body, retentionDays) => {
      const worker = await rig.worker({ PAYLOAD_RETENTION_DAYS: String(retentionDays) });
      await waitFor(async () => (await rowsOf(body)).length === 0, { what: 'the purge' });
      worker.kill('SIGTERM');
      await worker.exited;
    },
  };
}
