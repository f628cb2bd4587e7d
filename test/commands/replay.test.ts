// `replay`: nothing by accident, everything that was chosen, and the truth about it in the exit code.
import t, { type Test } from 'tap';
import { runReplay } from '../../src/commands/replay.ts';
import { createCli, fakeTerminal } from '../support/cli.ts';
import { createTestDatabase } from '../support/database.ts';
import { newEvent, openInboxOn, openSession, storeEvents } from '../support/inbox.ts';
import { startProcess } from '../support/processes.ts';
import { waitFor } from '../support/wait.ts';

/** Events named for their status, one of each; `evt_failed_2` is of another source and topic. */
async function openShop(t: Test) {
  const { url } = await createTestDatabase(t);
  const inbox = await openInboxOn(t, url);
  const names = ['failed', 'failed_2', 'processed', 'ignored', 'pending'];
  await storeEvents(
    inbox,
    names.map((name) =>
      newEvent({
        eventId: `evt_${name}`,
        ...(name === 'failed_2' ? { source: 'stripe-eu', topic: 'charge.failed' } : {}),
      }),
    ),
  );
  await inbox.sql(`UPDATE webhook_events SET status = upper(split_part(event_id, '_', 2)), last_error = 'Error: down'
    WHERE event_id <> 'evt_pending'`);
  const pending = async () => {
    const rows = await inbox.sql(`SELECT event_id FROM webhook_events WHERE status = 'PENDING' ORDER BY 1`);
    return rows.map((row) => String(row.event_id)).filter((id) => id !== 'evt_pending');
  };
  return { url, inbox, pending, cli: createCli(t, { DATABASE_URL: url }) };
}

t.test('a filter is counted first, and nothing happens without --yes', async (t) => {
  const { cli, pending } = await openShop(t);
  t.match(await cli(['replay']), {
    code: 1,
    stdout: /^$/,
    stderr: '2 FAILED events would be replayed: add --yes to do it',
  });
  t.same(await pending(), []);
});

t.test('with --yes the FAILED ones go, and only those', async (t) => {
  const { cli, pending } = await openShop(t);
  t.match(await cli(['replay', '--yes']), { code: 0, stdout: '2 events set to PENDING' });
  t.same(await pending(), ['evt_failed', 'evt_failed_2']);
  t.match(await cli.inside(['replay', '--yes']), {
    code: 1,
    stderr: 'no event matches: nothing was replayed',
  });
});

t.test('a filter narrows it', async (t) => {
  const { cli, pending } = await openShop(t);
  const { code, documents } = await cli.inside([
    'replay',
    '--yes',
    '--topic',
    'charge.*',
    '--error',
    'DOWN',
    '--json',
  ]);
  t.equal(code, 0);
  t.same(documents(), [{ matched: 1, replayed: 1 }]);
  t.same(await pending(), ['evt_failed_2']);
  const none = await cli.inside(['replay', '--yes', '--source', 'nobody', '--json']);
  t.equal(none.code, 1);
  t.same(none.documents(), [{ matched: 0, replayed: 0 }]);
});

t.test('what took effect already is replayed only when asked for by name', async (t) => {
  const { cli, pending } = await openShop(t);
  t.match(await cli.inside(['replay', '--status', 'processed,ignored', '--yes']), { code: 0 });
  t.same(await pending(), ['evt_ignored', 'evt_processed']);
});

t.test('one event by its id needs no --yes, unless it is PROCESSED', async (t) => {
  const { cli, pending } = await openShop(t);
  t.match(await cli.inside(['replay', 'evt_failed']), { code: 0, stdout: '1 event set to PENDING' });
  t.match(await cli.inside(['replay', 'evt_ignored']), { code: 0 });
  t.match(await cli.inside(['replay', 'evt_processed']), {
    code: 1,
    stderr: 'add --status PROCESSED to run it again',
  });
  t.same(await pending(), ['evt_failed', 'evt_ignored']);
  t.match(await cli.inside(['replay', 'evt_processed', '--status', 'PROCESSED']), { code: 0 });
  t.match(await cli.inside(['replay', 'evt_pending']), { code: 1, stderr: 'is PENDING already' });
  t.match(await cli.inside(['replay', 'evt_nobody']), { code: 1, stderr: 'no event matches' });
});

t.test('an id of several sources is refused until one is named', async (t) => {
  const { cli, inbox, pending } = await openShop(t);
  await inbox.sql(`UPDATE webhook_events SET event_id = 'evt_failed' WHERE event_id = 'evt_failed_2'`);
  t.match(await cli.inside(['replay', 'evt_failed']), { code: 1, stderr: '--source (stripe, stripe-eu)' });
  t.same(await pending(), []);
  t.match(await cli.inside(['replay', 'evt_failed', '--source', 'stripe-eu']), { code: 0 });
  const rows = await inbox.sql(
    `SELECT source FROM webhook_events WHERE event_id = 'evt_failed' AND status = 'PENDING'`,
  );
  t.same(rows, [{ source: 'stripe-eu' }]);
});

t.test('at a terminal a person is asked', async (t) => {
  const { url, pending } = await openShop(t);
  const no = fakeTerminal({ DATABASE_URL: url });
  no.input.write('n\n');
  await t.rejects(runReplay(no, undefined, {}), { message: 'nothing was replayed' });
  t.match(no.printed.err, 'Replay 2 FAILED events? [y/N]');
  t.same(await pending(), []);
  const yes = fakeTerminal({ DATABASE_URL: url });
  yes.input.write('y\n');
  t.equal(await runReplay(yes, undefined, {}), 0);
  t.equal((await pending()).length, 2);
});

t.test('a row that somebody else holds is left out, told, and no success', async (t) => {
  const { cli, url } = await openShop(t);
  const operator = await openSession(t, url);
  await operator('BEGIN');
  await operator(`SELECT FROM webhook_events WHERE event_id = 'evt_failed' FOR UPDATE`);
  t.match(await cli(['replay', '--yes']), {
    code: 1,
    stdout: '1 event set',
    stderr: '1 event not replayed, because another session locked or changed',
  });
});

t.test('Ctrl-C leaves whole batches', async (t) => {
  const { url, inbox } = await openShop(t);
  await storeEvents(
    inbox,
    Array.from({ length: 2_500 }, () => newEvent()),
  );
  await inbox.sql(`UPDATE webhook_events SET status = 'FAILED' WHERE event_id <> 'evt_pending'`);
  const operator = await openSession(t, url);
  await operator('BEGIN');
  await operator('LOCK TABLE webhook_events IN SHARE ROW EXCLUSIVE MODE');
  const replaying = startProcess(t, ['replay', '--yes'], { env: { DATABASE_URL: url }, mayFail: true });
  await waitFor(
    async () =>
      (
        await inbox.sql(`SELECT FROM pg_stat_activity WHERE application_name = 'postbell replay'
          AND wait_event_type = 'Lock' AND datname = current_database()`)
      ).length === 1,
    { what: 'the first batch to wait for the lock' },
  );
  replaying.kill('SIGINT');
  await waitFor(() => replaying.output().includes('stopping after the current batch'), {
    what: 'the signal',
  });
  await operator('COMMIT');
  t.same(await replaying.exited, { code: 130, signal: null });
  t.match(replaying.output(), '1,000 events set to PENDING');
  t.match(replaying.output(), 'interrupted: 1,504 events unchanged');
  const rows = await inbox.sql(`SELECT count(*)::int AS count FROM webhook_events WHERE status = 'PENDING'`);
  t.same(rows, [{ count: 1_001 }], 'and the one that was pending before');
});
