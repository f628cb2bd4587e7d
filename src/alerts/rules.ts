// The conditions that need a person. Pure: signals in, conditions out.
import type { KindOfProcess } from '../events/processes.ts';
import type { RejectionCount } from '../events/rejection-counts.ts';
import type { Signals, SlowSignal, SourceHour } from '../events/signals.ts';
import { variableOf } from '../providers/sources.ts';
import type { RecoverSchedule } from '../runtime/settings.ts';
import { judgeSilence } from './silence.ts';

export const alertKinds = [
  'dead_letters',
  'oldest_pending',
  'everything_rejected',
  'silence',
  'lost_secret',
  'recover_failing',
  'no_worker',
  'no_web',
  'connections',
  'database_size',
  'quarantine_full',
  'replay_flood',
] as const;

export type AlertKind = (typeof alertKinds)[number];

export interface AlertKey {
  kind: AlertKind;
  /** Empty where the alert is about no source. */
  source: string;
  /** The topic of dead letters; empty for other alerts. */
  topic: string;
  /** The name of the dead letters' last error; empty for other alerts. */
  errorClass: string;
}

/** Counts, seconds and names for the message. */
export type AlertFacts = Record<string, number | string>;

export interface Condition extends AlertKey {
  facts: AlertFacts & { count: number };
}

export interface RuleSettings {
  connectionLimit: number;
  /** As DATABASE_SIZE_LIMIT_GB, in bytes; undefined: not watched. */
  sizeLimitBytes: number | undefined;
  schedule: RecoverSchedule | undefined;
}

const minuteMs = 60_000;
const rejectedForMs = 10 * minuteMs;
export const leastRejected = 3;
const lostSecretWithinMs = 30 * minuteMs;
const goneSeconds = { died: 120, stopped: 600 };
const nearLimit = 0.8;
const refusedWithinMs = 60 * minuteMs;
const floodWithinMs = 60 * minuteMs;
const failedIntervals = 3;

export interface Findings {
  conditions: Condition[];
  /** Kinds of which an end cannot be seen now: their alerts stay as they are. */
  unjudged: ReadonlySet<AlertKind>;
  /** Kinds whose alerts end only when something has arrived since they began: the last arrivals, by source. */
  lastArrivals: Partial<Record<AlertKind, ReadonlyMap<string, Date>>>;
}

const kindsOfSignal: Record<SlowSignal, readonly AlertKind[]> = {
  deadLetters: ['dead_letters'],
  late: ['oldest_pending'],
  arrivals: ['everything_rejected', 'silence', 'lost_secret'],
  deliveries: ['everything_rejected'],
  limits: ['connections', 'database_size'],
};

export function judge(signals: Signals, settings: RuleSettings): Findings {
  // Counting and recovering are the worker's work: without one nothing is known about the last hours.
  const hasWorker = signals.processes.every(({ kind, alive }) => kind !== 'worker' || alive > 0);
  const unread = new Set([...signals.unread].flatMap((signal) => kindsOfSignal[signal]));
  const bySource = Map.groupBy(signals.arrivals, ({ source }) => source);
  return {
    conditions: findConditions(signals, settings, { hasWorker, bySource }).filter(
      ({ kind }) => !unread.has(kind),
    ),
    unjudged: new Set<AlertKind>([
      ...unread,
      ...(hasWorker ? [] : (['silence'] as const)),
      ...(hasWorker && settings.schedule ? [] : (['recover_failing'] as const)),
      ...(signals.deadLetters.isCapped ? (['dead_letters'] as const) : []),
      ...(signals.late.isCapped ? (['oldest_pending'] as const) : []),
    ]),
    lastArrivals: {
      everything_rejected: lastDeliveries(signals, bySource),
      silence: lastArrivals(bySource),
    },
  };
}

function findConditions(
  signals: Signals,
  settings: RuleSettings,
  { hasWorker, bySource }: { hasWorker: boolean; bySource: HoursBySource },
): Condition[] {
  const { deadLetters, late } = signals;
  return [
    ...deadLetters.groups.map(({ count, ...group }) =>
      condition('dead_letters', { count, ...orMore(deadLetters) }, group),
    ),
    ...late.groups.map(({ source, count, oldestSeconds }) =>
      condition(
        'oldest_pending',
        { count, ...orMore(late), oldestSeconds: Math.round(oldestSeconds) },
        { source },
      ),
    ),
    ...findRejected(signals, bySource),
    ...(hasWorker ? [...findSilent(signals, bySource), ...findNotRecovered(signals, settings)] : []),
    ...findLostSecrets(signals, bySource),
    ...signals.processes.flatMap(findGone),
    ...findNearLimits(signals, settings),
    ...findRefused(signals),
    ...findFloods(signals),
  ];
}

function condition(
  kind: AlertKind,
  facts: Condition['facts'],
  { source = '', topic = '', errorClass = '' }: Partial<AlertKey> = {},
): Condition {
  return { kind, source, topic, errorClass, facts };
}

function orMore({ isCapped }: { isCapped: boolean }): AlertFacts {
  return isCapped ? { orMore: 'yes' } : {};
}

type HoursBySource = ReadonlyMap<string, readonly SourceHour[]>;

function lastArrivals(bySource: HoursBySource): Map<string, Date> {
  return new Map([...bySource].map(([source, hours]) => [source, hours.at(-1)!.lastReceivedAt]));
}

/** The last delivery that the provider sent, by source. Events that were pulled do not say that the webhook works. */
function lastDeliveries({ deliveries }: Signals, bySource: HoursBySource): Map<string, Date> {
  const last = lastArrivals(bySource);
  for (const { source, receivedAt } of deliveries) {
    if (receivedAt) last.set(source, receivedAt);
    else last.delete(source);
  }
  return last;
}

/** Deliveries are rejected and none has been accepted since. */
function findRejected(signals: Signals, bySource: HoursBySource): Condition[] {
  const { now, rejections, deliveries } = signals;
  const accepted = lastDeliveries(signals, bySource);
  const searched = new Map(deliveries.map(({ source, searchedSince }) => [source, searchedSince]));
  const found: Condition[] = [];
  for (const [source, slots] of Map.groupBy(rejections, (slot) => slot.source)) {
    const acceptedAt = accepted.get(source) ?? searched.get(source);
    const since = slots.filter(({ slotAt }) => !acceptedAt || slotAt > acceptedAt);
    const rejected = aboutSignature(since, bySource.has(source));
    const count = sum(rejected);
    const first = rejected[0];
    if (!first || count < leastRejected || now.getTime() - first.slotAt.getTime() < rejectedForMs) continue;
    const reason = mostFrequentReason(rejected);
    found.push(condition('everything_rejected', { count, reason }, { source }));
  }
  return found;
}

const notAboutSignature = new Set(['missing_header', 'no_secret', 'too_large', 'replay_flood']);
/** A scanner sends a few requests at once; a provider keeps sending. */
const unsigned = { leastSlots: 3, withinMs: 60 * minuteMs };

/**
 * A request without a signature is anybody's. But where a source has accepted deliveries before and such requests go on, a
 * proxy may remove the header.
 */
export function aboutSignature(slots: readonly RejectionCount[], hasAccepted: boolean): RejectionCount[] {
  const times = slots
    .filter(({ reason }) => reason === 'missing_header')
    .map(({ slotAt }) => slotAt.getTime());
  const goOn = times.some(
    (time, index) =>
      time - (times[index - unsigned.leastSlots + 1] ?? Number.NEGATIVE_INFINITY) <= unsigned.withinMs,
  );
  const counted = hasAccepted && goOn;
  return slots.filter(
    ({ reason }) => !notAboutSignature.has(reason) || (counted && reason === 'missing_header'),
  );
}

function sum(slots: readonly RejectionCount[]): number {
  return slots.reduce((total, { rejected }) => total + rejected, 0);
}

function mostFrequentReason(slots: readonly RejectionCount[]): string {
  const byReason = [...Map.groupBy(slots, ({ reason }) => reason)].map(([reason, some]) => ({
    reason,
    rejected: sum(some),
  }));
  return byReason.toSorted((a, b) => b.rejected - a.rejected)[0]!.reason;
}

function findSilent({ now }: Signals, bySource: HoursBySource): Condition[] {
  return [...bySource].flatMap(([source, hours]) => {
    const verdict = judgeSilence(hours, now);
    if (verdict.kind !== 'silent') return [];
    const { seconds, expected } = verdict.silence;
    const facts = { count: Math.round(expected), silentSeconds: Math.round(seconds) };
    return [condition('silence', facts, { source })];
  });
}

/** Only sources that have had events: anybody may ask for a provider that was never set up. */
function findLostSecrets({ now, rejections }: Signals, bySource: HoursBySource): Condition[] {
  const recent = rejections.filter(
    ({ source, reason, lastAt }) =>
      reason === 'no_secret' && bySource.has(source) && now.getTime() - lastAt.getTime() < lostSecretWithinMs,
  );
  return [...Map.groupBy(recent, ({ source }) => source)].flatMap(([source, slots]) => {
    const count = sum(slots);
    return count < leastRejected ? [] : [condition('lost_secret', { count }, { source })];
  });
}

/** A refused key stays refused until a person acts; other failures often pass. */
function findNotRecovered({ now, recoveries }: Signals, { schedule }: RuleSettings): Condition[] {
  if (!schedule) return [];
  return schedule.sources.flatMap(({ source: { name } }) => {
    const { failingSince, failure } = recoveries.find(({ source }) => source === name) ?? {};
    if (!failingSince || !failure) return [];
    const failingMs = now.getTime() - failingSince.getTime();
    if (failure !== 'key_refused' && failingMs < failedIntervals * schedule.everyMs) return [];
    const failingSeconds = Math.max(0, Math.round(failingMs / 1_000));
    const facts = { count: 1, failingSeconds, failure, variable: variableOf(name) };
    return [condition('recover_failing', facts, { source: name })];
  });
}

/** A kind of process that was never there is not missed: a team may receive in its own app. */
function findGone({ kind, alive, last }: KindOfProcess): Condition[] {
  if (alive > 0 || !last) return [];
  const least = last.wasStopped ? goneSeconds.stopped : goneSeconds.died;
  if (last.seenSecondsAgo < least) return [];
  const facts = {
    count: 1,
    lastSeenSeconds: Math.round(last.seenSecondsAgo),
    host: last.host,
    end: last.wasStopped ? 'stopped' : 'died',
  };
  return [condition(kind === 'web' ? 'no_web' : 'no_worker', facts)];
}

/** Promoting and deleting make room, and remove the signal. */
function findRefused({ now, refusals }: Signals): Condition[] {
  return refusals
    .filter(({ lastAt }) => now.getTime() - lastAt.getTime() < refusedWithinMs)
    .map(({ source, refused, reason }) =>
      condition('quarantine_full', { count: refused, reason }, { source }),
    );
}

/** Each is a delivery that was answered 503: beyond 100 suspected replays of a body in an hour. */
function findFloods({ now, rejections }: Signals): Condition[] {
  const recent = rejections.filter(
    ({ reason, lastAt }) => reason === 'replay_flood' && now.getTime() - lastAt.getTime() < floodWithinMs,
  );
  return [...Map.groupBy(recent, ({ source }) => source)].map(([source, slots]) =>
    condition('replay_flood', { count: sum(slots) }, { source }),
  );
}

function findNearLimits({ limits }: Signals, { connectionLimit, sizeLimitBytes }: RuleSettings): Condition[] {
  const found: Condition[] = [];
  if (limits.connections >= nearLimit * connectionLimit)
    found.push(condition('connections', { count: limits.connections, limit: connectionLimit }));
  if (
    sizeLimitBytes !== undefined &&
    limits.bytes !== undefined &&
    limits.bytes >= nearLimit * sizeLimitBytes
  )
    found.push(condition('database_size', { count: Math.round(limits.bytes), limit: sizeLimitBytes }));
  return found;
}
