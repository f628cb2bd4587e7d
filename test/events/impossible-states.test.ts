// What Postgres itself refuses, whoever writes: states of an event that cannot be, and values out of bounds.
import t from 'tap';
import { eventRows, newEvent, openInbox, storeEvents } from '../support/inbox.ts';

const inbox = await openInbox(t);
const event = newEvent();
await storeEvents(inbox, [event]);

const impossible: readonly (readonly [constraint: string, assignment: string])[] = [
  ['status_is_known', `status = 'DONE'`],
  ['source_is_short', `source = ''`],
  ['event_id_is_short', `event_id = repeat('x', 256)`],
  ['topic_is_short', `topic = repeat('x', 201)`],
  ['body_sha256_is_sha256', `body_sha256 = '\\x00'`],
  ['counts_are_not_negative', 'attempts = -1'],
  ['counts_are_not_negative', 'deferrals = -1'],
  ['counts_are_not_negative', 'duplicates = -1'],
  ['processed_has_time', 'processed_at = now()'],
  ['ignored_has_reason', `ignored_reason = 'stale'`],
  ['ignored_has_reason', `unique_body = true, status = 'IGNORED', ignored_reason = 'suspected replay of x'`],
  ['payload_or_why_not', `payload_error = 'nul'`],
  ['received_by_is_known', `received_by = 'pigeon'`],
  ['nothing_lost', `payload = NULL, payload_error = 'nul'`],
  ['nothing_lost', 'body_sha256 = NULL'],
  ['nothing_lost', `erased_at = now(), payload = '{"erased": true}', body_sha256 = NULL`],
];

for (const [constraint, assignment] of impossible) {
  t.test(`${constraint}: ${assignment}`, async (t) => {
    await t.rejects(inbox.sql(`UPDATE webhook_events SET ${assignment}`), {
      code: '23514',
      message: new RegExp(`"${constraint}"`),
    });
  });
}

t.test('a tombstone has a topic and a time together, and only beside a body', async (t) => {
  const values = [`NULL, 't', now()`, `sha256('x'), 't', NULL`, `sha256('x'), NULL, now()`];
  for (const value of values)
    await t.rejects(
      inbox.sql(
        `INSERT INTO tombstones (source, event_id, body_sha256, topic, received_at) VALUES ('s', 'e', ${value})`,
      ),
      { code: '23514', message: /topic_and_time_with_body/ },
    );
});

t.test('counts of an hour add up', async (t) => {
  const row = { hour: '2026-11-29T10:00Z', processed: 1, buckets: 20 };
  const insert = ({ hour, processed, buckets }: typeof row) =>
    inbox.sql(
      `INSERT INTO hourly_counts VALUES ('s', $1, 't', 1, 0, $2, 0, 0, 0, 0, array_fill(0, ARRAY[$3::int]), 1, now())`,
      [hour, processed, buckets],
    );
  const rejected = async (wrong: Partial<typeof row>, constraint: RegExp) =>
    t.rejects(insert({ ...row, ...wrong }), { code: '23514', message: constraint });
  await rejected({ hour: '2026-11-29T10:30Z' }, /hour_is_whole/);
  await rejected({ processed: 0 }, /statuses_add_up/);
  await rejected({ buckets: 19 }, /latency_has_buckets/);
  await insert(row);
});

t.test('a change of status by hand is completed, whichever it is', async (t) => {
  const states: readonly (readonly [status: string, completed: object])[] = [
    ['PROCESSED', { processed_at: Date, ignored_reason: null }],
    ['FAILED', { processed_at: null, ignored_reason: null, last_error: 'set to FAILED by hand' }],
    ['IGNORED', { processed_at: null, ignored_reason: 'set to IGNORED by hand' }],
    ['PENDING', { processed_at: null, ignored_reason: null, job_id: null }],
  ];
  for (const from of states) {
    for (const to of states) {
      await inbox.sql('UPDATE webhook_events SET status = $1', [from[0]]);
      await inbox.sql('UPDATE webhook_events SET status = $1', [to[0]]);
      t.match((await eventRows(inbox, [event]))[0], { status: to[0], ...to[1] }, `${from[0]} → ${to[0]}`);
    }
  }
});

t.test('a rehearsal that has not ended has no result, and only what was started ends', async (t) => {
  const wrong: readonly (readonly [columns: string, values: string, constraint: RegExp])[] = [
    ['started_at', 'now()', /rehearsals_start_has_limit/],
    ['result', `'{}'`, /rehearsals_end_has_outcome/],
    ['ended_at, problem', `now(), 'x'`, /rehearsals_end_after_start/],
    ['started_at, ends_before, ended_at', 'now(), now(), now()', /rehearsals_end_has_outcome/],
  ];
  for (const [columns, values, message] of wrong)
    await t.rejects(
      inbox.sql(
        `INSERT INTO rehearsals (source, event_id, asked_by, ${columns}) VALUES ('s', 'e', 'ada', ${values})`,
      ),
      { code: '23514', message },
    );
  await t.rejects(
    inbox.sql(
      `INSERT INTO operator_actions (operator, action, filter, matched) VALUES ('ada', 'ignore', '{}', 1)`,
    ),
    { code: '23514', message: /operator_actions_ignore_has_reason/ },
  );
});
