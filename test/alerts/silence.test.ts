// Silence: told soon for a busy source, late for a rare one, and never in weeks as they usually are.
import t from 'tap';
import { type ActiveHour, judgeSilence } from '../../src/alerts/silence.ts';

const minutesOfDay = 1_440;
const start = Date.UTC(2026, 0, 5); // a Monday
const at = (minute: number) => new Date(start + minute * 60_000);

/** Events per hour, by the hour of the day and the day of the week (0: Monday). */
type Rate = (hour: number, day: number) => number;

const sources: Record<string, { rate: Rate; burst?: number; latestMinutes: number }> = {
  'a shop with quiet nights': { rate: (hour) => (hour < 6 ? 4 : hour < 22 ? 120 : 30), latestMinutes: 30 },
  'an office without weekends': {
    rate: (hour, day) => (day < 5 && hour >= 8 && hour < 18 ? 40 : 0),
    latestMinutes: 90,
  },
  'a sender of bursts': {
    rate: (hour, day) => (day < 5 && hour >= 7 && hour < 20 ? 20 : 2),
    burst: 10,
    latestMinutes: 2 * minutesOfDay,
  },
};

/** Random, and the same in each run. */
function randomOf(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** The hours with arrivals; with a burst, few arrivals of many events. */
function record(rate: Rate, days: number, { burst = 1, seed = 7 } = {}): ActiveHour[] {
  const random = randomOf(seed);
  const hours: ActiveHour[] = [];
  for (let hour = 0; hour < days * 24; hour++) {
    let received = 0;
    let activeMinutes = 0n;
    for (let minute = 0; minute < 60; minute++) {
      const perMinute = rate(hour % 24, Math.floor(hour / 24) % 7) / 60 / burst;
      const arrivals = random() < 1 - Math.exp(-perMinute) ? burst * Math.max(1, Math.round(perMinute)) : 0;
      if (arrivals > 0) activeMinutes |= 1n << BigInt(minute);
      received += arrivals;
    }
    if (received > 0) hours.push({ hour: at(hour * 60), received, activeMinutes });
  }
  return hours;
}

/** As the inbox sees it at that minute, with its history of 28 days. */
function seenAt(hours: readonly ActiveHour[], minute: number): ActiveHour[] {
  const now = at(minute).getTime();
  return hours.flatMap((one) => {
    const age = now - one.hour.getTime();
    if (age <= 0 || age > 28 * 86_400_000) return [];
    if (age >= 3_600_000) return [one];
    const activeMinutes = one.activeMinutes & ((1n << BigInt(Math.floor(age / 60_000))) - 1n);
    return activeMinutes === 0n ? [] : [{ ...one, activeMinutes }];
  });
}

const isSilent = (hours: readonly ActiveHour[], minute: number) =>
  judgeSilence(hours, at(minute)).kind === 'silent';

for (const [title, { rate, burst = 1, latestMinutes }] of Object.entries(sources)) {
  t.test(title, async (t) => {
    const hours = record(rate, 42, { burst });
    const falseAlarms = [];
    for (let minute = 7 * minutesOfDay; minute < 42 * minutesOfDay; minute += 60)
      if (isSilent(seenAt(hours, minute), minute)) falseAlarms.push(minute);
    t.same(falseAlarms, [], 'no alarm in five weeks of nights and weekends');
    const lastMinute = 36 * minutesOfDay + 600; // a Tuesday, 10 o'clock
    const until = seenAt(hours, lastMinute);
    t.notOk(isSilent(until, lastMinute + 5), 'not after 5 minutes');
    t.ok(isSilent(until, lastMinute + latestMinutes), `silence is told within ${latestMinutes} minutes`);
  });
}

t.test('too little is known', async (t) => {
  const busy = () => 60;
  const minute = 6 * minutesOfDay;
  t.same(judgeSilence([], at(0)), { kind: 'not watched', reason: 'none' });
  t.same(
    judgeSilence(record(busy, 1), at(minute)),
    { kind: 'not watched', reason: 'new', until: at(7 * minutesOfDay) },
    'never before seven days',
  );
  const rare = record(() => 5 / 168, 28);
  t.same(judgeSilence(rare, at(60 * minutesOfDay)), { kind: 'not watched', reason: 'rare' });
});

t.test('the silence that is told', async (t) => {
  const hours = record(() => 60, 28);
  const verdict = judgeSilence(hours, at(28 * minutesOfDay + 60));
  t.match(verdict, { kind: 'silent' });
  if (verdict.kind !== 'silent') return;
  t.ok(verdict.silence.seconds >= 3_600 && verdict.silence.seconds < 3_900, 'since the last arrival');
  t.ok(verdict.silence.expected > 30 && verdict.silence.expected < 70, 'the events of an hour');
});
