// operator_actions: what operators change on their page, and what they erase. Each change and its record are one transaction.
import type { Queryable } from '../database/database.ts';
import type { Erasure } from './erase.ts';
import type { EventFilter } from './filter.ts';
import type { ArrivalCursor } from './queries.ts';
import { replayMatching } from './replay.ts';

export type OperatorActionKind =
  | 'replay'
  | 'run_now'
  | 'ignore'
  | 'promote'
  | 'erase'
  | 'pause'
  | 'resume'
  | 'rehearse'
  | 'capture'
  | 'end_capture'
  | 'resend';

/** Which events an action is for. */
export interface ActionFilter extends EventFilter {
  /** Name of the handler that a pause is for. */
  handler?: string;
}

export interface OperatorAction {
  id: number;
  operator: string;
  action: OperatorActionKind;
  filter: ActionFilter;
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
type StoredFilter = Omit<ActionFilter, 'receivedSince' | 'receivedBefore'> & {
  receivedSince?: string;
  receivedBefore?: string;
};

function readFilter({ receivedSince, receivedBefore, ...rest }: StoredFilter): ActionFilter {
  return {
    ...rest,
    ...(receivedSince === undefined ? {} : { receivedSince: new Date(receivedSince) }),
    ...(receivedBefore === undefined ? {} : { receivedBefore: new Date(receivedBefore) }),
  };
}

/** Records a change that the same transaction makes. `done`: the number of events that it changes, 0 for a capture. */
export async function recordAction(
  tx: Queryable,
  {
    operator,
    action,
    filter,
    reason,
    done,
  }: Pick<OperatorAction, 'operator' | 'action' | 'filter' | 'reason' | 'done'>,
): Promise<void> {
  await tx.query({
    text: `INSERT INTO {inbox}.operator_actions (operator, action, filter, reason, matched, done, ended_at)
      VALUES ($1, $2, $3, $4, $5, $5, now())`,
    values: [operator, action, JSON.stringify(filter), reason, done],
  });
}

/**
 * Records that an edited request is about to be sent. The receiver commits the event in its own transaction, so the record is written first.
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

/**
 * Records the start of a change in slices of at most `matched` events or requests; `continueReplay` does a replay,
 * `recordPromoted` records what was promoted. @returns its id
 */
export async function beginAction(
  tx: Queryable,
  action: 'replay' | 'promote',
  { operator, filter, matched }: Pick<OperatorAction, 'operator' | 'filter' | 'matched'>,
): Promise<number> {
  const { rows } = await tx.query<{ id: number }>({
    text: `INSERT INTO {inbox}.operator_actions (operator, action, filter, matched)
      VALUES ($1, $2, $3, $4) RETURNING id::int`,
    values: [operator, action, JSON.stringify(filter), matched],
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

/** How far a promotion is. */
interface PromotionProgress<Counts> {
  /** Id of the last request that was looked at. */
  after: string;
  counts: Counts;
}

/** @returns undefined where the promotion has ended; `progress` is null before its first slice */
export async function readPromotion<Counts>(
  database: Queryable,
  id: number,
): Promise<{ source: string; progress: PromotionProgress<Counts> | null; isEnded: boolean } | undefined> {
  type Row = { source: string; progress: PromotionProgress<Counts> | null; isEnded: boolean };
  const { rows } = await database.query<Row & Record<string, unknown>>({
    text: `SELECT filter ->> 'source' AS source, cursor AS progress, ended_at IS NOT NULL AS "isEnded"
      FROM {inbox}.operator_actions WHERE id = $1 AND action = 'promote'`,
    values: [id],
  });
  return rows[0];
}

/** @param before as it was read: of two pages that go on at once, one counts */
export async function recordPromoted<Counts>(
  tx: Queryable,
  id: number,
  before: PromotionProgress<Counts> | null,
  { progress, done, isLast }: { progress: PromotionProgress<Counts> | null; done: number; isLast: boolean },
): Promise<void> {
  await tx.query({
    text: `UPDATE {inbox}.operator_actions SET done = least(matched, $2), cursor = $3,
        ended_at = CASE WHEN $4::boolean THEN now() END
      WHERE id = $1 AND ended_at IS NULL AND cursor IS NOT DISTINCT FROM $5::jsonb`,
    values: [id, done, progress && JSON.stringify(progress), isLast, before && JSON.stringify(before)],
  });
}

/** Stands for the value that was erased: not even its hash is kept, since a short value could be guessed. */
const valueNotKept = '(not kept)';

/** Records the start of an erasure. @returns its id */
export async function beginErasure(
  database: Queryable,
  { operator, erasure, matched }: Pick<OperatorAction, 'operator' | 'matched'> & { erasure: Erasure },
): Promise<number> {
  const { path, source, receivedSince, receivedBefore } = erasure;
  const filter = { payload: { path, value: valueNotKept }, source, receivedSince, receivedBefore };
  const { rows } = await database.query<{ id: number }>({
    text: `INSERT INTO {inbox}.operator_actions (operator, action, filter, matched)
      VALUES ($1, 'erase', $2, $3) RETURNING id::int`,
    values: [operator, JSON.stringify(filter), matched],
  });
  return rows[0]!.id;
}

/** Adds the events of a slice, or rows of other tables. More may be erased than were confirmed: matching events arrive meanwhile. */
export async function recordErased(tx: Queryable, id: number, count: number): Promise<void> {
  await tx.query({
    text: `UPDATE {inbox}.operator_actions SET done = done + $2, matched = greatest(matched, done + $2) WHERE id = $1`,
    values: [id, count],
  });
}

export async function endErasure(tx: Queryable, id: number): Promise<void> {
  await tx.query('UPDATE {inbox}.operator_actions SET ended_at = now() WHERE id = $1', [id]);
}

/** Newest first. @param onlyOpen only replays and promotions that can go on */
export async function listActions(
  database: Queryable,
  { limit, onlyOpen = false }: { limit: number; onlyOpen?: boolean },
): Promise<OperatorAction[]> {
  const { rows } = await database.query<StoredAction>({
    text: `SELECT ${fields} FROM {inbox}.operator_actions WHERE NOT $2::boolean OR (ended_at IS NULL AND action IN ('replay', 'promote'))
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
