// `replay`: nothing by accident, everything that was chosen, and the truth about it in the exit code.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { runReplay } from '../../src/commands/replay.ts';
import { insertEvents } from '../../src/events/insert.ts';
import { enqueueEventsWithoutJob } from '../../src/maintenance/reconcile.ts';
import { channel } from '../../src/queue/notify.ts';
import { newJobId } from '../../src/queue/queue.ts';
import { atEnd } from '../support/at-end.ts';
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

t.test('PROCESSED events are counted in a warning before anybody is asked', async (t) => {
  const { cli, pending } = await openShop(t);
  const { code, stderr } = await cli.inside(['replay', '--status', 'PROCESSED,FAILED']);
  t.equal(code, 1);
  t.match(
    stderr,
    /^warning: 1 PROCESSED event among them: .*a second time\n3 PROCESSED or FAILED events would/,
  );
  t.same(await pending(), []);
  t.notMatch(await cli.inside(['replay']), { stderr: 'warning' });
});

/** Adds three events to the shop's: two sources have an event each that waits for a retry, and a worker runs the third. */
async function openWaitingShop(t: Test) {
  const shop = await openShop(t);
  const { inbox } = shop;
  const [first, second, running] = [
    newEvent({ eventId: 'evt_first' }),
    newEvent({ eventId: 'evt_second', source: 'stripe-eu' }),
    newEvent({ eventId: 'evt_running' }),
  ];
  const jobs = [first, second, running].map((event) => ({
    jobId: newJobId(),
    events: [event],
    afterSeconds: 1_800,
  }));
  await inbox.database.transaction(async (tx) => {
    await insertEvents(
      tx,
      jobs.map(({ jobId, events: [event] }) => ({ ...event!, jobId })),
    );
    await inbox.queue.enqueue(tx, jobs);
  });
  await inbox.sql(
    `UPDATE webhook_events SET failures = 2, attempts = 2, deferrals = 1 WHERE job_id = ANY ($1)`,
    [jobs.map(({ jobId }) => jobId)],
  );
  await inbox.sql(`UPDATE pgboss.job SET state = 'active' WHERE id = $1`, [jobs[2]!.jobId]);
  const withoutJob = async () => {
    const rows = await inbox.sql(
      `SELECT event_id FROM webhook_events WHERE status = 'PENDING' AND job_id IS NULL ORDER BY 1`,
    );
    return rows.map((row) => row.event_id);
  };
  return { ...shop, withoutJob };
}

t.test('--now ends the wait of PENDING events, and of no others; their failures still count', async (t) => {
  const { cli, inbox, pending, withoutJob } = await openWaitingShop(t);
  const { promise: woken, resolve } = Promise.withResolvers<string>();
  const { promise: listening, resolve: listens } = Promise.withResolvers<void>();
  const listener = inbox.database.listen(channel, (payload) =>
    payload === undefined ? listens() : resolve(payload),
  );
  atEnd(t, () => listener.close());
  await listening;
  t.match(await cli.inside(['replay', '--now']), {
    code: 1,
    stderr: '2 PENDING events would be run at once: add --yes to do it',
  });
  t.same(await withoutJob(), []);
  t.match(await cli.inside(['replay', '--now', '--source', 'stripe', '--yes', '--json']), {
    code: 0,
    stdout: '{"matched":1,"replayed":1}',
  });
  t.same(await withoutJob(), ['evt_first']);
  t.equal(await woken, 'replay', 'the reconciler is woken');
  t.match(await cli.inside(['replay', '--now', '--yes']), { code: 0, stdout: '1 event no longer waits' });
  t.same(await withoutJob(), ['evt_first', 'evt_second']);
  t.same(
    await inbox.sql(`SELECT failures, attempts, deferrals FROM webhook_events WHERE event_id = 'evt_first'`),
    [{ failures: 2, attempts: 2, deferrals: 1 }],
  );
  t.match(await cli.inside(['replay', '--now', '--yes']), { code: 1, stderr: 'no event matches' });
  t.same(await pending(), ['evt_first', 'evt_running', 'evt_second'], 'nothing that was settled is replayed');
  t.equal(await enqueueEventsWithoutJob(inbox), 2);
  const due = (await inbox.queue.fetch(20)).flatMap(({ events }) => events.map(({ eventId }) => eventId));
  t.same(due.filter((id) => !/failed|ignored|processed|pending/.test(id)).sort(), [
    'evt_first',
    'evt_second',
  ]);
});

t.test('--now by an id says why an event does not wait', async (t) => {
  const { cli, withoutJob } = await openWaitingShop(t);
  const now = (id: string, ...more: string[]) => cli.inside(['replay', id, '--now', ...more]);
  t.match(await now('evt_failed'), { code: 1, stderr: 'evt_failed is FAILED and waits for nothing' });
  t.match(await now('evt_running'), { code: 1, stderr: 'evt_running is PENDING and waits for nothing' });
  t.match(await now('evt_pending'), { code: 1, stderr: 'a worker has it, or takes it next' });
  t.match(await now('evt_first', '--status', 'FAILED'), { code: 1, stderr: '--now is for PENDING events' });
  t.match(await cli.inside(['replay', 'evt_first']), { code: 1, stderr: '--now ends its wait' });
  t.same(await withoutJob(), []);
  t.match(await now('evt_first'), { code: 0, stdout: '1 event no longer waits' });
  t.same(await withoutJob(), ['evt_first']);
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

t.test(
  'rehearse runs the handlers of an event, counts the rows that they change, and leaves all as it was',
  async (t) => {
    const { url, inbox, cli } = await openShop(t);
    await inbox.sql('CREATE TABLE orders (id text PRIMARY KEY, note text); CREATE TABLE notes (id text)');
    await inbox.sql(`INSERT INTO orders VALUES ('a', ''), ('b', '')`);
    const library = new URL('../../src/index.ts', import.meta.url).href;
    const module = join(cli.folder, 'handlers.mjs');
    writeFileSync(
      module,
      `import { defineHandler, Later, PermanentError } from '${library}';
     const handle = async ({ event, tx }) => {
       if (event.id === 'evt_ignored') throw new PermanentError('no such order');
       if (event.id === 'evt_pending') throw new Later({ afterSeconds: 5 });
       if (event.id === 'evt_failed') throw new Error('down');
       await tx.query("UPDATE orders SET note = 'paid'");
       await tx.query('INSERT INTO notes VALUES ($1)', [event.id]);
     };
     export default [defineHandler({ provider: 'stripe', topic: 'invoice.paid', entity: () => 'o1', handle })];`,
    );
    const everything = `SELECT (SELECT json_agg(o) FROM orders o) AS orders, (SELECT count(*) FROM notes) AS notes,
    (SELECT json_agg(e ORDER BY event_id) FROM webhook_events e) AS events, (SELECT count(*) FROM failed_attempts) AS failures,
    (SELECT count(*) FROM entity_clock) AS clocks, (SELECT count(*) FROM pgboss.job) AS jobs`;
    const before = await inbox.sql(everything);
    const rehearse = (id: string, ...more: string[]) =>
      cli.inside(['rehearse', id, ...more], { env: { DATABASE_URL: url, POSTBELL_HANDLERS: module } });
    t.match(await rehearse('evt_processed'), {
      code: 1,
      stdout: '',
      stderr: /to the outside would happen: add --yes/,
    });
    t.match(await rehearse('evt_processed', '--yes'), {
      code: 0,
      stdout:
        /^would be PROCESSED, after \d+ ms; rolled back\n\nTABLE +INSERTED +UPDATED +DELETED\nnotes +1 +0 +0\norders +0 +2 +0\n\nUPDATE orders SET note = 'paid'\n {2}2 rows\n\nINSERT INTO notes VALUES \(\$1\)\n {2}1 row\n$/,
    });
    const outcome = async (id: string) => {
      const { code, documents } = await rehearse(id, '--yes', '--json');
      return { code, ...documents()[0] };
    };
    t.match(await outcome('evt_failed'), {
      code: 1,
      outcome: 'failed',
      isFinal: false,
      reason: 'Error: down',
      tables: [],
    });
    t.match(await outcome('evt_ignored'), { code: 1, outcome: 'failed', isFinal: true });
    t.match(await outcome('evt_pending'), { code: 1, outcome: 'deferred' });
    t.match(await outcome('evt_failed_2'), { code: 1, outcome: 'ignored', reason: /^no handler for/ });
    t.match(await rehearse('none', '--yes'), { code: 1, stderr: 'there is no event none' });
    t.same(await inbox.sql(everything), before);
  },
);
