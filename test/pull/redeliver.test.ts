// A provider that sends again: what it was asked for and does not arrive is asked for again, and becomes a failure.
import t, { type Test } from 'tap';
import { listRecoveries } from '../../src/events/recoveries.ts';
import { createPullReceiver } from '../../src/pull/receiver.ts';
import { recoverTask } from '../../src/pull/recover-task.ts';
import { atEnd } from '../support/at-end.ts';
import { createCli } from '../support/cli.ts';
import { newEvent, openInbox, storeEvents } from '../support/inbox.ts';
import { hookPath, type Listed, standIns, startApi, testKey } from './api.ts';
import { quickLimits, recovererOn, recoverSourceOf } from './recovering.ts';

const inbox = await openInbox(t);
const { sql, database } = inbox;
const run = recovererOn(inbox);
t.beforeEach(async () => {
  for (const table of ['webhook_events', 'recoveries', 'recovery_requests'])
    await sql(`DELETE FROM ${table}`);
});

const github = { GITHUB_WEBHOOK_SECRET: 'It is a Secret to Everybody', GITHUB_API_PATH: hookPath };
/** Deliveries by their minutes of age. The API takes each request to send again. */
async function openGithub(t: Test, minutes: readonly number[]) {
  const deliveries = minutes.map((age): Listed => {
    const at = Date.now() - age * 60_000;
    const item = { id: age, guid: `guid-${age}`, delivered_at: new Date(at).toISOString(), status_code: 401 };
    return { id: String(age), at, item };
  });
  const api = await startApi(t, (call) => standIns.github(deliveries, call));
  /** Ages of the deliveries that it was asked to send again since the last call. */
  const asked = () => {
    const calls = api.calls.splice(0).filter(({ method }) => method === 'POST');
    return calls.map(({ path }) => Number(path.split('/').at(-2))).sort((a, b) => a - b);
  };
  return { api, asked, recover: recoverSourceOf('github', api.url, github) };
}

const arrive = (...ages: number[]) =>
  storeEvents(
    inbox,
    ages.map((age) =>
      newEvent({ source: 'github', provider: 'github', eventId: `guid-${age}`, topic: 'push' }),
    ),
  );
const hoursPass = (hours: number) =>
  sql(`UPDATE recovery_requests SET asked_at = asked_at - interval '${hours} hours',
    last_asked_at = last_asked_at - interval '${hours} hours'`);
/** Nothing arrives in these tests while a run waits. */
const quick = { arrivalMs: 1 };
const stored = async () => (await listRecoveries(database))[0];

t.test('an event that does not arrive is a failure, and asked for again until it arrives', async (t) => {
  const { asked, recover } = await openGithub(t, [120, 60, 30]);
  await arrive(60);
  t.match(await run(t, recover, quick), { asked: 2, recovered: 0, known: 1, missing: 2, isComplete: true });
  t.same(asked(), [30, 120]);
  t.match(await stored(), {
    failure: 'not_arrived',
    failingSince: Date,
    lastError: /^2 events did not arrive although the provider was asked to send again; check the webhook's/,
    recoveredUntil: Date,
  });
  t.match(await run(t, recover, quick), { asked: 0, missing: 2 }, 'not at once');
  t.same(asked(), []);
  await hoursPass(1);
  t.match(await run(t, recover, quick), { asked: 2, missing: 2 }, 'also what the list no longer shows');
  t.same(asked(), [30, 120]);
  await arrive(30);
  t.match(await run(t, recover, quick), { asked: 0, missing: 1 });
  await arrive(120);
  t.match(await run(t, recover, quick), { asked: 0, missing: 0 });
  t.match(await stored(), { failure: null, failingSince: null, lastError: null, givenUp: 0 });
  t.same(await sql('SELECT * FROM recovery_requests'), []);
});

t.test(
  'a delivery that the provider refuses waits its turn, and the failure names the refusal',
  async (t) => {
    const { api, asked, recover } = await openGithub(t, [120, 30]);
    await run(t, recover, quick);
    t.same(asked(), [30, 120]);
    const real = api.reply;
    api.reply = (call) =>
      call.path.endsWith('/120/attempts') ? { status: 422, body: { message: testKey } } : real(call);
    await hoursPass(1);
    t.match(await run(t, recover, quick), { asked: 1, missing: 2, refusedStatus: null });
    t.same(asked(), [30, 120]);
    t.match(
      await stored(),
      { lastError: /asked to send again; check the webhook's address/ },
      'some were taken',
    );
    await run(t, recover, quick);
    t.same(asked(), [], 'not at once');
    t.match(await sql('SELECT event_id, times FROM recovery_requests ORDER BY event_id'), [
      { event_id: 'guid-120', times: 2 },
      { event_id: 'guid-30', times: 2 },
    ]);
    await arrive(30);
    t.match(await run(t, recover, quick), { missing: 1, refusedStatus: 422 });
    t.match(await stored(), {
      failure: 'not_arrived',
      lastError:
        /^1 event did not arrive: the provider refuses to send again, with 422; check at the provider/,
    });
    api.reply = real;
    await hoursPass(1);
    t.match(await run(t, recover, quick), { asked: 1, missing: 1, refusedStatus: null }, 'it takes it again');
  },
);

t.test('after a day it is given up, with a warning, and no run asks for it by itself', async (t) => {
  const { asked, recover } = await openGithub(t, [120, 60]);
  await arrive(60);
  await run(t, recover, quick);
  t.same(asked(), [120]);
  let requests = 0;
  for (let hour = 0; hour < 26; hour++) {
    await hoursPass(1);
    await run(t, recover, quick);
    requests += asked().length;
  }
  t.ok(requests >= 5 && requests <= 10, `asked ${requests} times in a day`);
  t.match(
    inbox.logs.filter(({ msg }) => /given up/.test(String(msg))),
    [{ source: 'github', count: 1, eventIds: ['guid-120'] }],
    'logged once',
  );
  t.match(await stored(), { failure: null, lastError: null, givenUp: 1 });
  const env = { GITHUB_API_KEY: testKey, GITHUB_API_URL: 'http://127.0.0.1:9', RECOVER_MINUTES: '60' };
  const cli = createCli(t, { DATABASE_URL: inbox.url, ...github, ...env });
  t.match(await cli.inside(['status']), { stdout: /recover github: .*; given up 1, which never arrived/ });
  t.match(await cli.inside(['doctor', 'github']), {
    stdout: /recover github +1 event given up: asked for during 24 hours, and never arrived/,
  });

  const since = new Date(Date.now() - 3 * 86_400_000);
  t.match(await run(t, recover, { ...quick, since }), { asked: 0, known: 1, missing: 0 });
  t.match(await run(t, recover, { ...quick, since, isByHand: true }), { asked: 1, missing: 1 });
  t.same(asked(), [120], 'a person asks again');
  await arrive(120);
  await run(t, recover, quick);
  t.match(await stored(), { givenUp: 0 });
});

t.test(
  'RECOVER_MINUTES: the log says that events did not arrive, not that they were recovered',
  async (t) => {
    const { asked, recover } = await openGithub(t, [10]);
    const receiver = createPullReceiver(inbox);
    atEnd(t, () => receiver.close());
    const config = { RECOVER_MINUTES: 60, STORE_RAW_BODY: false, PAYLOAD_RETENTION_DAYS: 0 };
    const task = recoverTask({ ...inbox, receiver, recover, config, limits: quickLimits, ...quick });
    await task.pass(new AbortController().signal);
    t.same(asked(), [10]);
    t.match(inbox.logs.at(-1), { recovered: 0, asked: 1, missing: 1, msg: /^1 event did not arrive/ });
  },
);
