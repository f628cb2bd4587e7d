// Pauses on the operators' page: who may begin and end one, what is refused, and what is recorded.
import t from 'tap';
import { createTestDatabase } from '../support/database.ts';
import { openSession } from '../support/inbox.ts';
import { openOpsPage } from '../support/ops-page.ts';

const { url } = await createTestDatabase(t);
const sql = await openSession(t, url);
const { read, post } = openOpsPage(t, url);
const listPauses = () => sql('SELECT source, topic, handler, reason, paused_by FROM pauses ORDER BY id');

t.beforeEach(() => sql('TRUNCATE pauses, operator_actions'));

t.test('an operator pauses a source, a topic or a handler, and resumes; each is recorded', async (t) => {
  const fields = { source: 'stripe', topic: 'invoice.*', reason: ' the ledger\n is down ' };
  t.match(await post('/ops/pause', fields), { statusCode: 303 });
  t.match(await post('/ops/pause', { source: 'stripe' }), { statusCode: 303 });
  t.match(await post('/ops/pause', { handler: 'charge <b>' }), { statusCode: 303 });
  t.same(await listPauses(), [
    ...[
      {
        source: 'stripe',
        topic: 'invoice.*',
        handler: null,
        reason: 'the ledger  is down',
        paused_by: 'ada',
      },
    ],
    ...[{ source: 'stripe', topic: null, handler: null, reason: null, paused_by: 'ada' }],
    ...[{ source: null, topic: null, handler: 'charge <b>', reason: null, paused_by: 'ada' }],
  ]);
  const body = await read('/ops');
  t.match(body, /stripe --topic &#39;invoice\.\*&#39; since .* by ada, 0 events wait: the ledger/);
  t.match(body, '--handler charge &lt;b&gt; since');
  t.match(body, '<span class="tag">paused</span>', 'on the row of the source');
  const ids = [...body.matchAll(/name="id" value="(\d+)"/g)].map(([, id]) => id!);
  t.equal(ids.length, 3);
  t.match(await post('/ops/resume', { id: ids[0]! }), { statusCode: 303 });
  t.match(await post('/ops/resume', { id: ids[0]! }), { statusCode: 409, body: 'no such pause any more' });
  t.match(await listPauses(), [{ topic: null }, { handler: 'charge <b>' }]);
  t.same(
    await sql(
      'SELECT operator, action, filter, reason, done, ended_at IS NOT NULL AS ended FROM operator_actions ORDER BY id',
    ),
    [
      ...[
        {
          operator: 'ada',
          action: 'pause',
          filter: { source: 'stripe', topic: 'invoice.*' },
          reason: 'the ledger  is down',
          done: 0,
          ended: true,
        },
      ],
      ...[
        {
          operator: 'ada',
          action: 'pause',
          filter: { source: 'stripe' },
          reason: null,
          done: 0,
          ended: true,
        },
      ],
      ...[
        {
          operator: 'ada',
          action: 'pause',
          filter: { handler: 'charge <b>' },
          reason: null,
          done: 0,
          ended: true,
        },
      ],
      ...[
        {
          operator: 'ada',
          action: 'resume',
          filter: { source: 'stripe', topic: 'invoice.*' },
          reason: null,
          done: 0,
          ended: true,
        },
      ],
    ],
  );
  t.match(
    await read('/ops/actions'),
    /Resume.*of stripe, topic invoice\.\*.*Pause.*handler charge &lt;b&gt;/s,
  );
});

t.test('what would pause nothing, or is paused, is refused, and leaves no record', async (t) => {
  await post('/ops/pause', { source: 'stripe' });
  const wrong: readonly (readonly [Record<string, string>, number, string])[] = [
    [{}, 400, 'Name a source or a handler'],
    [{ topic: 'a', handler: 'h' }, 400, 'A topic needs its source'],
    [{ source: 'stripe', topic: 'a*b' }, 400, 'as a prefix'],
    [{ source: 'strpe' }, 400, 'there is no source &quot;strpe&quot;; did you mean stripe?'],
    [{ source: 'stripe', topic: 'a', reason: 'x'.repeat(201) }, 400, 'at most 200 characters'],
    [{ source: 'stripe' }, 409, 'stripe is paused already, by ada'],
  ];
  for (const [fields, statusCode, body] of wrong)
    t.match(await post('/ops/pause', fields), { statusCode, body }, JSON.stringify(fields));
  for (const id of ['', 'x', '999', '1.5']) t.match(await post('/ops/resume', { id }), { statusCode: 409 });
  t.equal((await listPauses()).length, 1);
  t.equal((await sql('SELECT FROM operator_actions')).length, 1);
});

t.test('a reader sees pauses, and can neither begin nor end one', async (t) => {
  await post('/ops/pause', { source: 'stripe' });
  const body = await read('/ops', 'reader');
  t.match(body, /stripe since .* by ada/);
  t.notMatch(body, /\/ops\/(pause|resume)/);
  t.match(await post('/ops/pause', { source: 'stripe', topic: 'a' }, 'reader'), { statusCode: 403 });
  const [pause] = await sql('SELECT id::text FROM pauses');
  t.match(await post('/ops/resume', { id: String(pause!.id) }, 'reader'), { statusCode: 403 });
  t.equal((await listPauses()).length, 1);
});
