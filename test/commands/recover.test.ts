// `recover`, and what `doctor`, `status` and `show` say of it; the key is in no output, log or row.
import { writeFileSync } from 'node:fs';
import t from 'tap';
import { standIns, startApi, testKey } from '../pull/api.ts';
import { createCli } from '../support/cli.ts';
import { openInbox } from '../support/inbox.ts';

const inbox = await openInbox(t);
const at = Date.now() - 600_000;
const listed = [1, 2, 3].map((nth) => ({
  id: `evt_${nth}`,
  at: at + nth * 1_000,
  item: { id: `evt_${nth}`, type: 'invoice.paid', created: Math.floor(at / 1_000) + nth, data: {} },
}));
const api = await startApi(t, (call) => standIns.stripe(listed, call));
const env = {
  DATABASE_URL: inbox.url,
  STRIPE_WEBHOOK_SECRET: 'whsec_0123456789abcdef',
  STRIPE_API_KEY: testKey,
  STRIPE_API_URL: api.url,
  ACME_API_KEY: 'of no source',
};
const cli = createCli(t, env);

t.test('counts, recovers, and says what was there', async (t) => {
  t.match(await cli.inside(['recover', 'stripe', '--dry-run']), {
    code: 0,
    stdout: /\nwould recover 3, already there 0\n$/,
  });
  const { code, stdout, stderr } = await cli(['recover', 'stripe', '--since', '3d']);
  t.match(
    { code, stdout },
    { code: 0, stdout: /^asked for the events from .*, 1 page\nrecovered 3, already there 0\n$/ },
  );
  t.notMatch(stdout + stderr, testKey);
  const [document] = (await cli.inside(['recover', 'stripe', '--json'])).documents();
  t.match(document, { recovered: 0, known: 3, way: 'pull', isComplete: true, dryRun: false });
  t.match(await cli.inside(['show', 'evt_1']), { stdout: /received by\s+pull\n/ });
  t.match(await cli.inside(['status']), { stdout: /\nrecover stripe: .*Z, recovered 0, already there 3\n/ });
});

t.test('a missing or wrong setting is named with its remedy', async (t) => {
  const tries: readonly (readonly [args: string[], env: Record<string, string>, stderr: RegExp])[] = [
    [['stripes'], {}, /there is no source "stripes"; did you mean stripe\?/],
    [['slack'], {}, /has no list of events/],
    [['workos'], {}, /set WORKOS_API_KEY: API key of the environment/],
    [['github'], { GITHUB_API_KEY: 'x' }, /GITHUB_API_PATH is missing; set it to repos\/OWNER/],
    [['github'], { GITHUB_API_KEY: 'x' }, /GITHUB_WEBHOOK_SECRET is missing/],
    [['stripe'], { STRIPE_API_URL: 'http://api.stripe.com' }, /must begin with https:\/\//],
    [['stripe'], { STRIPE_API_KEY: 'two words' }, /STRIPE_API_KEY must hold no blank/],
    [['stripe'], { STRIPE_API_KEY: 'rk_wrong' }, /the key was not accepted; check STRIPE_API_KEY/],
    [['stripe', '--since', 'soon'], {}, /Use an age such as/],
  ];
  for (const [args, changed, stderr] of tries) {
    const result = await cli.inside(['recover', ...args], { env: changed });
    t.match(result.stderr, stderr);
    t.not(result.code, 0);
    t.notMatch(result.stderr, changed.STRIPE_API_KEY ?? testKey);
  }
});

t.test('doctor tries the key; without RECOVER_MINUTES a bad key is no failure of --strict', async (t) => {
  writeFileSync(`${cli.folder}/.env`, '');
  const checks = async (changed: Record<string, string>) => {
    const [document] = (await cli.inside(['doctor', '--json'], { env: changed })).documents();
    return (document!.checks as Record<string, unknown>[]).filter(({ check }) => check === 'recover stripe');
  };
  t.match(await checks({}), [
    { status: 'ok', message: /127\.0\.0\.1:\d+ accepts the key; used by postbell recover/ },
  ]);
  const [bad] = await checks({ STRIPE_API_KEY: 'rk_wrong' });
  t.match(bad, { status: 'warn', message: /not accepted/ });
  t.notOk(bad!.needsPerson);
  t.match((await checks({ STRIPE_API_KEY: 'rk_wrong', RECOVER_MINUTES: '60' }))[0], { needsPerson: true });
});

/** A source that is only pulled: no secret, no endpoint. */
const erp = {
  POSTBELL_SOURCES: 'erp=pulled',
  ERP_API_KEY: testKey,
  ERP_API_URL: api.url,
  ERP_API_PATH: '/v1/events',
  ERP_API_ITEMS: 'data',
};

t.test('a pulled source: recover, doctor and show', async (t) => {
  t.match(await cli.inside(['recover', 'erp'], { env: erp }), {
    code: 0,
    stdout: /\nrecovered 3, already there 0\n$/,
  });
  t.match(await cli.inside(['status'], { env: erp }), {
    stdout: /\nrecover erp: .*Z, recovered 3, already there 0\n/,
  });
  const [document] = (await cli.inside(['doctor', 'erp', '--json'], { env: erp })).documents();
  const checks = document!.checks as Record<string, unknown>[];
  t.match(
    checks.find(({ check }) => check === 'source erp'),
    { status: 'ok', message: /is only pulled: it needs no secret/ },
  );
  t.match(
    checks.filter(({ check }) => check === 'recover erp'),
    [{ status: 'ok' }, { status: 'warn', message: /nothing comes in by itself/ }],
  );
  t.notOk(checks.some(({ check, status }) => check === 'sources' && status === 'fail'));
  t.match(await cli.inside(['send', 'erp', 'x'], { env: erp }), {
    stderr: /is only pulled and takes no delivery/,
  });
  const { stdout } = await cli.inside(['providers', 'pulled']);
  t.match(stdout, /^variables +.*<SOURCE>_API_CURSOR/m);
  t.notMatch(stdout, /WEBHOOK_SECRET/);
});

t.test('a pulled source: every wrong or missing variable at once, at every start', async (t) => {
  const wrong = {
    POSTBELL_SOURCES: 'erp=pulled',
    ERP_WEBHOOK_SECRET: 'whsec_0123456789abcdef',
    ERP_API_KEY: '',
    ERP_API_URL: '',
    ERP_API_ID: 'no,',
    ERP_API_SINCE_PARAM: 'a b',
    ERP_API_SINCE_UNIT: 'days',
    ERP_API_CURSOR: 'next',
  };
  for (const args of [['recover', 'erp'], ['worker'], ['web']]) {
    const { code, stderr } = await cli.inside(args, { env: wrong });
    t.not(code, 0);
    for (const problem of [
      /ERP_WEBHOOK_SECRET belongs to a source that is only pulled/,
      /ERP_API_KEY is missing; set it to the key of the API, sent in the header authorization/,
      /ERP_API_URL is missing; set the API's address/,
      /ERP_API_PATH is missing; set the path of the list/,
      /ERP_API_ID must be the path of a value/,
      /ERP_API_SINCE_PARAM must be the name of a query parameter/,
      /ERP_API_CURSOR must be body:<path> of the answer or last:<path>/,
      /ERP_API_CURSOR_PARAM is missing; name the query parameter/,
    ])
      t.match(stderr, problem);
  }
});

t.test('the key is nowhere in the database', async (t) => {
  const tables =
    await inbox.sql(`SELECT format('SELECT t::text AS row FROM %I.%I t', schemaname, tablename) AS text
    FROM pg_tables WHERE schemaname IN ('public', 'pgboss')`);
  for (const { text } of tables)
    for (const { row } of await inbox.sql(text as string)) t.notOk((row as string).includes(testKey));
});
