// From the stored alerts and the conditions of this moment to the next alerts, and to what has to be reported. Pure.
import type { AlertKey, AlertKind, Condition, Findings } from './rules.ts';

export interface StoredAlert extends AlertKey {
  facts: Condition['facts'];
  beganAt: Date;
  raisedAt: Date | null;
  toldAt: Date | null;
  toldCount: number;
  acknowledgedAt: Date | null;
  clearedAt: Date | null;
}

export interface Transition {
  /** As they are from now on. */
  alerts: StoredAlert[];
  gone: AlertKey[];
  raised: StoredAlert[];
  reminders: StoredAlert[];
  resolved: StoredAlert[];
}

/** How long a condition must hold before the alert is raised, and be gone before the alert is resolved. Default: 0. */
const patience: Partial<Record<AlertKind, { raiseMs: number; clearMs: number }>> = {
  // These swing around their limits, e.g. during a deploy.
  connections: { raiseMs: 120_000, clearMs: 600_000 },
  // Replayed events that came long ago have no job for some seconds.
  oldest_pending: { raiseMs: 120_000, clearMs: 600_000 },
  // A few requests an hour swing around the limit.
  lost_secret: { raiseMs: 0, clearMs: 1_800_000 },
  database_size: { raiseMs: 0, clearMs: 3_600_000 },
};
const remindAfterMs = 24 * 3_600_000;
const growth = 10;

export interface Moment {
  now: Date;
  /** False: there is no ALERT_URL; an alert is reported once there is. */
  isReported: boolean;
}

export function nextAlerts(
  stored: readonly StoredAlert[],
  { conditions, unjudged, lastArrivals }: Findings,
  { now, isReported }: Moment,
): Transition {
  const before = new Map(stored.map((alert) => [keyOf(alert), alert]));
  const held = new Set(conditions.map(keyOf));
  const transition: Transition = { alerts: [], gone: [], raised: [], reminders: [], resolved: [] };
  for (const condition of conditions)
    hold(before.get(keyOf(condition)), condition, { now, isReported }, transition);
  for (const alert of stored) {
    if (held.has(keyOf(alert))) continue;
    const waits = waitsForArrival(alert, lastArrivals[alert.kind]);
    if (unjudged.has(alert.kind) || waits) transition.alerts.push(alert);
    else clear(alert, now, transition);
  }
  return transition;
}

/** Its signals are kept for some days or weeks: their absence later is no end. */
function waitsForArrival(
  { source, beganAt }: StoredAlert,
  lastArrivals: ReadonlyMap<string, Date> | undefined,
): boolean {
  const last = lastArrivals?.get(source);
  return lastArrivals !== undefined && (last === undefined || last < beganAt);
}

function keyOf({ kind, source, topic, errorClass }: AlertKey): string {
  return JSON.stringify([kind, source, topic, errorClass]);
}

function hold(
  before: StoredAlert | undefined,
  condition: Condition,
  { now, isReported }: Moment,
  { alerts, raised, reminders }: Transition,
): void {
  const alert: StoredAlert = {
    ...(before ?? newAlert(condition, now)),
    facts: condition.facts,
    clearedAt: null,
  };
  alerts.push(alert);
  const { count } = condition.facts;
  if (alert.raisedAt === null) {
    if (now.getTime() - alert.beganAt.getTime() < (patience[alert.kind]?.raiseMs ?? 0)) return;
    alert.raisedAt = now;
  }
  if (!isReported) return;
  if (alert.toldAt === null) raised.push(alert);
  else if (isDue(alert, alert.toldAt, now)) reminders.push(alert);
  else return;
  alert.toldAt = now;
  alert.toldCount = count;
}

function isDue({ kind, facts, toldCount, acknowledgedAt }: StoredAlert, toldAt: Date, now: Date): boolean {
  if (kind === 'dead_letters' && facts.count >= growth * toldCount) return true;
  return acknowledgedAt === null && now.getTime() - toldAt.getTime() >= remindAfterMs;
}

function newAlert(condition: Condition, now: Date): StoredAlert {
  const never = { raisedAt: null, toldAt: null, toldCount: 0, acknowledgedAt: null, clearedAt: null };
  return { ...condition, ...never, beganAt: now };
}

function clear(alert: StoredAlert, now: Date, { alerts, gone, resolved }: Transition): void {
  const clearedAt = alert.clearedAt ?? now;
  const isRaised = alert.raisedAt !== null;
  if (isRaised && now.getTime() - clearedAt.getTime() < (patience[alert.kind]?.clearMs ?? 0)) {
    alerts.push({ ...alert, clearedAt });
    return;
  }
  gone.push(alert);
  if (alert.toldAt !== null) resolved.push(alert);
}
