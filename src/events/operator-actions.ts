// operator_actions: what operators change on their page. Each change and its record are one transaction.
import type { Queryable } from '../database/database.ts';
import type { EventFilter } from './filter.ts';
import { type ArrivalCursor, replayMatching } from './queries.ts';

export type OperatorActionKind = 'replay' | 'run_now' | 'ignore' | 'capture' | 'end_capture' | 'resend';

export interface OperatorAction {
  id: number;
  operator: string;
  action: OperatorActionKind;
  filter: EventFilter;
  reason: string | null;
  /** Number of events that were confirmed. */
  matched: number;
  done: number;
  beganAt: Date;
  /** null: it can go on. */
  endedAt: Date | null;
}

const fields = `id::int, operator, action, filter, reason, matched, done, began_at AS "beganAt", ended_at AS "endedAt"`;

/** A filter as jsonb keeps it: times are text. */
type StoredFilter = Omit<EventFilter, 'receivedSince' | 'receivedBefore'> & {
  receivedSince?: string;
  receivedBefore?: string;
};

function readFilter({ receivedSince, receivedBefore, ...rest }: StoredFilter): EventFilter {
  return {
    ...rest,
    ...(receivedSince === undefined ? {} : { receivedSince: new Date(receivedSince) }),
    ...(receivedBefore === undefined ? {} : { receivedBefore: new Date(receivedBefore) }),
  };
}

/** Records a change of one event, which the same transaction makes. */
export async function recordAction(
  tx: Queryable,
  { operator, action, filter, reason }: Pick<OperatorAction, 'operator' | 'action' | 'filter' | 'reason'>,
): Promise<void> {
  await tx.query({
    text: `INSERT INTO {inbox}.operator_actions (operator, action, filter, reason, matched, done, ended_at)
      VALUES ($1, $2, $3, $4, 1, 1, now())`,
    values: [operator, action, JSON.stringify(filter), reason],
  });
}

/** Records that a capture of a source was opened or ended, in the same transaction. */
export async function recordCapture(
  tx: Queryable,
  operator: string,
  action: 'capture' | 'end_capture',
  source: string,
): Promise<void> {
  await tx.query({
    text: `INSERT INTO {inbox}.operator_actions (operator, action, filter, matched, ended_at) VALUES ($1, $2, $3, 0, now())`,
    values: [operator, action, JSON.stringify({ source })],
  });
}

/**
 * Records that an edited request is about to be sent. The receiver commits its event by itself, so the record comes first.
 * @returns its id, for `endResend`
 */
export async function beginResend(tx: Queryable, operator: string, filter: EventFilter): Promise<number> {
  const { rows } = await tx.query<{ id: number }>({
    text: `INSERT INTO {inbox}.operator_actions (operator, action, filter, matched, ended_at)
      VALUES ($1, 'resend', $2, 1, now()) RETURNING id::int`,
    values: [operator, JSON.stringify(filter)],
  });
  return rows[0]!.id;
}

/** The receiver has accepted the edited request. */
export async function endResend(tx: Queryable, id: number): Promise<void> {
  await tx.query({ text: 'UPDATE {inbox}.operator_actions SET done = 1 WHERE id = $1', values: [id] });
}

/** Records the start of a replay of at most `matched` events; `continueReplay` does it. @returns its id */
export async function beginReplay(
  tx: Queryable,
  { operator, filter, matched }: Pick<OperatorAction, 'operator' | 'filter' | 'matched'>,
): Promise<number> {
  const { rows } = await tx.query<{ id: number }>({
    text: `INSERT INTO {inbox}.operator_actions (operator, action, filter, matched)
      VALUES ($1, 'replay', $2, $3) RETURNING id::int`,
    values: [operator, JSON.stringify(filter), matched],
  });
  return rows[0]!.id;
}

/** Events that one transaction of a replay changes: few enough for a statement of some 50 ms. */
const sliceSize = 500;

/**
 * Replays the next events of an action, which the transaction holds until its end.
 * @returns false when the action has ended, or another session has it
 */
export async function continueReplay(tx: Queryable, id: number): Promise<boolean> {
  type Held = { filter: StoredFilter; left: number; cursor: ArrivalCursor | null };
  const { rows } = await tx.query<Held & Record<string, unknown>>({
    text: `SELECT filter, matched - done AS left, cursor FROM {inbox}.operator_actions
      WHERE id = $1 AND action = 'replay' AND ended_at IS NULL FOR UPDATE SKIP LOCKED`,
    values: [id],
  });
  const [held] = rows;
  if (!held) return false;
  const limit = Math.min(sliceSize, held.left);
  const after = held.cursor ?? undefined;
  const { count, next } = await replayMatching(tx, readFilter(held.filter), { limit, after });
  const isLast = count < limit || count === held.left;
  await tx.query({
    text: `UPDATE {inbox}.operator_actions SET done = done + $2, cursor = coalesce($3, cursor),
      ended_at = CASE WHEN $4::boolean THEN now() END WHERE id = $1`,
    values: [id, count, next ? JSON.stringify(next) : null, isLast],
  });
  return !isLast;
}

/** Newest first. */
export async function listActions(
  database: Queryable,
  { limit, onlyOpen = false }: { limit: number; onlyOpen?: boolean },
): Promise<OperatorAction[]> {
  const { rows } = await database.query<StoredAction>({
    text: `SELECT ${fields} FROM {inbox}.operator_actions WHERE NOT $2::boolean OR ended_at IS NULL
      ORDER BY id DESC LIMIT $1`,
    values: [limit, onlyOpen],
  });
  return rows.map(readAction);
}

type StoredAction = Omit<OperatorAction, 'filter'> & { filter: StoredFilter } & Record<string, unknown>;

function readAction({ filter, ...action }: StoredAction): OperatorAction {
  return { ...action, filter: readFilter(filter) } as OperatorAction;
}

export async function findAction(database: Queryable, id: number): Promise<OperatorAction | undefined> {
  const { rows } = await database.query<StoredAction>({
    text: `SELECT ${fields} FROM {inbox}.operator_actions WHERE id = $1`,
    values: [id],
  });
  return rows.map(readAction)[0];
}

/** The time by the database's clock, which `received_at` is by, too. Cut to milliseconds, as a Date has them. */
export async function readNow(database: Queryable): Promise<Date> {
  const { rows } = await database.query<{ now: Date }>(
    `SELECT date_trunc('milliseconds', clock_timestamp()) AS now`,
  );
  return rows[0]!.now;
}
