// `forward`: the new events of a database reach an app on this machine, signed with its own secret; nothing is written.
import { createHmac } from 'node:crypto';
import t, { type Test } from 'tap';
import { runProgram } from '../../src/commands/program.ts';
import { startApp } from '../forward/app.ts';
import { atEnd } from '../support/at-end.ts';
import { createCli, fakeTerminal } from '../support/cli.ts';
import { newEvent, openInbox, openSession, storeEvents } from '../support/inbox.ts';
import { waitFor } from '../support/wait.ts';

const secret = 'whsec_local_0123456789abcdef';
const inbox = await openInbox(t);
// Every statement that writes would fail.
const readOnlyUrl = `${inbox.url}?options=-c%20default_transaction_read_only%3Don`;
const env = { DATABASE_URL: readOnlyUrl, STRIPE_WEBHOOK_SECRET: secret };

/** Runs the verb until the end of `t`, or `interrupt`. */
async function startForward(t: Test, url: string, args: readonly string[] = []) {
  const io = fakeTerminal(env);
  const controller = new AbortController();
  io.interrupted = () => controller.signal;
  const ended = runProgram(['forward', 'stripe', url, ...args], io);
  const interrupt = () => {
    controller.abort();
    return ended;
  };
  atEnd(t, async () => void (await interrupt()));
  await waitFor(() => io.printed.err.includes('waiting for new events of stripe'), { what: 'the start' });
  return { printed: io.printed, interrupt };
}

t.test('new events arrive once each, with the bytes as received and a fresh signature', async (t) => {
  const app = await startApp(t);
  await storeEvents(inbox, [newEvent()]); // is not new
  const { printed, interrupt } = await startForward(t, app.url);
  const rawBody = Buffer.from('{ "id": "evt_raw",  "amount": 1.50 }');
  const first = newEvent({ rawBody });
  await storeEvents(inbox, [newEvent({ source: 'github', provider: 'github' }), first]);
  await waitFor(() => app.received.length === 1, { what: 'the event' });
  const { headers, body } = app.received[0]!;
  t.same(body, rawBody);
  const [, at, v1] = /^t=(\d+),v1=([0-9a-f]+)$/.exec(String(headers['stripe-signature'])) ?? [];
  t.equal(v1, createHmac('sha256', secret).update(`${at}.`).update(rawBody).digest('hex'));
  t.ok(Math.abs(Number(at) - Date.now() / 1_000) < 300);
  await waitFor(() => printed.out.includes(`204   ${first.eventId}  invoice.paid\n`), { what: 'its line' });
  t.notMatch(printed.err, 'bytes were not kept');

  // A single commit gives all of them the same received_at; the verb needs several readings for them.
  const many = Array.from({ length: 150 }, () => newEvent());
  await storeEvents(inbox, many);
  await waitFor(() => app.received.length >= 151, { what: 'all events' });
  t.same(
    app.received
      .slice(1)
      .map((received) => JSON.parse(received.body.toString()).id)
      .sort(),
    many.map(({ eventId }) => eventId).sort(),
  );
  await waitFor(() => printed.err.includes('the bytes were not kept'), { what: 'the warning' });
  t.equal(await interrupt(), 0);
});

t.test('an event that is committed after a later one is not missed', async (t) => {
  const app = await startApp(t);
  await startForward(t, app.url, ['--json']);
  const session = await openSession(t, inbox.url);
  await session('BEGIN');
  await session(`INSERT INTO webhook_events (source, provider, event_id, topic, payload, body_sha256)
    VALUES ('stripe', 'stripe', 'evt_late', 'invoice.paid', '{"id": "evt_late"}', sha256('late'))`);
  await storeEvents(inbox, [newEvent()]);
  await waitFor(() => app.received.length === 1, { what: 'the later event' });
  await session('COMMIT');
  await waitFor(() => app.received.length === 2, { what: 'the late event' });
  t.match(app.received[1]?.body.toString(), /evt_late/);
});

t.test('an app that fails or does not run is named, and the next event is sent', async (t) => {
  const app = await startApp(t);
  app.answer = (response) => response.writeHead(500).end('oh\x1b[31m no');
  const { printed } = await startForward(t, app.url, ['--json']);
  const events = [newEvent(), newEvent(), newEvent()];
  await storeEvents(inbox, [events[0]!]);
  await waitFor(() => printed.out.includes('"status":500'), { what: 'the failure' });
  t.notMatch(printed.out, '\x1b');
  app.server.close();
  app.server.closeAllConnections();
  await storeEvents(inbox, [events[1]!]);
  await waitFor(() => printed.out.includes('nothing listens at this address. Start your app'), {
    what: 'the remedy',
  });
  await storeEvents(inbox, [events[2]!]);
  await waitFor(() => printed.out.trim().split('\n').length === 3, { what: 'a line for each event' });
  t.same(
    printed.out
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line).eventId),
    events.map(({ eventId }) => eventId),
  );
});

t.test('a source that is off and an address that is none have a remedy', async (t) => {
  const cli = createCli(t, env);
  t.match(await cli.inside(['forward', 'github', 'http://127.0.0.1:1/']), {
    code: 1,
    stderr: 'set GITHUB_WEBHOOK_SECRET',
  });
  t.match(await cli.inside(['forward', 'stripe', 'nowhere']), {
    code: 1,
    stderr: 'the address must be like',
  });
});
