// An operator's transaction left open over events' rows, and what the tests of it ask.
import type { Test } from 'tap';
import { openSession } from '../support/inbox.ts';
import type { Rig } from './rig.ts';
import { isAck, type Sent } from './sender.ts';

/** RECEIVE_TIMEOUT_MS, and time for a machine that is busy with other tests. */
export const answerLimitMs = 6_000;
/** Slots of the workers of these tests. */
export const concurrency = 3;

export const idsOf = (prefix: string, count: number) =>
  Array.from({ length: count }, (_, index) => `evt_${prefix}_${index}`);

export async function deliverAll(
  rig: Rig,
  ids: readonly string[],
  act: Record<string, unknown> = {},
): Promise<void> {
  await Promise.all(ids.map((id) => rig.sender.deliverUntilAcked({ id, act })));
}

/** An operator's session with these rows locked by `statement`, whose $1 are their ids, until the returned call. */
export async function hold(t: Test, rig: Rig, statement: string, ids: readonly string[]) {
  const operator = await openSession(t, rig.pool.options.connectionString!);
  await operator('BEGIN');
  await operator(statement, [ids]);
  return {
    /** For so long, as a clock of Postgres. */
    keepFor: (seconds: number) => operator(`SELECT pg_sleep(${seconds})`),
    end: () => operator('COMMIT'),
  };
}

export const updateOfAll = `UPDATE webhook_events SET status = 'PENDING' WHERE event_id = ANY ($1)`;
export const select = 'SELECT FROM webhook_events WHERE event_id = ANY ($1) FOR UPDATE';

export async function waitForAll(rig: Rig, ids: readonly string[], status: string): Promise<void> {
  for (const id of ids) await rig.waitForStatus(id, status);
}

export const startsOf = (rig: Rig, ids: readonly string[]) =>
  ids.map((id) => rig.attempts().filter(({ eventId }) => eventId === id).length);

export async function chargedOf(rig: Rig, ids: readonly string[]) {
  const { rows } = await rig.pool.query<{ status: string; attempts: number; failures: number }>(
    `SELECT status, attempts, (SELECT count(*)::int FROM failed_attempts f WHERE f.event_id = e.event_id) AS failures
     FROM webhook_events e WHERE event_id = ANY ($1)`,
    [ids],
  );
  return rows;
}

export const unansweredOf = (sent: readonly Sent[]) =>
  sent.filter((one) => !isAck(one) || one.repliedAt - one.sentAt > answerLimitMs);
