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
  recordEvaluation,
  reportedAlert,
  saveAlerts,
} from '../events/alerts.ts';
import { takeTurn } from '../events/locks.ts';
import { readSignals, type SignalLimits, type SlowSignal } from '../events/signals.ts';
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
  schedule: RecoverSchedule | undefined;
  /** False: no message is written, since there is no ALERT_URL. */
  isReported: boolean;
  /** Default: the usual. */
  limits?: SignalLimits;
}

export interface Evaluation extends Transition {
  /** Signals whose statements took too long: their alerts stay as they are. */
  unread: ReadonlySet<SlowSignal>;
}

const statementTimeoutMs = 10_000;

/** @returns undefined: another process evaluates the alerts */
export async function evaluateAlerts(options: EvaluateOptions): Promise<Evaluation | undefined> {
  const { database, lateSeconds, sizeLimitBytes, schedule, isReported } = options;
  return database.transaction(
    async (tx) => {
      if (!(await takeTurn(tx, 'alerts'))) return undefined;
      const stored = (await listAlerts(tx)).map(toStored);
      const signals = await readSignals(tx, {
        lateSeconds,
        historyDays,
        readsSize: sizeLimitBytes !== undefined,
        watched: new Set(
          stored.filter(({ kind }) => kind === 'everything_rejected').map(({ source }) => source),
        ),
        ...(options.limits ? { limits: options.limits } : {}),
      });
      const { connectionLimit } = await readServerFacts(tx);
      const findings = judge(signals, { connectionLimit, sizeLimitBytes, schedule });
      const transition = nextAlerts(stored, findings, { now: signals.now, isReported });
      await saveAlerts(tx, transition.alerts);
      await deleteAlerts(tx, transition.gone);
      await report(tx, 'raised', transition.raised);
      await report(tx, 'reminder', transition.reminders);
      await report(tx, 'resolved', transition.resolved);
      await deleteOldMessages(tx);
      await recordEvaluation(tx);
      return { ...transition, unread: signals.unread };
    },
    { settings: { statement_timeout: `${statementTimeoutMs}ms` }, timeoutMs: statementTimeoutMs + 2_000 },
  );
}

function toStored(row: AlertRow): StoredAlert {
  return { ...row, kind: row.kind as AlertKind };
}

/** Puts all alerts into one message, so that a hundred alerts of one minute do not become a hundred messages. */
async function report(tx: Transaction, edge: MessageEdge, alerts: readonly StoredAlert[]): Promise<void> {
  if (alerts.length === 0) return;
  await addMessage(tx, edge, alerts.map(reportedAlert));
}
