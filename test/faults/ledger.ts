// The books: what was sent and answered against what is in the database. Names every invariant that does not hold.
import type pg from 'pg';
import { attemptLost } from '../../src/events/jobs.ts';
import { type Attempt, byEvent } from './journal.ts';
import { canary, isAck, type Sent, secret } from './sender.ts';
import { unsignedIdsSources } from './unsigned-ids.ts';

export interface Violation {
  /** A1 to A14, as in docs/reliability.md. */
  invariant: string;
  detail: string;
}

/** What the handlers write to, without a unique key so that a second effect can show; and who changed a status. */
export const ledgerTables = `
  CREATE TABLE effects (event_id text NOT NULL, attempt_id uuid NOT NULL, pid int NOT NULL,
    at timestamptz NOT NULL DEFAULT clock_timestamp());
  CREATE INDEX ON effects (event_id);
  CREATE TABLE allowed (event_id text PRIMARY KEY);
  CREATE TABLE status_history (event_id text NOT NULL, was text NOT NULL, is_now text NOT NULL,
    at timestamptz NOT NULL DEFAULT clock_timestamp());
  CREATE FUNCTION note_status() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
      INSERT INTO status_history VALUES (NEW.event_id, OLD.status, NEW.status);
      RETURN NULL;
    END $$;
  CREATE TRIGGER note_status AFTER UPDATE OF status ON webhook_events
    FOR EACH ROW WHEN (OLD.status <> NEW.status) EXECUTE FUNCTION note_status();
`;

export interface Books {
  sent: readonly Sent[];
  attempts: readonly Attempt[];
  maxAttempts: number;
  /** Logs of every process. */
  output: string;
  /** Attempts that a fault ended from outside, and so may come on top of the five. */
  mayExceedAttemptsBy?: number;
  /** Ids that an operator replayed: their status may leave PROCESSED or FAILED. */
  replayed?: ReadonlySet<string>;
  /** Zombies: two attempts of one event may overlap in time; still only one may commit. */
  mayOverlap?: boolean;
}

const sample = (values: Iterable<unknown>) => [...values].slice(0, 5).join(', ');

/** Events whose job is missing, and jobs whose event is, in one snapshot: nothing may show at any moment (A2). */
export async function atomicityViolations(pool: pg.Pool): Promise<Violation[]> {
  const { rows } = await pool.query<{ problem: string; event_id: string }>(`
    WITH living AS (
      SELECT CASE name WHEN 'webhooks-dead-letters' THEN source_id ELSE id END AS id,
        CASE WHEN data ? 'events' THEN data->'events'
          ELSE jsonb_build_array(jsonb_build_array(data->'source', data->'eventId')) END AS events
      FROM pgboss.job WHERE name LIKE 'webhooks%' AND state < 'completed'
    ), entry AS (
      SELECT id, pair->>0 AS source, pair->>1 AS event_id FROM living, jsonb_array_elements(events) AS pair
    ), listed AS (
      SELECT id, source, event_id, count(*) AS times FROM entry GROUP BY id, source, event_id
    )
    -- It has to be in the list of exactly one living job, the job that its row names.
    SELECT 'an event without a job' AS problem, e.event_id FROM webhook_events e
    LEFT JOIN listed l ON l.id = e.job_id AND l.source = e.source AND l.event_id = e.event_id
    WHERE e.status = 'PENDING' AND e.job_id IS NOT NULL AND coalesce(l.times, 0) <> 1
    UNION ALL
    SELECT 'a job without an event', min(l.event_id) FROM listed l
    LEFT JOIN webhook_events e ON e.source = l.source AND e.event_id = l.event_id
    GROUP BY l.id HAVING count(e.event_id) = 0
    LIMIT 5`);
  return rows.map(({ problem, event_id }) => ({ invariant: 'A2', detail: `${problem}: ${event_id}` }));
}

/** What is not settled yet: PENDING events and living jobs. 0 after a drain. */
export async function unsettled(pool: pg.Pool): Promise<number> {
  const { rows } = await pool.query<{ count: number }>(`
    SELECT (SELECT count(*) FROM webhook_events WHERE status = 'PENDING')::int
      + (SELECT count(*) FROM pgboss.job WHERE state < 'completed')::int AS count`);
  return rows[0]!.count;
}

/** What the report counts; all but `acked` must be 0. */
export interface Tally {
  /** Events that were answered 2xx. */
  acked: number;
  /** Of these: not stored, or PROCESSED without their effect. */
  lost: number;
  /** Events stored twice, or with more effects than one. */
  doubled: number;
  /** Events still PENDING after the drain. */
  stuck: number;
}

export async function tallyBooks(pool: pg.Pool, sent: readonly Sent[]): Promise<Tally> {
  const acked = new Set(sent.filter(isAck).map(({ eventId }) => eventId));
  const { rows } = await pool.query<{ id: string; rows: number; effects: number; status: string }>(`
    SELECT event_id AS id, count(*)::int AS rows, min(status) AS status,
      (SELECT count(*)::int FROM effects f WHERE f.event_id = e.event_id) AS effects
    FROM webhook_events e GROUP BY event_id`);
  const stored = new Set(rows.map(({ id }) => id));
  const without = rows.filter(({ status, effects }) => status === 'PROCESSED' && effects === 0);
  return {
    acked: acked.size,
    lost: [...acked].filter((id) => !stored.has(id)).length + without.length,
    doubled: rows.filter((row) => row.rows > 1 || row.effects > 1).length,
    stuck: rows.filter(({ status }) => status === 'PENDING').length,
  };
}

/** To be called after the drain. */
export async function checkBooks(pool: pg.Pool, books: Books): Promise<Violation[]> {
  const violations: Violation[] = [];
  const add = (invariant: string, detail: string, ids: readonly unknown[]) => {
    if (ids.length) violations.push({ invariant, detail: `${detail}: ${ids.length} (${sample(ids)})` });
  };
  const { rows: events } = await pool.query<EventRow>(
    `
    SELECT event_id AS id, status, encode(body_sha256, 'hex') AS sha256, attempts, job_id IS NULL AS has_no_job,
      encode(sha256(raw_body), 'hex') AS raw_sha256,
      (SELECT count(*)::int FROM effects f WHERE f.event_id = e.event_id) AS effects,
      (SELECT count(*)::int FROM failed_attempts f WHERE f.source = e.source AND f.event_id = e.event_id) AS recorded,
      (SELECT count(*)::int FROM failed_attempts f WHERE f.source = e.source AND f.event_id = e.event_id
        AND f.error = '${attemptLost}') AS losses,
      failures,
      last_error LIKE 'PermanentError%' AS is_permanent
    FROM webhook_events e`,
  );
  const acked = Map.groupBy(books.sent.filter(isAck), (sent) => sent.eventId);
  const sentIds = new Map(books.sent.map((sent) => [sent.eventId, sent.sha256]));
  const stored = Map.groupBy(events, (event) => event.id);

  const lost = [...acked.keys()].filter((id) => !stored.has(id));
  add('A1', 'answered 2xx and not stored', lost);
  const changed = events.filter(
    ({ id, sha256, raw_sha256 }) =>
      sentIds.has(id) && (sha256 !== sentIds.get(id) || (raw_sha256 !== null && raw_sha256 !== sha256)),
  );
  add(
    'A1',
    'stored with other bytes',
    changed.map(({ id }) => id),
  );
  violations.push(...(await atomicityViolations(pool)));

  const twice = [...stored].filter(([, rows]) => rows.length > 1);
  add(
    'A3',
    'stored more than once',
    twice.map(([id]) => id),
  );
  const firsts = [...acked].map(
    ([id, answers]) => [id, answers.filter((answer) => answer.duplicate === false).length] as const,
  );
  add(
    'A3',
    'called new more than once',
    firsts.filter(([, count]) => count > 1).map(([id]) => id),
  );
  const unanswered = new Set(books.sent.filter((sent) => !isAck(sent)).map((sent) => sent.eventId));
  add(
    'A3',
    'never called new although every delivery was answered',
    firsts.filter(([id, count]) => count === 0 && !unanswered.has(id)).map(([id]) => id),
  );

  const open = events.filter(({ status }) => status === 'PENDING');
  add(
    'A4',
    'still PENDING',
    open.map(({ id }) => id),
  );
  const effectsAreWrong = events.filter(({ status, effects }) => effects !== Number(status === 'PROCESSED'));
  add(
    'A5',
    'effects differ from 1 iff PROCESSED',
    effectsAreWrong.map(({ id, status, effects }) => `${id} ${status} ${effects}`),
  );
  const strangers = await pool.query<{ event_id: string }>(
    'SELECT DISTINCT event_id FROM effects f WHERE NOT EXISTS (SELECT FROM webhook_events e WHERE e.event_id = f.event_id)',
  );
  add(
    'A5',
    'an effect without an event',
    strangers.rows.map(({ event_id }) => event_id),
  );

  violations.push(...(await attemptViolations(pool, events, books)));
  add(
    'A8',
    'stored and never sent',
    events.filter(({ id }) => !sentIds.has(id)).map(({ id }) => id),
  );
  violations.push(...overlapViolations(books));
  violations.push(...(await repeatViolations(pool, books)));
  violations.push(...(await leakViolations(pool, books)));
  return violations;
}

interface EventRow {
  id: string;
  status: string;
  sha256: string;
  raw_sha256: string | null;
  attempts: number;
  effects: number;
  /** Rows of failed_attempts. */
  recorded: number;
  /** Since the last replay. */
  failures: number;
  /** Number of records which say that the event was lost with its worker. */
  losses: number;
  is_permanent: boolean | null;
}

async function attemptViolations(
  pool: pg.Pool,
  events: readonly EventRow[],
  { attempts, maxAttempts, mayExceedAttemptsBy = 0, replayed = new Set() }: Books,
): Promise<Violation[]> {
  const violations: Violation[] = [];
  for (const [id, starts] of byEvent(attempts)) {
    if (starts.length > maxAttempts + mayExceedAttemptsBy && !replayed.has(id))
      violations.push({ invariant: 'A6', detail: `${id} was started ${starts.length} times` });
  }
  const { rows: left } = await pool.query<{ event_id: string; was: string; is_now: string }>(
    `SELECT event_id, was, is_now FROM status_history WHERE was <> 'PENDING'`,
  );
  for (const { event_id, was, is_now } of left) {
    if (!replayed.has(event_id))
      violations.push({ invariant: 'A6', detail: `${event_id} went from ${was} to ${is_now}` });
  }
  for (const { id, status, recorded, failures, losses, is_permanent } of events) {
    // Each failure has its record; those before a replay are no longer counted.
    if (replayed.has(id) ? recorded < failures : recorded !== failures)
      violations.push({ invariant: 'A7', detail: `${id} has ${failures} failures and ${recorded} records` });
    if (status !== 'FAILED') continue;
    // A dead letter says why, once per failure; an event that nobody wanted to retry says so once, beside its losses.
    // A loss alone may be charged together with a loss beside others: two failures at once, the second beyond the limit.
    // A replay counts anew, and the losses before it stay recorded.
    const least = is_permanent ? 1 + (replayed.has(id) ? 0 : losses) : maxAttempts;
    const most = is_permanent ? 1 + losses : maxAttempts + (losses >= 2 ? 1 : 0);
    if (failures < least || failures > most)
      violations.push({
        invariant: 'A7',
        detail: `${id} is FAILED with ${failures} failures (${losses} of them losses), not ${least} to ${most}`,
      });
  }
  return violations;
}

/** Attempts of one event must not run side by side (A9); those of killed processes end with these. */
function overlapViolations({ attempts, mayOverlap = false }: Books): Violation[] {
  if (mayOverlap) return [];
  const violations: Violation[] = [];
  for (const [id, list] of byEvent(attempts)) {
    const sorted = list.toSorted((a, b) => a.startedAt - b.startedAt);
    for (const [index, next] of sorted.entries()) {
      const previous = sorted[index - 1];
      if (previous?.endedAt !== undefined && next.startedAt < previous.endedAt)
        violations.push({ invariant: 'A9', detail: `two attempts of ${id} overlap` });
    }
  }
  return violations;
}

/** Where no signature covers the id, a body of one topic runs once, whatever ids it came under (A14). */
async function repeatViolations(pool: pg.Pool, { replayed = new Set() }: Books): Promise<Violation[]> {
  const { rows } = await pool.query<{ ids: string[] }>(
    `SELECT array_agg(event_id::text) AS ids FROM webhook_events
     WHERE source = ANY ($1) AND status <> 'IGNORED' AND NOT event_id = ANY ($2)
     GROUP BY source, topic, body_sha256 HAVING count(*) > 1`,
    [unsignedIdsSources, [...replayed]],
  );
  return rows.map(({ ids }) => ({ invariant: 'A14', detail: `one body runs under ${sample(ids)}` }));
}

async function leakViolations(pool: pg.Pool, { sent, output }: Books): Promise<Violation[]> {
  const violations: Violation[] = [];
  const { rows } = await pool.query<{ text: string }>(`
    SELECT concat_ws(' ', last_error, headers::text) AS text FROM webhook_events
    UNION ALL SELECT concat_ws(' ', error, stack) FROM failed_attempts
    UNION ALL SELECT concat_ws(' ', output::text, data::text) FROM pgboss.job
    UNION ALL SELECT concat_ws(' ', reason, detail) FROM rejected_requests`);
  const places: [string, string][] = [
    ['the log', output],
    ['a table', rows.map(({ text }) => text).join('\n')],
    ['an answer', sent.map(({ answer }) => answer).join('\n')],
  ];
  for (const [place, text] of places) {
    for (const word of [canary, secret])
      if (text.includes(word)) violations.push({ invariant: 'A13', detail: `${word} is in ${place}` });
  }
  return violations;
}
