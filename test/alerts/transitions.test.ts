// Each alert is told once, reminded of once a day, and resolved once.
import t from 'tap';
import type { AlertKind, Condition } from '../../src/alerts/rules.ts';
import { nextAlerts, type StoredAlert, type Transition } from '../../src/alerts/transitions.ts';

const start = Date.UTC(2026, 0, 5);
const minutes = (count: number) => new Date(start + count * 60_000);
const held = (kind: AlertKind, count = 1): Condition => {
  return { kind, source: 'stripe', topic: '', errorClass: '', facts: { count } };
};

const all = (conditions: Condition[]) => ({ conditions, unjudged: new Set<AlertKind>(), lastArrivals: {} });

/** Plays conditions minute by minute. @returns what was told, as `minute edge` */
function play(conditionsAt: (minute: number) => Condition[], lastMinute: number, isReported = () => true) {
  let stored: StoredAlert[] = [];
  const told: string[] = [];
  for (let minute = 0; minute <= lastMinute; minute++) {
    const transition: Transition = nextAlerts(stored, all(conditionsAt(minute)), {
      now: minutes(minute),
      isReported: isReported(),
    });
    for (const edge of ['raised', 'reminders', 'resolved'] as const)
      for (const { kind } of transition[edge]) told.push(`${minute} ${edge} ${kind}`);
    stored = transition.alerts;
  }
  return { told, stored };
}

t.test('once raised, once resolved', async (t) => {
  const { told, stored } = play((minute) => (minute >= 2 && minute < 9 ? [held('silence')] : []), 20);
  t.same(told, ['2 raised silence', '9 resolved silence']);
  t.same(stored, []);
});

t.test('one reminder a day, none once it is acknowledged', async (t) => {
  const day = 1_440;
  const { told, stored } = play(() => [held('silence')], 2 * day + 10);
  t.same(told, ['0 raised silence', `${day} reminders silence`, `${2 * day} reminders silence`]);
  const acknowledged = stored.map((alert) => ({ ...alert, acknowledgedAt: minutes(2 * day) }));
  const later = { now: minutes(4 * day), isReported: true };
  t.same(nextAlerts(acknowledged, all([held('silence')]), later).reminders, []);
  t.equal(nextAlerts(acknowledged, all([]), later).resolved.length, 1, 'its end is told');
});

t.test('dead letters are told again when they have grown tenfold', async (t) => {
  const counts = [1, 2, 9, 10, 11, 99, 100, 100, 5];
  const { told } = play((minute) => [held('dead_letters', counts[minute] ?? 5)], 10);
  t.same(told, ['0 raised dead_letters', '3 reminders dead_letters', '6 reminders dead_letters']);
});

t.test('a condition that swings around its limit', async (t) => {
  const swings = play((minute) => (minute % 2 === 0 ? [held('connections')] : []), 60);
  t.same(swings.told, [], 'is not told while it never lasts');
  const high = play(
    (minute) => (minute < 5 || (minute < 30 && minute % 2 === 0) ? [held('connections')] : []),
    60,
  );
  t.same(
    high.told,
    ['2 raised connections', '39 resolved connections'],
    'is resolved after ten quiet minutes',
  );
});

t.test('conditions that swing from one minute to the next are reported once', async (t) => {
  for (const kind of ['oldest_pending', 'lost_secret'] as const) {
    const { told } = play(
      (minute) => (minute < 3 || (minute < 60 && minute % 3 === 0) ? [held(kind)] : []),
      120,
    );
    t.equal(told.length, 2, `${kind}: ${told}`);
  }
});

t.test('nobody can be told yet', async (t) => {
  let hasUrl = false;
  const { told } = play(
    (minute) => {
      hasUrl = minute >= 5;
      return minute < 8 ? [held('silence')] : [];
    },
    10,
    () => hasUrl,
  );
  t.same(told, ['5 raised silence', '8 resolved silence'], 'told once somebody can be');
  t.same(
    play(
      (minute) => (minute < 3 ? [held('silence')] : []),
      5,
      () => false,
    ).told,
    [],
    'its end is not told alone',
  );
});

t.test('what cannot be judged stays as it is', async (t) => {
  const { stored } = play(() => [held('silence')], 1);
  const unjudged = {
    conditions: [held('no_worker')],
    unjudged: new Set<AlertKind>(['silence']),
    lastArrivals: {},
  };
  const { alerts, raised, resolved } = nextAlerts(stored, unjudged, { now: minutes(2), isReported: true });
  t.same(alerts.map(({ kind }) => kind).sort(), ['no_worker', 'silence']);
  t.same([raised.length, resolved.length], [1, 0]);
});
