// Every statement on the alerts and on the messages about them.
import type { Queryable } from '../database/database.ts';

/** A row of `alerts`. */
export interface AlertRow {
  kind: string;
  source: string;
  topic: string;
  errorClass: string;
  facts: Record<string, number | string> & { count: number };
  beganAt: Date;
  raisedAt: Date | null;
  toldAt: Date | null;
  toldCount: number;
  acknowledgedAt: Date | null;
  acknowledgedBy: string | null;
  clearedAt: Date | null;
}

export type AlertKeyColumns = Pick<AlertRow, 'kind' | 'source' | 'topic' | 'errorClass'>;

export type MessageEdge = 'raised' | 'reminder' | 'resolved' | 'test';

/** An alert in a message. */
export type ReportedAlert = AlertKeyColumns & Pick<AlertRow, 'facts'> & { since: string };

export function reportedAlert({
  kind,
  source,
  topic,
  errorClass,
  facts,
  beganAt,
}: AlertKeyColumns & Pick<AlertRow, 'facts' | 'beganAt'>): ReportedAlert {
  return { kind, source, topic, errorClass, facts, since: beganAt.toISOString() };
}

export interface AlertMessage {
  id: string;
  messageId: string;
  edge: MessageEdge;
  alerts: ReportedAlert[];
  createdAt: Date;
  /** This one included. */
  tries: number;
}

/** In the order in which they were raised; those that were not raised yet last. */
export async function listAlerts(database: Queryable): Promise<AlertRow[]> {
  const { rows } = await database.query<AlertRow & Record<string, unknown>>(
    `SELECT kind, source, topic, error_class AS "errorClass", facts, began_at AS "beganAt", raised_at AS "raisedAt",
       told_at AS "toldAt", told_count AS "toldCount", acknowledged_at AS "acknowledgedAt",
       acknowledged_by AS "acknowledgedBy", cleared_at AS "clearedAt"
     FROM {inbox}.alerts ORDER BY raised_at NULLS LAST, kind, source, topic, error_class`,
  );
  return rows;
}

/** Those that were raised. */
export async function listOpenAlerts(database: Queryable): Promise<AlertRow[]> {
  return (await listAlerts(database)).filter(({ raisedAt }) => raisedAt !== null);
}

export async function countOpenAlerts(database: Queryable): Promise<{ kind: string; open: number }[]> {
  const { rows } = await database.query<{ kind: string; open: number }>(
    'SELECT kind, count(*)::int AS open FROM {inbox}.alerts WHERE raised_at IS NOT NULL GROUP BY kind ORDER BY kind',
  );
  return rows;
}

/** An acknowledgement of this moment is kept: only others write it. */
export async function saveAlerts(
  tx: Queryable,
  alerts: readonly Omit<AlertRow, 'acknowledgedAt' | 'acknowledgedBy'>[],
): Promise<void> {
  if (alerts.length === 0) return;
  await tx.query({
    text: `INSERT INTO {inbox}.alerts
        (kind, source, topic, error_class, facts, began_at, raised_at, told_at, told_count, cleared_at)
      SELECT kind, source, topic, "errorClass", facts, "beganAt", "raisedAt", "toldAt", "toldCount", "clearedAt"
      FROM json_to_recordset($1) AS a (kind text, source text, topic text, "errorClass" text, facts jsonb,
        "beganAt" timestamptz, "raisedAt" timestamptz, "toldAt" timestamptz, "toldCount" int, "clearedAt" timestamptz)
      ON CONFLICT (kind, source, topic, error_class) DO UPDATE SET facts = EXCLUDED.facts,
        raised_at = EXCLUDED.raised_at, told_at = EXCLUDED.told_at, told_count = EXCLUDED.told_count,
        cleared_at = EXCLUDED.cleared_at`,
    values: [JSON.stringify(alerts)],
  });
}

export async function deleteAlerts(tx: Queryable, keys: readonly AlertKeyColumns[]): Promise<void> {
  if (keys.length === 0) return;
  await tx.query({
    text: `DELETE FROM {inbox}.alerts a
      USING json_to_recordset($1) AS k (kind text, source text, topic text, "errorClass" text)
      WHERE a.kind = k.kind AND a.source = k.source AND a.topic = k.topic AND a.error_class = k."errorClass"`,
    values: [JSON.stringify(keys)],
  });
}

export async function recordEvaluation(tx: Queryable): Promise<void> {
  await tx.query(
    'INSERT INTO {inbox}.alert_evaluation DEFAULT VALUES ON CONFLICT (only_row) DO UPDATE SET evaluated_at = now()',
  );
}

/** How long ago the alerts were evaluated, by whichever process; undefined: never. */
export async function readEvaluationAgeMs(database: Queryable): Promise<number | undefined> {
  const { rows } = await database.query<{ ageMs: number }>(
    `SELECT 1000 * extract(epoch FROM now() - evaluated_at)::float8 AS "ageMs" FROM {inbox}.alert_evaluation`,
  );
  return rows[0]?.ageMs;
}

export interface AlertFilter {
  kind?: string | undefined;
  source?: string | undefined;
  topic?: string | undefined;
  errorClass?: string | undefined;
}

/** Of open alerts that match; what is undefined matches all. @returns how many */
export async function acknowledgeAlerts(
  database: Queryable,
  { kind, source, topic, errorClass }: AlertFilter,
  by: string,
): Promise<number> {
  const { rowCount } = await database.query({
    text: `UPDATE {inbox}.alerts SET acknowledged_at = now(), acknowledged_by = $5
      WHERE raised_at IS NOT NULL AND acknowledged_at IS NULL AND kind = coalesce($1, kind)
        AND source = coalesce($2, source) AND topic = coalesce($3, topic) AND error_class = coalesce($4, error_class)`,
    values: [...[kind, source, topic, errorClass].map((part) => part ?? null), by],
  });
  return rowCount ?? 0;
}

export async function addMessage(
  tx: Queryable,
  edge: MessageEdge,
  alerts: readonly ReportedAlert[],
): Promise<string> {
  const { rows } = await tx.query<{ id: string }>({
    text: 'INSERT INTO {inbox}.alert_messages (edge, alerts) VALUES ($1, $2) RETURNING id::text',
    values: [edge, JSON.stringify(alerts)],
  });
  return rows[0]!.id;
}

/**
 * Takes the oldest unsent message for `leaseSeconds`. A message is not sent before an older one: a resolution would come
 * before its alert.
 */
export async function takeMessage(
  database: Queryable,
  leaseSeconds: number,
): Promise<AlertMessage | undefined> {
  const { rows } = await database.query<AlertMessage & Record<string, unknown>>({
    text: `UPDATE {inbox}.alert_messages SET tries = tries + 1, next_try_at = now() + make_interval(secs => $1)
      WHERE id = (SELECT id FROM {inbox}.alert_messages WHERE sent_at IS NULL AND given_up_at IS NULL
          ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED)
        AND next_try_at <= now()
      RETURNING id::text, message_id AS "messageId", edge, alerts, created_at AS "createdAt", tries`,
    values: [leaseSeconds],
  });
  return rows[0];
}

export type MessageResult =
  | { kind: 'sent' }
  | { kind: 'given up'; error: string }
  | { kind: 'again'; error: string; afterSeconds: number };

export async function settleMessage(database: Queryable, id: string, result: MessageResult): Promise<void> {
  await database.query({
    text: `UPDATE {inbox}.alert_messages SET last_error = $2,
        sent_at = CASE WHEN $3 = 'sent' THEN now() END, given_up_at = CASE WHEN $3 = 'given up' THEN now() END,
        next_try_at = now() + make_interval(secs => $4)
      WHERE id = $1`,
    values: [
      id,
      result.kind === 'sent' ? null : result.error,
      result.kind,
      result.kind === 'again' ? result.afterSeconds : 0,
    ],
  });
}

export async function readMessage(
  database: Queryable,
  id: string,
): Promise<{ isSent: boolean; lastError: string | null } | undefined> {
  const { rows } = await database.query<{ isSent: boolean; lastError: string | null }>({
    text: `SELECT sent_at IS NOT NULL AS "isSent", last_error AS "lastError"
      FROM {inbox}.alert_messages WHERE id = $1`,
    values: [id],
  });
  return rows[0];
}

/** A test that did not arrive at once must not arrive later. */
export async function deleteUnsentTests(database: Queryable): Promise<void> {
  await database.query(`DELETE FROM {inbox}.alert_messages WHERE edge = 'test' AND sent_at IS NULL`);
}

export async function deleteOldMessages(database: Queryable): Promise<void> {
  await database.query(`DELETE FROM {inbox}.alert_messages WHERE created_at < now() - interval '30 days'`);
}
