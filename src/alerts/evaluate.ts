// One look at the inbox: which alerts begin, go on and end. The alerts and the messages about them change in one commit.
import type { Database, Transaction } from '../database/database.ts';
import { readServerFacts } from '../database/server-facts.ts';
import {
  type AlertRow,
  addMessage,
  deleteAlerts,
  deleteOldMessages,
  listAlerts,
  type MessageEdge,
  saveAlerts,
  toldAlert,
} from '../events/alerts.ts';
import { takeTurn } from '../events/locks.ts';
import { readSignals } from '../events/signals.ts';
import type { RecoverSchedule } from '../runtime/settings.ts';
import { type AlertKind, judge } from './rules.ts';
import { historyDays } from './silence.ts';
import { nextAlerts, type StoredAlert, type Transition } from './transitions.ts';

export interface EvaluateOptions {
  database: Database;
  /** As ALERT_PENDING_MINUTES, in seconds. */
  lateSeconds: number;
  /** As DATABASE_SIZE_LIMIT_GB, in bytes; undefined: the size is not watched. */
  sizeLimitBytes: number | undefined;
  /** The sources that workers recover by themselves. */
  schedule: RecoverSchedule;
  /** False: no message is written, since there is no ALERT_URL. */
  isTold: boolean;
}

const statementTimeoutMs = 10_000;

/** @returns undefined: another process evaluates the alerts */
export async function evaluateAlerts(options: EvaluateOptions): Promise<Transition | undefined> {
  const { database, lateSeconds, sizeLimitBytes, schedule, isTold } = options;
  return database.transaction(
    async (tx) => {
      if (!(await takeTurn(tx, 'alerts'))) return undefined;
      const signals = await readSignals(tx, {
        lateSeconds,
        historyDays,
        readsSize: sizeLimitBytes !== undefined,
      });
      const { connectionLimit } = await readServerFacts(tx);
      const findings = judge(signals, { connectionLimit, sizeLimitBytes, schedule });
      const stored = (await listAlerts(tx)).map(toStored);
      const transition = nextAlerts(stored, findings, { now: signals.now, isTold });
      await saveAlerts(tx, transition.alerts);
      await deleteAlerts(tx, transition.gone);
      await tell(tx, 'raised', transition.raised);
      await tell(tx, 'reminder', transition.reminders);
      await tell(tx, 'resolved', transition.resolved);
      await deleteOldMessages(tx);
      return transition;
    },
    { settings: { statement_timeout: `${statementTimeoutMs}ms` }, timeoutMs: statementTimeoutMs + 2_000 },
  );
}

function toStored(row: AlertRow): StoredAlert {
  return { ...row, kind: row.kind as AlertKind };
}

/** Puts all alerts into one message, so that a hundred alerts of one minute do not become a hundred messages. */
async function tell(tx: Transaction, edge: MessageEdge, alerts: readonly StoredAlert[]): Promise<void> {
  if (alerts.length === 0) return;
  await addMessage(tx, edge, alerts.map(toldAlert));
}
