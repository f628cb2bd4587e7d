// B64 to B79: what operators type, and what they are shown.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { isDeepStrictEqual } from 'node:util';
import type { Test } from 'tap';
import { createCli } from '../support/cli.ts';
import { createTestDatabase } from '../support/database.ts';
import { newEvent, openInboxOn, storeEvents } from '../support/inbox.ts';
import { plainEnvironment, startProcess } from '../support/processes.ts';
import { refused } from './refused.ts';
import type { BadInput } from './rows.ts';
import { signed, sources, withHeader } from './senders.ts';

const cliFile = fileURLToPath(new URL('../../src/cli.ts', import.meta.url));

/** An inbox of its own with `count` dead letters. */
async function openDeadLetters(t: Test, count: number) {
  const { url } = await createTestDatabase(t);
  const inbox = await openInboxOn(t, url);
  await inbox.sql(
    `INSERT INTO webhook_events (source, provider, event_id, topic, payload, headers, body_sha256, unique_body, status, last_error)
     SELECT 'stripe', 'stripe', 'evt_' || n, 'a.b', '{}', '{}', sha256(n::text::bytea), false, 'FAILED', 'Error: 100% down'
     FROM generate_series(1, $1) n`,
    [count],
  );
  const pending = async () =>
    Number((await inbox.sql(`SELECT count(*) AS n FROM webhook_events WHERE status = 'PENDING'`))[0]?.n);
  return { url, inbox, pending, cli: createCli(t, { DATABASE_URL: url }) };
}

/** What a command says on standard error, and its code, when its reader goes after ten bytes. */
async function quitEarly(url: string, args: string): Promise<string> {
  const command = `{ "$0" "$1" ${args}; echo "code $?" >&2; } | head -c 10`;
  const child = spawn('/bin/sh', ['-c', command, process.execPath, cliFile], {
    env: { ...plainEnvironment(), DATABASE_URL: url },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let stderr = '';
  child.stderr.on('data', (chunk) => {
    stderr += chunk;
  });
  child.stdout.resume();
  await once(child, 'close');
  return stderr;
}

export const commandRows: readonly BadInput[] = [
  {
    id: 'B64',
    title: "malformed basic auth (of a source; /metrics is B80, the operators' page B65)",
    check: async (t, stage) => {
      const basic = (text: string) => `Basic ${Buffer.from(text, 'latin1').toString('base64')}`;
      const [user, password] = sources.get('postmark')!.secrets[0]!.split(':') as [string, string];
      for (const [title, authorization] of Object.entries({
        none: undefined,
        empty: '',
        'the scheme alone': 'Basic',
        'nothing encoded': 'Basic ',
        'no colon': basic(user + password),
        'no user': basic(`:${password}`),
        'no password': basic(`${user}:`),
        'another user': basic(`${user}x:${password}`),
        'a wrong password': basic(`${user}:${password.slice(0, -1)}`),
        'one that goes on': basic(`${user}:${password}:`),
        'not UTF-8': basic(`${user}:\xff\xfe`),
        'not base64': 'Basic \xff\xfe',
        '10 KB': basic(`${user}:${'x'.repeat(7_500)}`),
        'as a bearer': `Bearer ${user}:${password}`,
      }))
        await refused(
          t,
          stage,
          withHeader(signed('postmark', { topic: 'Delivery' }), 'authorization', authorization),
          title,
        );
    },
  },
  {
    id: 'B70',
    title: 'filters that are SQL, NUL or nonsense',
    check: async (t) => {
      const { cli, inbox } = await openDeadLetters(t, 3);
      const sql = `' OR 1=1; DROP TABLE webhook_events; --`;
      for (const option of ['--source', '--topic', '--error', '--entity'])
        for (const value of [sql, `${sql}*`, '$1', '\\', '%', '_'])
          t.match(
            await cli.inside(['events', option, value]),
            { code: option === '--error' && value === '%' ? 0 : 1 },
            `${option} ${value}`,
          );
      for (const args of [
        ['--status', sql],
        ['--since', sql],
        ['--until', 'NaN'],
        ['--sort', 'x;drop table'],
        ['--since', '999999999999d'],
      ])
        t.match(await cli.inside(['events', ...args]), { code: 2, stdout: '' }, args.join(' '));
      for (const id of [sql, 'not-a-uuid', '', '%', '../..'])
        for (const verb of ['show', 'replay'])
          t.match(await cli.inside([verb, id]), { code: 1 }, `${verb} ${id}`);
      for (const args of [
        ['events', '--source', 'a\0b'],
        ['show', 'a\0b'],
      ])
        t.match(
          await cli.inside(args),
          { code: 1, stdout: '' },
          'a NUL, which no argument of a process can hold',
        );
      t.equal((await inbox.sql('SELECT FROM webhook_events')).length, 3);
    },
  },
  {
    id: 'B71',
    title: 'invalid limits',
    check: async (t) => {
      const { cli } = await openDeadLetters(t, 3);
      for (const limit of ['-1', '0', '1e9', 'NaN', '9007199254740993', '0x10', '1.5', '', ' 1', '١'])
        t.match(await cli.inside(['events', '--limit', limit]), { code: 2, stderr: /whole number/ }, limit);
      t.equal((await cli.inside(['events', '--limit', '2', '--json'])).documents().length, 2);
    },
  },
  {
    id: 'B72',
    title: 'searches that contain patterns, or are long',
    check: async (t) => {
      const { cli } = await openDeadLetters(t, 20_000);
      for (const [search, code] of [
        ['%%%%', 1],
        ['100%', 0],
        ['_'.repeat(100), 1],
        ['%_'.repeat(5_000), 2],
        ['x'.repeat(10_000), 2],
        ['x'.repeat(500), 1],
        ['(a+)+$', 1],
        ['\\', 1],
      ] as const)
        t.match(
          await cli.inside(['events', '--limit', '1', '--error', search]),
          { code },
          `${search.slice(0, 20)} is text`,
        );
    },
  },
  {
    id: 'B74',
    title: 'an event of 5 MB, shown by a command',
    check: async (t) => {
      const { url, inbox, cli } = await openDeadLetters(t, 1);
      const payload = { id: 'evt_large', text: 'é<"\n'.repeat(1_000_000) };
      await storeEvents(inbox, [newEvent({ eventId: payload.id, payloadText: JSON.stringify(payload) })]);
      const [document] = (await cli(['show', payload.id, '--json'])).documents();
      t.ok(isDeepStrictEqual(document?.payload, payload), 'through a pipe to its last byte');
      t.match(await cli(['show', payload.id]), { code: 0, stderr: '' });
      t.match(await quitEarly(url, `show ${payload.id}`), /^code (0|141)\n$/, 'quiet when its reader goes');
      const listed = await cli.inside(['events']);
      t.ok(listed.code === 0 && listed.stdout.length < 10_000, 'a list has nothing of the payload');
    },
  },
  {
    id: 'B75',
    title: 'replays: two at the same time, of a PROCESSED event, of an unknown event, of many events',
    check: async (t) => {
      const { cli, inbox, pending } = await openDeadLetters(t, 2_500);
      const both = await Promise.all([cli.inside(['replay', 'evt_1']), cli.inside(['replay', 'evt_1'])]);
      t.ok(
        both.some(({ code }) => code === 0),
        'once',
      );
      t.equal(await pending(), 1);
      t.match(await cli.inside(['replay', 'evt_1']), { code: 1, stderr: /PENDING already/ });
      await inbox.sql(`UPDATE webhook_events SET status = 'PROCESSED' WHERE event_id = 'evt_2'`);
      t.match(await cli.inside(['replay', 'evt_2']), { code: 1, stderr: /add --status PROCESSED/ });
      t.match(await cli.inside(['replay', 'evt_nobody']), { code: 1, stderr: /no event matches/ });
      t.match(await cli.inside(['replay']), {
        code: 1,
        stderr: /2,498 FAILED events would be replayed: add --yes/,
      });
      const many = await Promise.all([1, 2].map(() => cli.inside(['replay', '--yes', '--json'])));
      const replayed = many
        .flatMap((result) => result.documents())
        .reduce((sum, document) => sum + Number(document.replayed), 0);
      t.equal(replayed, 2_498, 'two operators at once: each event once');
      t.equal(await pending(), 2_499);
    },
  },
  {
    id: 'B76',
    title: 'formulas, line breaks and quotes in an export (of JSON: there is no CSV)',
    check: async (t) => {
      const { inbox, cli } = await openDeadLetters(t, 1);
      const nasty = `=HYPERLINK("http://x")\r\n'@SUM(1)",\t+1\n{"a":1}`;
      const event = newEvent({ eventId: nasty, topic: nasty, payloadText: JSON.stringify({ text: nasty }) });
      await storeEvents(inbox, [event]);
      await inbox.sql(`UPDATE webhook_events SET last_error = $1 WHERE event_id = $1`, [nasty]);
      const list = (await cli(['events', '--json'])).documents();
      t.equal(list.length, 2, 'one line is one event, whatever is in it');
      const exported = list.find(({ eventId }) => eventId === nasty);
      t.match(exported, { topic: nasty, lastError: nasty }, 'and says what came, unchanged');
      t.match((await cli(['show', nasty, '--json'])).documents(), [
        { eventId: nasty, payload: { text: nasty } },
      ]);
    },
  },
  {
    id: 'B77',
    title: 'control characters on a terminal',
    check: async (t) => {
      const { url } = await createTestDatabase(t);
      const inbox = await openInboxOn(t, url);
      const nasty = '\u001b]0;owned\u0007\u001b[2J\r\u009b31m\u202e\u2066\u2028\u007f';
      const event = newEvent({
        eventId: `evt_${nasty}`,
        topic: `topic_${nasty}`,
        headers: { 'user-agent': nasty },
        payloadText: JSON.stringify({ id: nasty }),
      });
      await storeEvents(inbox, [event]);
      await inbox.sql(`UPDATE webhook_events SET status = 'FAILED', last_error = $1`, [nasty]);
      const cli = createCli(t, { DATABASE_URL: url });
      for (const args of [
        ['events'],
        ['show', event.eventId],
        ['replay', `x${nasty}`],
        ['doctor'],
        ['status'],
      ])
        for (const json of [[], ['--json']]) {
          const { stdout, stderr } = await cli.inside([...args, ...json]);
          t.notMatch(stdout + stderr, /(?!\n)[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u, `${args[0]} ${json}`);
        }
      t.match((await cli.inside(['events'])).stdout, '\\x1b]0;owned');
    },
  },
  {
    id: 'B78',
    title: '--database-url',
    check: async (t, stage) => {
      const cli = createCli(t);
      const { code, stderr } = await cli(['status', '--database-url', stage.databaseUrl]);
      t.equal(code, 0);
      t.match(stderr, /every user of this machine can read/);
      for (const url of [
        'postgres://ada:sesame-open@127.0.0.1:1/x',
        'mysql://ada:sesame-open@a/b',
        'sesame-open',
        'postgres://ada:sesame-open@[bad/x',
      ])
        for (const verb of ['status', 'migrate', 'doctor']) {
          const result = await cli.inside([verb, '--database-url', url]);
          t.not(result.code, 0);
          t.notMatch(result.stdout + result.stderr, 'sesame', `${verb} ${url}`);
        }
    },
  },
  {
    id: 'B79',
    title: 'a closed pipe, no terminal, Ctrl-C in the middle of a replay',
    check: async (t) => {
      const { url, cli, pending } = await openDeadLetters(t, 30_000);
      t.match(
        await quitEarly(url, 'events --json --limit 30000'),
        /^code (0|141)\n$/,
        'quiet when its reader goes',
      );
      t.match(await cli.inside(['replay']), { code: 1, stderr: /add --yes/ }, 'no terminal, no --yes');
      t.equal(await pending(), 0);
      const replay = startProcess(t, ['replay', '--yes', '--json'], { env: { DATABASE_URL: url } });
      while ((await pending()) === 0);
      replay.kill('SIGINT');
      t.match(await replay.exited, { code: 130 });
      const { replayed, interrupted } = replay.logs[0] as { replayed?: number; interrupted?: boolean };
      t.equal(interrupted, true);
      t.equal(await pending(), replayed, `it says what it did: ${replayed} of 30,000`);
    },
  },
];
