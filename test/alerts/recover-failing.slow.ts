// Recovering that fails: told once by an alert and ended once, and shown by status, doctor and the operators' page.
import t, { type Test } from 'tap';
import { evaluateAlerts } from '../../src/alerts/evaluate.ts';
import { createServer } from '../../src/http/server.ts';
import { registerOps } from '../../src/ops/plugin.ts';
import { createPullReceiver } from '../../src/pull/receiver.ts';
import { recoverTask } from '../../src/pull/recover-task.ts';
import { loadConnectedSettings, recoverScheduleOf } from '../../src/runtime/settings.ts';
import { type ApiReply, standIns, startApi, testKey } from '../pull/api.ts';
import { quickLimits } from '../pull/recovering.ts';
import { createCli } from '../support/cli.ts';
import { openInbox } from '../support/inbox.ts';

const inbox = await openInbox(t);
const { database, log, sql } = inbox;
const works = (): ApiReply => ({ body: { object: 'list', has_more: false, data: [] } });
const api = await startApi(t, works);
const env = {
  DATABASE_URL: inbox.url,
  STRIPE_WEBHOOK_SECRET: 'whsec_0123456789abcdef',
  STRIPE_API_KEY: testKey,
  STRIPE_API_URL: api.url,
  RECOVER_MINUTES: '60',
  OPS_PASSWORD: 'sixteen-letters-of-ops',
};
const settings = loadConnectedSettings(env);
const schedule = recoverScheduleOf(settings);
const cli = createCli(t, env);

t.beforeEach(async () => {
  api.reply = works;
  for (const table of ['recoveries', 'alerts', 'alert_messages']) await sql(`DELETE FROM ${table}`);
  await sql(`INSERT INTO postbell_processes (process_id, kind, host, version)
    SELECT gen_random_uuid(), kind, kind || '.1', '0.2.0' FROM unnest(ARRAY['web', 'worker']) AS kind`);
});

/** An hour passes: the task runs again, then somebody looks at the alerts. */
async function hour(t: Test, changed: Partial<Parameters<typeof evaluateAlerts>[0]> = {}) {
  await sql(`UPDATE recoveries SET started_at = started_at - interval '1 hour', ended_at = ended_at - interval '1 hour',
    failing_since = failing_since - interval '1 hour'`);
  const receiver = createPullReceiver(inbox);
  const task = recoverTask({
    ...{ database, log, receiver, limits: quickLimits },
    ...{ recover: schedule.sources[0]!, config: settings.config },
  });
  await task.pass(new AbortController().signal);
  await receiver.close();
  await look(changed);
  t.pass();
}

const look = (changed: Partial<Parameters<typeof evaluateAlerts>[0]> = {}) =>
  evaluateAlerts({
    ...{ database, lateSeconds: 900, sizeLimitBytes: undefined, isReported: true, schedule, ...changed },
  });
const told = async () =>
  (await sql('SELECT edge, alerts FROM alert_messages ORDER BY id')).flatMap(({ edge, alerts }) =>
    (alerts as { kind: string; source: string; facts: object }[]).map(({ kind, source, facts }) => ({
      ...{ edge, kind, source, facts },
    })),
  );
const edges = async () => (await told()).map(({ edge, kind, source }) => `${edge} ${kind} ${source}`);

async function page(t: Test): Promise<string> {
  const app = createServer({ bodyLimitBytes: 1_048_576, log });
  const closing = registerOps(app, { settings, log });
  const authorization = `Basic ${Buffer.from(`ada:${env.OPS_PASSWORD}`).toString('base64')}`;
  const address = await app.listen({ port: 0, host: '127.0.0.1' });
  const answer = await fetch(`${address}/ops`, { headers: { accept: 'text/html', authorization } });
  t.equal(answer.status, 200);
  const body = await answer.text();
  await app.close();
  for (const { run } of closing) await run();
  return body.replaceAll(/<[^>]+>/g, '').replaceAll(/\s+/g, ' ');
}

t.test('a refused key is told after the first run, once, and ended once', async (t) => {
  await hour(t);
  t.match(await page(t), /Recoveringstripe\d+ s ago: recovered 0, already there 0; next in 60 min/);
  t.same(await edges(), []);
  api.reply = () => ({ status: 401, body: { error: { message: `Invalid key ${testKey}` } } });
  await hour(t);
  await hour(t);
  api.reply = () => ({ status: 503 });
  await hour(t);
  t.same(await edges(), ['raised recover_failing stripe'], 'an API that is away says nothing of the key');
  t.match((await told())[0]!.facts, { failure: 'key_refused', variable: 'STRIPE' });
  t.match(await cli.inside(['alerts']), {
    stdout:
      /recover_failing .* recovering stripe has failed for 2 h \(key_refused\): .* correct STRIPE_API_KEY/,
  });
  t.match(await cli.inside(['status']), {
    stdout:
      /\nrecover stripe: .*, recovered 0, already there 0; failed since .*Z: RecoverError: .* 503 again/,
  });
  t.match(await cli.inside(['doctor', 'stripe']), {
    stdout: /recover stripe +the last run failed: .* 503 .*; no run has succeeded since .*Z/,
  });
  const text = await page(t);
  t.match(text, /Lost events are not recovered \(stripe\)\./);
  t.match(text, /already there 0; next in 60 min; failed for 2 h: RecoverError: \/v1\/events answered 503/);
  const everything = JSON.stringify(
    await sql('SELECT r, m, a FROM recoveries r, alert_messages m, alerts a'),
  );
  t.notMatch(everything + text, testKey, 'no part of the answer, and no key');
  api.reply = works;
  await hour(t);
  t.same(await edges(), ['raised recover_failing stripe', 'resolved recover_failing stripe']);
  t.match(await sql('SELECT failing_since, failure, last_error FROM recoveries'), [
    { failing_since: null, failure: null, last_error: null },
  ]);
});

for (const [what, reply, failure] of [
  ['500s', { status: 500 }, 'unavailable'],
  ['HTML', { body: '<html>Sign in</html>' }, 'unexpected_answer'],
  ['404', { status: 404, body: {} }, 'request_refused'],
  ['GitHub’s limit of calls', { status: 403, headers: { 'retry-after': '0' } }, 'unavailable'],
] as const)
  t.test(`${what}: told after three intervals`, async (t) => {
    await hour(t);
    api.reply = () => reply;
    for (let nth = 0; nth < 3; nth++) await hour(t);
    t.same(await edges(), [], 'most failures pass');
    await hour(t);
    await hour(t);
    t.same(await edges(), ['raised recover_failing stripe']);
    t.match((await told())[0]!.facts, { failure });
    api.reply = works;
    await hour(t);
    await hour(t);
    t.same(await edges(), ['raised recover_failing stripe', 'resolved recover_failing stripe']);
  });

t.test('a success between the failures, even of a part of the list, begins the count anew', async (t) => {
  for (let nth = 0; nth < 6; nth++) {
    const isBad = nth % 3 !== 2;
    api.reply = isBad ? () => ({ status: 500 }) : (call) => standIns.stripe([], call);
    await hour(t);
  }
  t.same(await edges(), []);
});

t.test('without a worker it is not judged; without the key it is no alert', async (t) => {
  api.reply = () => ({ status: 401 });
  await hour(t);
  await sql(
    `UPDATE postbell_processes SET seen_at = now() - interval '1 minute', stopped_at = NULL WHERE kind = 'worker'`,
  );
  await look({ schedule: { sources: [], everyMs: 0 } });
  t.same(await edges(), ['raised recover_failing stripe'], 'web may not have the key');
  await sql(`UPDATE postbell_processes SET seen_at = now()`);
  await look({ schedule: { sources: [], everyMs: 0 } });
  t.same((await edges()).at(-1), 'resolved recover_failing stripe');
});

t.test('a run that is interrupted changes nothing', async (t) => {
  api.reply = () => ({ status: 500 });
  await hour(t);
  const stop = new AbortController();
  const [before] = await sql('SELECT failing_since, failure FROM recoveries');
  await sql(`UPDATE recoveries SET ended_at = now() - interval '61 minutes'`);
  api.reply = () => {
    stop.abort();
    return { status: 500 };
  };
  const receiver = createPullReceiver(inbox);
  const task = recoverTask({
    ...{ database, log, receiver, limits: quickLimits },
    ...{ recover: schedule.sources[0]!, config: settings.config },
  });
  await task.pass(stop.signal);
  await receiver.close();
  t.match(await sql('SELECT failing_since, failure, last_error FROM recoveries'), [
    { ...before, last_error: null },
  ]);
});
