// Lost on purpose: 10,000 events of which a random 7 % never arrive by webhook, among duplicates, pages that shift while they are
// read, 429s, a key that expires and processes killed with -9. In the end every event is there once, with one job.
import t from 'tap';
import { providers, readDrafts } from '../../src/providers/index.ts';
import { acceptDrafts } from '../../src/receive/accept.ts';
import { makeSource } from '../providers/deliveries.ts';
import { createCli } from '../support/cli.ts';
import { openInbox } from '../support/inbox.ts';
import { receiversOn } from '../support/receivers.ts';
import { type Api, type Listed, standIns, startApi, testKey } from './api.ts';

const eventCount = 10_000;
const [lostShare, duplicateShare, limitedShare] = [0.07, 0.03, 0.05];
/** Events that appear while the list is read. */
const lateCount = 200;
const maxRuns = 12;
const seed = Number(process.env.SEED ?? Math.floor(Math.random() * 2 ** 31));
t.comment(`SEED=${seed}`);

/** Mulberry32: the same numbers for the same seed. */
let state = seed;
function random(): number {
  state = (state + 0x6d2b79f5) | 0;
  let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
  mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
  return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
}

const inbox = await openInbox(t);
const receiver = receiversOn(inbox)(t, { timeoutMs: 25_000, queueMax: 20_000 });
const source = makeSource(providers.stripe, 'whsec_0123456789abcdef');

const startMs = Date.now() - 2 * 86_400_000;
const stepMs = (2 * 86_400_000 - 3_600_000) / eventCount;
function eventAt(nth: number, at: number): Listed {
  const id = `evt_${String(nth).padStart(5, '0')}`;
  return {
    id,
    at,
    item: { id, type: 'invoice.paid', created: Math.floor(at / 1_000), data: { object: { nth } } },
  };
}
const events = Array.from({ length: eventCount }, (_, nth) => eventAt(nth, startMs + nth * stepMs));

/** As the provider delivers it: printed otherwise than the list. */
function deliver({ item }: Listed) {
  const body = Buffer.from(JSON.stringify(item, null, 2));
  const delivery = {
    method: 'POST',
    url: '/api/webhooks/stripe',
    headers: { 'content-type': ['application/json'] },
    body,
    receivedAt: new Date(),
  };
  const drafts = readDrafts(source, delivery);
  return acceptDrafts(receiver, { source: 'stripe', provider: 'stripe', drafts, headers: {}, body });
}

t.test('the webhooks come, but for 7 %, and some twice', async (t) => {
  const arriving = events.filter(() => random() >= lostShare);
  for (let from = 0; from < arriving.length; from += 1_000) {
    const some = arriving.slice(from, from + 1_000);
    await Promise.all([...some, ...some.filter(() => random() < duplicateShare)].map(deliver));
  }
  const [{ count }] = (await inbox.sql('SELECT count(*)::int FROM webhook_events')) as [{ count: number }];
  t.equal(count, arriving.length);
  t.ok(count < eventCount * 0.95, `${eventCount - count} are missing`);
});

t.test('runs that are killed, limited and refused bring the rest', async (t) => {
  let isKeyExpired = false;
  let late = 0;
  const reply: Api['reply'] = (call) => {
    if (isKeyExpired) return { status: 401 };
    if (random() < limitedShare) return { status: 429, headers: { 'retry-after': '1' } };
    // Newest first: what is added shifts every item by one place.
    if (late < lateCount && random() < 0.3) {
      events.push(eventAt(eventCount + late, Date.now()));
      late++;
    }
    return standIns.stripe(events, call);
  };
  const api = await startApi(t, reply);
  const cli = createCli(t, {
    DATABASE_URL: inbox.url,
    STRIPE_API_KEY: testKey,
    STRIPE_API_URL: api.url,
    NODE_ENV: 'test',
  });
  const killedAfter = (pages: number) => ({ POSTBELL_FAILPOINT: `recover.taken:kill:${pages}` });
  const outcomes: string[] = [];
  let isComplete = false;
  for (let nth = 0; nth < maxRuns && !isComplete; nth++) {
    isKeyExpired = nth === 2;
    // One dies at its first page, others in the middle.
    const env = nth === 0 || nth === 1 || nth === 3 ? killedAfter([1, 20, 0, 30][nth]!) : {};
    const { code, stdout, stderr } = await cli(['recover', 'stripe'], { env });
    outcomes.push(code === null ? 'killed' : stdout.trim().split('\n').at(-1) || stderr.trim());
    isComplete = code === 0;
  }
  for (const outcome of outcomes) t.comment(outcome);
  t.ok(isComplete, `complete after ${outcomes.length} runs`);
  t.equal(outcomes.filter((outcome) => outcome === 'killed').length, 3);
  t.match(outcomes[2], /the key was not accepted/);
  // Events that came into the list during the last run are within the next run's 15 minutes.
  t.equal((await cli(['recover', 'stripe'])).code, 0);
});

t.test('every event is there once, with one job', async (t) => {
  const stored = await inbox.sql('SELECT event_id FROM webhook_events ORDER BY event_id');
  t.strictSame(
    stored.map(({ event_id }) => event_id),
    events.map(({ id }) => id).sort(),
  );
  const [jobs] = await inbox.sql(`SELECT count(*)::int AS entries, count(DISTINCT entry)::int AS events
    FROM webhook_events e JOIN pgboss.job j ON j.id = e.job_id, jsonb_array_elements(j.data -> 'events') AS entry
    WHERE entry ->> 1 = e.event_id`);
  t.match(jobs, { entries: events.length, events: events.length });
  const [{ count }] = (await inbox.sql(
    `SELECT count(*)::int FROM webhook_events WHERE received_by = 'pull'`,
  )) as [{ count: number }];
  t.ok(count >= eventCount * 0.05, `${count} were pulled`);
});
