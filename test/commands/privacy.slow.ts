// Real processes: a redacted value reaches neither the database nor a log, and after `erase` nothing of the person is in the database.
import t from 'tap';
import { providers, signDelivery } from '../../src/providers/index.ts';
import { makeSource } from '../providers/deliveries.ts';
import { createCli } from '../support/cli.ts';
import { createTestDatabase } from '../support/database.ts';
import { rowsWith } from '../support/database-dump.ts';
import { openSession } from '../support/inbox.ts';
import { startProcess } from '../support/processes.ts';
import { waitFor } from '../support/wait.ts';

const [email, name, customer] = ['zqx81@example.com', 'Lovelace-Zqx81', 'cus_Zqx81'];
const { url } = await createTestDatabase(t);
const sql = await openSession(t, url);
const secret = 'whsec_of_the_privacy_test_000001';
const index = new URL('../../src/index.ts', import.meta.url).href;
const cwd = t.testdir({
  handlers: {
    'index.js': `
      import { defineHandler, PermanentError } from ${JSON.stringify(index)};
      const entity = (payload) => payload.data.object.customer;
      const fail = async ({ payload }) => {
        const { email, name } = payload.data.object;
        throw new PermanentError('no account of ' + name + ', ' + email, { cause: new Error(JSON.stringify(payload)) });
      };
      export default [
        defineHandler({ provider: 'stripe', topic: 'test.good', entity, handle: async () => {} }),
        defineHandler({ provider: 'stripe', topic: 'test.bad', entity, handle: fail }),
      ];`,
  },
});
const env = {
  DATABASE_URL: url,
  STRIPE_WEBHOOK_SECRET: secret,
  STRIPE_REDACT: 'data.object.email,data.object.lines.email:hash',
  REDACT_KEY: 'k'.repeat(32),
  STORE_RAW_BODY: 'true',
  LOG_LEVEL: 'trace',
  HOST: '127.0.0.1',
  PORT: '0',
};

t.test('from the delivery to the dead letter, and to the erasure', async (t) => {
  const processes = ['web', 'worker'].map((verb) => startProcess(t, [verb], { cwd, env }));
  const { address } = await processes[0]!.waitForLog(({ msg }) => msg === 'listening');
  await Promise.all(processes.map((process) => process.waitForLog('ready')));
  for (const topic of ['test.good', 'test.bad', 'test.unknown']) {
    const object = { customer, name, email, lines: [{ email }] };
    const { headers, body } = signDelivery(makeSource(providers.stripe, secret), {
      topic,
      now: new Date(),
      url: String(address),
      body: JSON.stringify({
        id: `evt_${topic}`,
        type: topic,
        created: Date.now() / 1_000,
        data: { object },
      }),
    });
    const init = { method: 'POST', headers, body: new Uint8Array(body) };
    t.equal((await fetch(`${address}/webhooks/stripe`, init)).status, 200);
  }
  const isSettled = async () =>
    (await sql(`SELECT FROM webhook_events WHERE status <> 'PENDING'`)).length === 3;
  await waitFor(isSettled, { what: 'three settled events' });
  t.same(await rowsWith({ sql }, email), []);
  for (const process of processes) t.notMatch(process.output(), email);
  for (const text of [name, customer])
    t.ok((await rowsWith({ sql }, text)).length > 3, `${text} is in several tables`);

  const cli = createCli(t, env);
  t.match(await cli(['erase', 'data.object.customer', customer, '--yes']), {
    code: 0,
    stdout: /^3 events erased/,
  });
  for (const text of [name, customer]) t.same(await rowsWith({ sql }, text), []);
  t.match(await sql('SELECT event_id, status, erased_at FROM webhook_events ORDER BY 1'), [
    { event_id: 'evt_test.bad', status: 'IGNORED', erased_at: Date },
    { event_id: 'evt_test.good', status: 'PROCESSED' },
    { event_id: 'evt_test.unknown', status: 'IGNORED' },
  ]);
});
