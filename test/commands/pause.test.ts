// `pause` and `resume`, and how the other verbs show that an event waits for the end of a pause.
import t from 'tap';
import { checkBacklog } from '../../src/doctor/inbox.ts';
import { checkPauses } from '../../src/doctor/pauses.ts';
import { beginPause } from '../../src/events/pauses.ts';
import { releaseEvents } from '../../src/events/release.ts';
import { defineHandler } from '../../src/handlers/handler.ts';
import { createCli } from '../support/cli.ts';
import { createTestDatabase } from '../support/database.ts';
import { newEvent, openInboxOn, storeEvents } from '../support/inbox.ts';

const { url } = await createTestDatabase(t);
const cli = createCli(t, { DATABASE_URL: url });
const inbox = await openInboxOn(t, url);
const event = newEvent({ eventId: 'evt_waits' });
const [jobId] = await storeEvents(inbox, [event]);

t.test('what would pause nothing is refused, with the remedy', async (t) => {
  const wrong: readonly (readonly [args: string[], message: RegExp])[] = [
    [['pause', 'strpe'], /there is no source "strpe"; did you mean stripe\?/],
    [['pause', '--topic', 'a'], /--topic needs a source/],
    [['pause', 'stripe', '--topic', 'a*b'], /a prefix/],
    [['pause', '--reason', 'x'], /name a source or --handler/],
    [['resume'], /say which pause/],
    [['resume', 'stripe', '--all'], /use it without/],
    [['resume', 'stripe'], /there is no pause stripe/],
    [['resume', '--all'], /nothing is paused/],
  ];
  for (const [args, message] of wrong)
    t.match(await cli.inside(args), { code: 1, stderr: message }, args.join(' '));
  await t.rejects(inbox.sql(`INSERT INTO pauses (reason) VALUES ('x')`), /pauses_source_or_handler/);
  await t.rejects(inbox.sql(`INSERT INTO pauses (handler, topic) VALUES ('x', 'a')`), /topic_of_a_source/);
  await t.rejects(inbox.sql(`INSERT INTO pauses (source, topic) VALUES ('x', 'a*b')`), /is_a_pattern/);
  t.match(await cli.inside(['pause']), { code: 0, stdout: 'nothing is paused\n' });
});

t.test('each verb says that an event waits because of a pause, and since when', async (t) => {
  const args = ['stripe', '--topic', 'invoice.*'];
  t.match(await cli.inside(['pause', ...args, '--reason', 'a \x1b[31mmove']), {
    code: 0,
    stdout:
      /^paused: stripe --topic 'invoice\.\*'; .*\nto run them: postbell resume stripe --topic 'invoice\.\*'\n$/,
  });
  t.match(await cli.inside(['pause', ...args]), { code: 0, stdout: /is paused already, by / });
  const [row] = await inbox.sql('SELECT * FROM pauses');
  t.match(row, {
    source: 'stripe',
    topic: 'invoice.*',
    handler: null,
    reason: 'a \x1b[31mmove',
    paused_at: Date,
  });
  const pauseIds = [row!.id as number];
  await releaseEvents({ ...inbox, maxAttempts: 5 }, [
    { events: [event], fromJobId: jobId!, to: { pauseIds } },
  ]);
  await inbox.sql(`UPDATE webhook_events SET received_at = now() - interval '3 hours'`);

  const line = /stripe --topic 'invoice\.\*' since .* by .*, 1 event waits, the oldest for 3 h: a .*move/;
  t.match(await cli.inside(['pause']), { code: 0, stdout: line });
  t.notMatch((await cli.inside(['pause'])).stdout, '\x1b');
  const [listed] = (await cli.inside(['pause', '--json'])).documents();
  t.match(listed, { source: 'stripe', topic: 'invoice.*', handler: null, waiting: 1, pausedAt: String });
  t.match((await cli.inside(['status'])).stdout, line);
  t.match((await cli.inside(['status', '--json'])).documents(), [{ pauses: [{ waiting: 1 }] }]);
  t.match((await cli.inside(['events'])).stdout, /NEXT TRY[\s\S]* paused$/m);
  t.match((await cli.inside(['events', '--json'])).documents(), [{ nextTryAt: null, pausedSince: String }]);
  t.match((await cli.inside(['show', 'evt_waits'])).stdout, /^paused +since .*; why: postbell pause$/m);
  t.match(await cli.inside(['replay', 'evt_waits', '--now']), { code: 1, stderr: /the end of a pause/ });

  const context = inbox as unknown as Parameters<typeof checkBacklog>[0];
  t.match(await checkBacklog(context), [{ status: 'ok', message: /1 paused/ }], 'no worker is missing');
  t.match(await checkPauses([], context), [{ status: 'ok', message: line }]);
  const later = new Date(Date.now() + 25 * 3_600_000);
  t.match(await checkPauses([], context, later), [
    { status: 'warn', needsPerson: true, remedy: /postbell resume stripe --topic 'invoice\.\*'/ },
  ]);
  await beginPause(inbox.database, { source: null, topic: null, handler: 'chrge' }, null, 'ada');
  const handlers = [
    defineHandler({ provider: 'stripe', topic: '*', name: 'charge', handle: async () => {} }),
  ];
  t.match(await checkPauses(handlers, context), [{}, { status: 'warn', message: /did you mean charge\?/ }]);
});

t.test('resume ends the pause of the same words, or every pause', async (t) => {
  const missing = await cli.inside(['resume', 'stripe']);
  t.match(missing, {
    code: 1,
    stderr: /no pause stripe\npaused: stripe --topic 'invoice\.\*'\npaused: --handler/,
  });
  t.match(await cli.inside(['resume', 'stripe', '--topic', 'invoice.*']), {
    code: 0,
    stdout: "resumed: stripe --topic 'invoice.*'; 1 event will run, unless another pause holds them\n",
  });
  t.match((await cli.inside(['events', '--json'])).documents(), [{ pausedSince: null }]);
  t.match((await cli.inside(['resume', '--all', '--json'])).documents(), [{ handler: 'chrge', waiting: 0 }]);
  t.same(await inbox.sql('SELECT FROM pauses'), []);
});
