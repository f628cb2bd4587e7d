// One test per row of the table SQLSTATE → answer: a real Postgres raises it, and the route answers over HTTP.
import t, { type Test } from 'tap';
import { sqlStates } from '../../src/database/sql-states.ts';
import { CommitRolledBackError } from '../../src/errors.ts';
import { providers, signDelivery } from '../../src/providers/index.ts';
import { diagnoseCommitError } from '../../src/receive/commit-errors.ts';
import { createReceiver, type ReceiverOptions } from '../../src/receive/receiver.ts';
import { makeSource } from '../providers/deliveries.ts';
import { atEnd } from '../support/at-end.ts';
import { openInbox, openInboxOn } from '../support/inbox.ts';
import { openRouteTo } from '../support/route.ts';

/** States that are expected to be met, besides those that the table names itself. */
const further = [
  '08000',
  '08006',
  '53400',
  '57P05',
  '22021',
  '22P02',
  '22P05',
  '22003',
  '22012',
  '54000',
  '54001',
  'XX000',
  'XX001',
  '28P01',
  '42703',
  '23503',
  '0A000',
  '25P02',
  'P0001',
];
const states = [...new Set([...sqlStates.map(({ state }) => state.padEnd(5, '0')), ...further])];
const [inbox, source] = [await openInbox(t), makeSource(providers.stripe, 'whsec_of_the_sql_answers_0001')];

// An event whose topic is `raise.53100` makes the insert fail with that state; `raise.40001.2` the first two times.
// NULL payloads pass, as bytes without JSON would. A sequence counts over rollbacks.
await inbox.sql('CREATE SEQUENCE raised');
await inbox.sql(`
  CREATE FUNCTION raise_as_asked() RETURNS trigger LANGUAGE plpgsql AS $$
  DECLARE asked text[] := string_to_array(NEW.topic, '.');
  BEGIN
    IF asked[1] = 'raise' AND (NEW.payload IS NOT NULL OR asked[3] = 'always')
      AND (asked[3] IS NULL OR asked[3] = 'always' OR nextval('raised') <= asked[3]::int) THEN
      RAISE EXCEPTION 'as asked' USING ERRCODE = asked[2];
    END IF;
    RETURN NEW;
  END $$`);
await inbox.sql(
  'CREATE TRIGGER raise_as_asked BEFORE INSERT ON webhook_events FOR EACH ROW EXECUTE FUNCTION raise_as_asked()',
);

function openTo(t: Test, overrides: Partial<ReceiverOptions> = {}) {
  const receiver = createReceiver({ ...inbox, timeoutMs: 3_000, queueMax: 100, ...overrides });
  atEnd(t, () => receiver.close());
  const route = openRouteTo(t, receiver, source);
  return async (topic: string) => {
    const body = JSON.stringify({ id: `evt_${crypto.randomUUID()}`, type: topic });
    const wish = { url: 'http://localhost/webhooks/stripe', topic, now: new Date(), body };
    const answer = await route.post(signDelivery(source, wish));
    const { id } = JSON.parse(body) as { id: string };
    const [row] = await inbox.sql(
      'SELECT payload, payload_error, raw_body FROM webhook_events WHERE event_id = $1',
      [id],
    );
    return {
      status: answer.status,
      retryAfter: answer.headers.get('retry-after'),
      text: await answer.text(),
      row,
      body,
    };
  };
}

const unavailable = {
  status: 503,
  retryAfter: '5',
  text: /^\{"error":"unavailable","requestId":"[^"]+"\}$/,
  row: undefined,
};

t.test('each state is answered as its row says', async (t) => {
  const deliver = openTo(t);
  for (const state of states) {
    const { reaction, meaning, isBug } = diagnoseCommitError({ code: state });
    const answer = await deliver(`raise.${state}`);
    if (reaction !== 'keep bytes') {
      t.match(answer, unavailable, `${state}: ${meaning}`);
      const line = inbox.logs.findLast(({ msg }) => msg === 'a batch could not be committed');
      t.match(line, { meaning, ...(isBug && { isBug }) }, `${state} is in the log by its meaning`);
      continue;
    }
    t.match(answer, { status: 200, text: '{"ok":true,"duplicate":false}' }, `${state}: ${meaning}`);
    t.match(answer.row, { payload: null, payload_error: 'refused', raw_body: Buffer.from(answer.body) });
    t.match(await deliver(`raise.${state}.always`), unavailable, `${state}, even as bytes`);
  }
});

t.test('what another transaction caused is tried three times', async (t) => {
  const deliver = openTo(t);
  for (const { state } of sqlStates.filter(({ reaction }) => reaction === 'try again')) {
    await inbox.sql('ALTER SEQUENCE raised RESTART');
    t.match(
      await deliver(`raise.${state}.2`),
      { status: 200, row: { payload_error: null } },
      `${state} twice`,
    );
    await inbox.sql('ALTER SEQUENCE raised RESTART');
    t.match(await deliver(`raise.${state}.3`), unavailable, `${state} three times`);
  }
});

t.test('a COMMIT that was answered ROLLBACK', async (t) => {
  const deliver = openTo(t, {
    queue: {
      ...inbox.queue,
      enqueue: async (tx) => {
        await tx.query('SELECT 1/0').catch(() => {});
      },
    },
  });
  t.match(await deliver('a.b'), unavailable);
  t.equal(diagnoseCommitError(new CommitRolledBackError()).reaction, 'unavailable');
});

t.test('a pool without a free connection', async (t) => {
  const small = await openInboxOn(t, inbox.url, { maxConnections: 1 });
  const holding = small.database.query('SELECT pg_sleep(3)');
  t.match(await openTo(t, { ...small, timeoutMs: 10_000 })('a.b'), unavailable, "the pool's limit, not ours");
  await holding;
});
