// The purge: what is old and settled goes, its id stays, and a delivery years later is still a duplicate.
import t from 'tap';
import { parseConfig } from '../../src/config.ts';
import { checkStorage } from '../../src/doctor/inbox.ts';
import type { NewEvent } from '../../src/events/event.ts';
import { findTombstones } from '../../src/events/retention.ts';
import { countEvents } from '../../src/maintenance/count.ts';
import {
  capturePurgeTask,
  type PurgeRule,
  purge,
  purgeRules,
  purgeTask,
} from '../../src/maintenance/purge.ts';
import { parseSources } from '../../src/providers/sources.ts';
import { createReceiver } from '../../src/receive/receiver.ts';
import { atEnd } from '../support/at-end.ts';
import { createCli } from '../support/cli.ts';
import { newEvent, openInbox, storeEvents } from '../support/inbox.ts';

const inbox = await openInbox(t);
const { sql } = inbox;
const dayMs = 86_400_000;
const retentionMs = 30 * dayMs;
const statements: Record<string, string> = {
  PROCESSED: `status = 'PROCESSED'`,
  IGNORED: `status = 'IGNORED'`,
  FAILED: `status = 'FAILED'`,
  PENDING: 'attempts = 0',
};

/** Stores events as they would be after `days` in the inbox. */
async function aged(status: string, days: number, events: readonly NewEvent[]): Promise<readonly NewEvent[]> {
  await storeEvents(inbox, events);
  const ids = events.map(({ eventId }) => eventId);
  await sql(`UPDATE webhook_events SET ${statements[status]} WHERE event_id = ANY ($1)`, [ids]);
  await sql(
    `UPDATE webhook_events SET received_at = received_at - make_interval(days => $2),
       processed_at = processed_at - make_interval(days => $2) WHERE event_id = ANY ($1)`,
    [ids, days],
  );
  return events;
}

async function kept(events: readonly NewEvent[]): Promise<number> {
  const ids = events.map(({ eventId }) => eventId);
  return (await sql('SELECT FROM webhook_events WHERE event_id = ANY ($1)', [ids])).length;
}

function many(count: number, overrides: Partial<NewEvent> = {}): NewEvent[] {
  return Array.from({ length: count }, () => newEvent(overrides));
}

function openReceiver() {
  const { database, queue, log } = inbox;
  const receiver = createReceiver({ database, queue, log, timeoutMs: 3_000, queueMax: 100 });
  atEnd(t, () => receiver.close());
  return receiver;
}
const receiver = openReceiver();
const deliver = (event: NewEvent) => receiver.submit([event], Buffer.from(event.payloadText ?? ''));

/** A pass of the background task with these rules. */
function passOf(rules: readonly PurgeRule[]) {
  return purgeTask({ ...inbox, rules }).pass(new AbortController().signal);
}

// The purge waits for the counting: this hour is counted.
await storeEvents(inbox, [newEvent()]);
await countEvents(inbox);

t.test('only what is settled, old, and was not settled lately', async (t) => {
  const gone = [...(await aged('PROCESSED', 31, many(2))), ...(await aged('IGNORED', 400, many(2)))];
  const stays = [
    ...(await aged('PROCESSED', 29, many(1))),
    ...(await aged('FAILED', 400, many(1))),
    ...(await aged('PENDING', 400, many(1))),
  ];
  const [replayed] = (await aged('PROCESSED', 400, many(1))) as [NewEvent];
  await sql('UPDATE webhook_events SET processed_at = now() WHERE event_id = $1', [replayed.eventId]);
  await sql(`INSERT INTO failed_attempts (source, event_id, error) VALUES ('stripe', $1, 'once')`, [
    gone[0]!.eventId,
  ]);
  t.match(await purge({ ...inbox, retentionMs }), { events: 4 });
  t.equal(await kept(gone), 0);
  t.equal(await kept([...stays, replayed]), 4);
  t.same(await sql('SELECT FROM failed_attempts'), [], 'its failures went with it');
  t.match(await purge({ ...inbox, retentionMs }), { events: 0 }, 'nothing is left to do');
});

t.test('a delivery after the purge is a duplicate and has no second effect', async (t) => {
  const [stripe] = (await aged('PROCESSED', 31, many(1))) as [NewEvent];
  const [github] = (await aged('IGNORED', 31, many(1, { source: 'github', uniqueBody: true }))) as [NewEvent];
  await purge({ ...inbox, retentionMs });
  t.same(await deliver(stripe), { duplicate: true });
  t.same(await deliver(github), { duplicate: true });
  t.same(
    await deliver({ ...stripe, source: 'stripe-eu' }),
    { duplicate: false },
    'another source is another event',
  );
  t.same(await sql('SELECT FROM webhook_events WHERE event_id = $1', [github.eventId]), []);
  t.match(await findTombstones(inbox.database, stripe.eventId, undefined), [
    { source: 'stripe', processedOn: /^\d{4}-\d\d-\d\d$/ },
  ]);
  const cli = createCli(t, { DATABASE_URL: inbox.url });
  const shown = await cli.inside(['show', stripe.eventId]);
  t.match(shown, {
    code: 0,
    stdout:
      /stripe evt_\S+ was PROCESSED on .* and purged on \S+ \(PAYLOAD_RETENTION_DAYS or STRIPE_RETENTION_DAYS\)/,
  });
});

t.test('an event that was put back by hand is purged again', async (t) => {
  const event = newEvent();
  await aged('PROCESSED', 31, [event]);
  await sql(`CREATE TEMP TABLE backup AS SELECT * FROM webhook_events WHERE event_id = '${event.eventId}'`);
  await purge({ ...inbox, retentionMs });
  await sql('INSERT INTO webhook_events SELECT * FROM backup');
  const others = await aged('PROCESSED', 31, many(2));
  await purge({ ...inbox, retentionMs });
  t.equal(await kept([event, ...others]), 0);
});

t.test('each source has days of its own, the others those of all', async (t) => {
  const config = { PAYLOAD_RETENTION_DAYS: 30, RAW_BODY_RETENTION_DAYS: 0 };
  const days = new Map([
    ['short', 7],
    ['ever', 0],
  ]);
  const of = (source: string) => many(1, { source });
  const gone = [...(await aged('PROCESSED', 8, of('short'))), ...(await aged('IGNORED', 31, of('stripe')))];
  const stays = [
    ...(await aged('PROCESSED', 6, of('short'))),
    ...(await aged('FAILED', 900, of('short'))),
    ...(await aged('PROCESSED', 8, of('stripe'))),
    ...(await aged('PROCESSED', 900, of('ever'))),
  ];
  await passOf(purgeRules(config, days));
  t.equal(await kept(gone), 0);
  t.equal(await kept(stays), stays.length);
});

t.test('a rule that fails does not keep the others from their work', async (t) => {
  const gone = await aged('PROCESSED', 31, many(1));
  const rules = [{ only: 'short', retentionMs: Number.NaN }, { retentionMs }];
  await t.rejects(passOf(rules), 'the task logs the error');
  t.equal(await kept(gone), 0);
});

t.test('the bytes go before the events, where the payload is kept as well', async (t) => {
  const bytes = (overrides: Partial<NewEvent> = {}) => many(1, { rawBody: Buffer.from('{}'), ...overrides });
  const cleared = [...(await aged('PROCESSED', 8, bytes())), ...(await aged('IGNORED', 800, bytes()))];
  const stays = [
    ...(await aged('PROCESSED', 6, bytes())),
    ...(await aged('FAILED', 8, bytes())),
    ...(await aged('PENDING', 8, bytes())),
    ...(await aged('PROCESSED', 8, bytes({ payloadText: null, payloadError: 'malformed' }))),
  ];
  await passOf(purgeRules({ PAYLOAD_RETENTION_DAYS: 0, RAW_BODY_RETENTION_DAYS: 7 }, new Map()));
  const withBytes = async (events: readonly NewEvent[]) => {
    const ids = events.map(({ eventId }) => eventId);
    return (await sql('SELECT FROM webhook_events WHERE event_id = ANY ($1) AND raw_body IS NOT NULL', [ids]))
      .length;
  };
  t.equal(await withBytes(cleared), 0);
  t.equal(await kept(cleared), 2);
  t.equal(await withBytes(stays), 4);
});

t.test('a statement looks at one day, and what is kept between hides nothing', async (t) => {
  await aged('FAILED', 40, many(600));
  const gone = await aged('PROCESSED', 35, many(600));
  const next: (string | null)[] = [];
  const database = {
    ...inbox.database,
    transaction: async (work: Parameters<typeof inbox.database.transaction>[0]) => {
      const result = await inbox.database.transaction(work);
      next.push((result as { next: string | null }).next);
      return result;
    },
  } as typeof inbox.database;
  t.ok((await purge({ database, retentionMs })).events >= 600);
  t.equal(await kept(gone), 0);
  t.ok(next.length >= 3 && next.at(-1) === null, `${next}`);
});

t.test('a tombstone takes at most 150 bytes', async (t) => {
  const eventId = '0123456789abcdef0123456789abcdef0123'; // as long as a UUID
  await aged('PROCESSED', 31, [
    newEvent({ source: 'shopify-eu', topic: 'orders/updated', eventId, uniqueBody: true }),
  ]);
  await purge({ ...inbox, retentionMs });
  const [row] = await sql('SELECT max(pg_column_size(t.*)) AS bytes FROM tombstones t');
  t.ok((row?.bytes as number) <= 150, `${row?.bytes} bytes`);
});

t.test('a backlog goes in one pass, and two workers do not do it twice', async (t) => {
  const events = await aged('PROCESSED', 31, many(1_200));
  const results = await Promise.all([1, 2].map(() => purge({ ...inbox, retentionMs })));
  t.equal(results[0]!.events + results[1]!.events, 1_200);
  t.equal(await kept(events), 0);
});

t.test('deliveries of events that are being purged: none is new', async (t) => {
  const events = await aged('PROCESSED', 31, many(600));
  let isOver = false;
  const answers = new Set<boolean>();
  const sending = (async () => {
    for (let index = 0; !isOver || index < events.length; index++) {
      answers.add((await deliver(events[index % events.length]!)).duplicate);
    }
  })();
  await purge({ ...inbox, retentionMs });
  isOver = true;
  await sending;
  t.same([...answers], [true]);
  t.equal(await kept(events), 0);
});

t.test('doctor warns of a large inbox that keeps everything, and of no other', async (t) => {
  const secret = { STRIPE_WEBHOOK_SECRET: 'whsec_0123456789abcdef' };
  const look = async (env: Record<string, string>, warnBytes?: number) =>
    checkStorage(
      { database: inbox.database, config: parseConfig(env).config!, ...parseSources({ ...secret, ...env }) },
      warnBytes,
    );
  t.match(await look({}), [{ status: 'ok', message: /MB since .* kept for ever/ }]);
  t.match(await look({}, 1), [{ status: 'warn', remedy: /PAYLOAD_RETENTION_DAYS/ }]);
  t.match(await look({ PAYLOAD_RETENTION_DAYS: '30' }, 1), [{ status: 'ok', message: /after 30 days/ }]);
  t.match(await look({ STRIPE_RETENTION_DAYS: '7' }, 1), [{ status: 'ok', message: /days of their source/ }]);
  t.match(await look({ GITHUB_RETENTION_DAYS: '7' }, 1), [
    { status: 'warn', message: /events of sources without RETENTION_DAYS are kept for ever/ },
  ]);
});

t.test(
  'requests of a capture that has ended are deleted by a worker, also where no web runs any more',
  async (t) => {
    for (const [source, ended] of [
      ['stripe', '11 min'],
      ['github', '9 min'],
    ]) {
      await sql(
        `INSERT INTO captures (source, opened_at, ends_at, opened_by) VALUES ($1, now() - interval '1 h', now() - $2::interval, 'ada')`,
        [source, ended],
      );
      await sql(
        `INSERT INTO captured_requests (source, received_at, request_id, process, method, url, headers, body_bytes, status, outcome)
       VALUES ($1, now() - interval '30 min', 'r', 'web', 'POST', '/', '{}', 0, 200, 'accepted')`,
        [source],
      );
    }
    await capturePurgeTask(inbox).pass(new AbortController().signal);
    t.same(await sql('SELECT source FROM captured_requests'), [{ source: 'github' }]);
  },
);
