// A day with a wrong secret: senders that never retry, forgers among them, a process killed with -9. Nothing is lost, and
// nothing comes twice.
import { mkdirSync, writeFileSync } from 'node:fs';
import t from 'tap';
import {
  type OutgoingRequest,
  type Provider,
  providers,
  type Source,
  signDelivery,
} from '../../src/providers/index.ts';
import { deliver } from '../../src/terminal/deliver.ts';
import { createCli } from '../support/cli.ts';
import { openInbox } from '../support/inbox.ts';
import { startProcess } from '../support/processes.ts';
import { waitFor } from '../support/wait.ts';

const inbox = await openInbox(t);
const { sql } = inbox;
const names = ['stripe', 'github', 'hubspot'] as const;
type Name = (typeof names)[number];
const hubspotUrl = 'https://shop.example.com/api/webhooks/hubspot';
const secrets = {
  right: 'whsec_of-the-provider-1',
  wrong: 'whsec_of-last-year-22',
  forged: 'whsec_guess-of-somebody',
};
const fixed = {
  DATABASE_URL: inbox.url,
  HUBSPOT_WEBHOOK_URL: hubspotUrl,
  ...Object.fromEntries(names.map((name) => [`${name.toUpperCase()}_QUARANTINE_MB`, '10'])),
};
const withSecrets = (secret: string) =>
  Object.fromEntries(names.map((name) => [`${name.toUpperCase()}_WEBHOOK_SECRET`, secret]));
const mended = withSecrets(secrets.right);
const cli = createCli(t, { ...fixed, ...mended });

function sign(name: Name, secret: string, now = new Date()): OutgoingRequest {
  const provider: Provider = providers[name];
  const source: Source = { name, provider, secrets: [secret], webhookUrl: hubspotUrl };
  const topics = { stripe: 'invoice.paid', github: 'push', hubspot: 'contact.creation' };
  return signDelivery(source, { topic: topics[name], now, url: hubspotUrl });
}

let address = '';
const post = (name: Name, request: OutgoingRequest) =>
  deliver({ ...request, url: `${address}/api/webhooks/${name}` });
async function startWeb(secret: string) {
  const env = { ...fixed, ...withSecrets(secret), PORT: '0', HOST: '127.0.0.1' };
  const web = startProcess(t, ['web'], { env });
  address = String((await web.waitForLog(({ msg }) => msg === 'listening')).address);
  await web.waitForLog(({ msg }) => msg === 'ready');
  return web;
}

const counts = { stripe: 80, github: 80, hubspot: 40 };
/** HubSpot's sample has two events. */
const eventCount = 80 + 80 + 2 * 40;
const forgedCount = 10;
const sent: { name: Name; request: OutgoingRequest }[] = [];
const inQuarantine = async () =>
  (await sql('SELECT count(*)::int AS n FROM quarantined_requests'))[0]!.n as number;
const eventsThere = async () => (await sql('SELECT count(*)::int AS n FROM webhook_events'))[0]!.n as number;
const promote = async (name: Name, env: Record<string, string> = {}) =>
  cli(['quarantine', 'promote', name, '--yes'], { env });

t.test('a wrong secret: every request is answered 401, and kept', async (t) => {
  const web = await startWeb(secrets.wrong);
  for (const name of names)
    for (let nth = 0; nth < counts[name]; nth++) sent.push({ name, request: sign(name, secrets.right) });
  const forged = Array.from({ length: forgedCount }, () => sign('stripe', secrets.forged));
  const old = Array.from({ length: 5 }, () => sign('stripe', secrets.right, new Date(Date.now() - 600_000)));
  const others = [...forged, ...old].map((request) => ({ name: 'stripe' as const, request }));
  const answers = await Promise.all([...sent, ...others].map(({ name, request }) => post(name, request)));
  t.ok(answers.every(({ status, body }) => status === 401 && body.includes('invalid_signature')));
  await waitFor(async () => (await inQuarantine()) >= sent.length + forgedCount, { what: 'the requests' });
  web.kill();
  t.equal((await web.exited).code, 0);
  t.equal(await inQuarantine(), sent.length + forgedCount, 'and those that are too old are not kept');
  t.equal(await eventsThere(), 0);
});

t.test('list, status and doctor tell of them', async (t) => {
  t.match(await cli.inside(['quarantine']), {
    code: 0,
    stdout:
      /github +80 +(< )?0\.\d of 10 MB .* wrong_signature \(80\)\n(.*\n)*once .* postbell quarantine promote github\n$/,
  });
  const [stripe] = (await cli.inside(['quarantine', 'list', 'stripe', '--json'])).documents();
  t.match(stripe, { source: 'stripe', requests: 90, limitMb: 10, refused: 0 });
  t.match(await cli.inside(['status']), {
    stdout: /quarantine hubspot: 40 requests, (< )?0\.\d of 10 MB, the oldest /,
  });
  const [report] = (await cli.inside(['doctor', '--json'])).documents();
  t.match(
    (report!.checks as { check: string }[]).find(({ check }) => check === 'quarantine stripe'),
    {
      status: 'warn',
      needsPerson: true,
      remedy: /STRIPE_WEBHOOK_SECRET is right, run: postbell quarantine promote stripe$/,
    },
  );
});

t.test('nothing happens unasked, by a dry run, or with the wrong secret', async (t) => {
  t.match(await cli.inside(['quarantine', 'promote', 'stripe']), {
    code: 1,
    stderr: /add --yes to do it, or --dry-run/,
  });
  t.match(await cli.inside(['quarantine', 'promote', 'stripe', '--dry-run']), {
    code: 1,
    stdout: 'would promote 80, already there 0, still wrong 10\n',
  });
  t.match(
    await cli.inside(['quarantine', 'promote', 'github', '--yes'], { env: withSecrets(secrets.wrong) }),
    {
      code: 1,
      stdout: 'promoted 0, already there 0, still wrong 80\n',
    },
  );
  for (const [args, stderr] of [
    [['promote'], /name the source/],
    [['promote', 'strip'], /there is no source strip.*stripe/],
    [['promote', 'slack'], /slack has no secret.*set SLACK_WEBHOOK_SECRET/],
    [['demote', 'stripe'], /there is no action demote/],
    [['delete', 'stripe'], /90 requests of stripe would be deleted for ever: add --yes/],
    [['delete', 'slack'], /nothing of slack is in quarantine/],
  ] as const)
    t.match(await cli.inside(['quarantine', ...args]), { code: 1, stderr });
  t.equal(await inQuarantine(), 210);
  t.equal(await eventsThere(), 0);
});

t.test('promoted in the middle of a kill -9, and beside the provider’s own retry: each once', async (t) => {
  const arrivals = await sql('SELECT arrived_at FROM quarantined_requests ORDER BY arrived_at');
  const killed = await promote('github', { NODE_ENV: 'test', POSTBELL_FAILPOINT: 'promote.taken:kill' });
  t.equal(killed.code, null, 'killed');
  t.equal(await eventsThere(), 80, 'its events are committed');
  t.equal(await inQuarantine(), 210, 'and its requests still there');
  t.match(await promote('github'), { code: 0, stdout: 'promoted 0, already there 80, still wrong 0\n' });

  const web = await startWeb(secrets.right);
  const retries = sent.filter(({ name }) => name === 'stripe').slice(0, 30);
  const [promoted, answers] = await Promise.all([
    promote('stripe'),
    Promise.all(retries.map(({ name, request }) => post(name, request))),
  ]);
  t.ok(answers.every(({ status }) => status === 200));
  const [, first, known] =
    /^promoted (\d+), already there (\d+), still wrong 10\n$/.exec(promoted.stdout) ?? [];
  t.equal(Number(first) + Number(known), 80, promoted.stdout);
  t.ok(Number(first) >= 50);
  t.equal(promoted.code, 1, 'the forged ones stay');
  t.match(promoted.stderr, /10 requests stay: forged, or signed with another secret/);
  t.match(await promote('hubspot'), { code: 0, stdout: 'promoted 40, already there 0, still wrong 0\n' });
  web.kill();
  await web.exited;

  t.equal(await eventsThere(), eventCount);
  t.same(await sql('SELECT DISTINCT source, reason FROM quarantined_requests'), [
    { source: 'stripe', reason: 'wrong_signature' },
  ]);
  const kept = await sql(
    `SELECT DISTINCT received_at FROM webhook_events WHERE received_by = 'quarantine' ORDER BY received_at`,
  );
  const times = new Set(arrivals.map(({ arrived_at }) => (arrived_at as Date).getTime()));
  t.ok(
    kept.every(({ received_at }) => times.has((received_at as Date).getTime())),
    'received when they arrived',
  );
  t.ok(Number((await sql('SELECT count(*) AS n FROM recounts'))[0]!.n) > 0, 'their hours are counted again');
});

t.test('a second promotion does nothing; the forged ones can be deleted', async (t) => {
  t.match(await promote('stripe'), { code: 1, stdout: 'promoted 0, already there 0, still wrong 10\n' });
  t.match(await promote('github'), { code: 1, stderr: 'nothing of github is in quarantine\n' });
  t.equal(await eventsThere(), eventCount);
  t.match(await cli.inside(['quarantine', 'delete', 'stripe', '--yes']), {
    code: 0,
    stdout: '10 requests deleted\n',
  });
  t.match(await cli.inside(['quarantine']), { code: 0, stdout: 'nothing is in quarantine\n' });
});

t.test('their handlers run, each once', async () => {
  await sql('CREATE TABLE effects (source text, id text)');
  mkdirSync(`${cli.folder}/handlers`);
  writeFileSync(
    `${cli.folder}/handlers/index.js`,
    `export default [{ provider: '*', topic: '*', async handle({ event, tx }) {
      await tx.query('INSERT INTO effects VALUES ($1, $2)', [event.source, event.id]);
    } }];`,
  );
  startProcess(t, ['worker'], { env: { ...fixed, ...mended }, cwd: cli.folder });
  await waitFor(
    async () =>
      (await sql(`SELECT count(*)::int AS n FROM webhook_events WHERE status = 'PROCESSED'`))[0]!.n ===
      eventCount,
    { what: 'the handlers' },
  );
  const [effects] = await sql(
    'SELECT count(*)::int AS n, count(DISTINCT (source, id))::int AS ids FROM effects',
  );
  t.same(effects, { n: eventCount, ids: eventCount });
});
