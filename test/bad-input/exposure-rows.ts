// B80 to B83: what the internet sees, where we go out ourselves, what leaks, what is installed.
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { fetchText } from '../../src/providers/schemes/fetch-text.ts';
import { createCli } from '../support/cli.ts';
import { temporaryFolder } from '../support/folders.ts';
import { NotRun } from '../support/impossibilities.ts';
import { freePort } from '../support/ports.ts';
import type { BadInput } from './rows.ts';
import { bodyCanary, canaries, metricsToken, sourceEnvironment, stripeBody } from './senders.ts';
import { sourceFiles } from './source-files.ts';
import { placesOfLeaks } from './stage.ts';
import { audit, installWithoutScripts, manifest, productionPackages } from './supply-chain.ts';

const permissive = /^\(?(MIT|ISC|BSD-[023]-Clause|Apache-2\.0|0BSD|BlueOak-1\.0\.0|CC0-1\.0)\b/;

/** A team has these itself: one copy serves both, and the team's fixes reach Postbell. The lockfile pins them, too. */
const inRange = ['@opentelemetry/api', 'pg', 'pino', 'zod'];

export const exposureRows: readonly BadInput[] = [
  {
    id: 'B80',
    title: '/metrics, /healthz and /readyz from the internet',
    begin: (stage) =>
      stage.newWeb({ DATABASE_URL: 'postgres://x:y@127.0.0.1:1/z', METRICS_TOKEN: '' }, { isReady: false }),
    check: async (t, stage, begun) => {
      const get = (path: string, authorization?: string) =>
        stage.send({
          method: 'GET',
          path,
          framing: 'none',
          headers: authorization === undefined ? [] : [['authorization', authorization]],
        });
      for (const authorization of [
        undefined,
        '',
        'Bearer',
        'Bearer ',
        `Bearer ${metricsToken.slice(0, -1)}`,
        `Bearer ${metricsToken}x`,
        `bearer ${metricsToken}`,
        `Bearer ${'x'.repeat(10_000)}`,
        'Basic x',
        `Basic ${Buffer.from(`a:${metricsToken}`).toString('base64')}`,
        'Basic \xff',
        `Bearer ${'é'.repeat(metricsToken.length)}`,
      ])
        t.match(
          await get('/metrics', authorization),
          { status: 401, body: /unauthorized/ },
          String(authorization).slice(0, 20),
        );
      t.equal((await get(`/metrics?token=${metricsToken}`)).status, 401, 'not in the URL');
      for (const path of ['/healthz', '/readyz'])
        t.match(await get(path), { status: 200, body: '{"status":"ok"}' });
      for (const path of ['/healthz', '/readyz', '/metrics'])
        t.match(await stage.send({ method: 'POST', path }), { status: 404 }, `POST ${path}`);
      const { port } = begun as { port: number };
      const away = async (path: string) =>
        (await stage.exchange(`GET ${path} HTTP/1.1\r\nHost: a\r\n\r\n`, { port, answers: 1 })).answers[0];
      t.match(await away('/healthz'), { status: 200, body: '{"status":"ok"}' }, 'without a database');
      t.match(await away('/readyz'), { status: 503, body: '{"status":"unavailable"}' });
      t.equal((await away('/metrics'))?.status, 404, 'no token, no metrics');
      const short = await createCli(t, { DATABASE_URL: 'postgres://a/b' }).inside(['web'], {
        env: { METRICS_TOKEN: 'short' },
      });
      t.match(short, { code: 78, stderr: /METRICS_TOKEN must have at least 16 characters/ });
    },
  },
  {
    id: 'B81',
    title: 'addresses named by a sender, and redirects in answers to our requests',
    check: async (t, stage) => {
      // That it follows no redirect and is bounded in bytes and time is shown in test/providers/fetch-text.test.ts.
      for (const url of [
        'http://127.0.0.1',
        'file:///etc/passwd',
        'HTTPS://127.0.0.1',
        'ftp://a',
        '//127.0.0.1',
        '',
      ])
        await t.rejects(fetchText(url), { message: 'only https:// URLs are fetched' }, url);
      // Not a method of that name, nor its declaration.
      const callers = sourceFiles().filter(
        ({ name, text }) => /(?<![.\w])fetch\((?!limit: )/.test(text) && !/^(commands|demo)\//.test(name),
      );
      t.same(
        callers.map(({ name }) => name),
        ['providers/schemes/fetch-text.ts'],
        'the one place from where we ask',
      );
      const port = await freePort();
      const inner = startListener(port);
      for (const host of [
        '169.254.169.254',
        `127.0.0.1:${port}`,
        `[::ffff:127.0.0.1]:${port}`,
        `0x7f.1:${port}`,
        `sns.us-east-1.amazonaws.com@127.0.0.1:${port}`,
        `sns.us-east-1.amazonaws.com.127.0.0.1.nip.io`,
      ])
        for (const scheme of ['http', 'https', 'file']) {
          const url = `${scheme}://${host}/SimpleNotificationService-${'a'.repeat(32)}.pem`;
          const message = {
            Type: 'SubscriptionConfirmation',
            MessageId: 'm',
            TopicArn: sourceEnvironment.AWS_SNS_WEBHOOK_SECRET,
            Message: 'x',
            Timestamp: new Date().toISOString(),
            Token: 't',
            SubscribeURL: url,
            SignatureVersion: '2',
            Signature: 'AAAA',
            SigningCertURL: url,
          };
          const { status } = await stage.send({
            path: '/api/webhooks/aws-sns',
            body: JSON.stringify(message),
          });
          t.equal(status, 401, url);
        }
      t.equal(await inner.close(), 0, 'nothing was reached that must not be');
    },
  },
  {
    id: 'B82',
    title: 'canaries of this whole run: in no log, metric, error, other table, help text or argument list',
    check: async (t, stage) => {
      const cli = createCli(t, {
        ...sourceEnvironment,
        METRICS_TOKEN: metricsToken,
        DATABASE_URL: stage.databaseUrl,
      });
      await stage.deliver('stripe', { body: stripeBody().body });
      let printed = '';
      for (const args of [
        ['doctor'],
        ['doctor', '--json'],
        ['status'],
        ['events'],
        ['--help'],
        ['web', '--help'],
        ['providers'],
      ]) {
        const { stdout, stderr } = await cli.inside(args);
        printed += stdout + stderr;
      }
      const argv = [stage.web.pid, stage.worker.pid].map((pid) => {
        const file = `/proc/${pid}/cmdline`;
        return existsSync(file) ? readFileSync(file, 'utf8') : '';
      });
      const places = [
        ...(await placesOfLeaks(stage)),
        ['what commands print', printed],
        ['argv', argv.join('\n')],
      ];
      for (const [place, text = ''] of places)
        for (const canary of canaries) t.notOk(text.includes(canary), `${canary} is not in ${place}`);
      t.notMatch(await stage.metrics(), /<script|xxxx|odd\.body/, 'no topic is a label of a metric');
      t.ok(
        places.every(([place, text]) => place === 'argv' || text),
        'there was something to look at everywhere',
      );
      const { rows } = await stage.pool.query('SELECT FROM webhook_events WHERE payload::text LIKE $1', [
        `%${bodyCanary}%`,
      ]);
      t.ok(rows.length > 0, `the canary did go through: it is in the payload of ${rows.length} events`);
    },
  },
  {
    id: 'B83',
    title: 'installed packages: audit, licences, install scripts, number',
    begin: () => audit(),
    check: async (t, stage, begun) => {
      const packages = productionPackages();
      t.ok(packages.length > 20);
      t.ok(Object.keys(manifest.dependencies).length <= 10, 'direct dependencies');
      for (const [name, version] of Object.entries(manifest.dependencies))
        t.match(version, inRange.includes(name) ? /^\^\d+\.\d+\.\d+$/ : /^\d+\.\d+\.\d+$/, name);
      t.same(
        packages.filter(({ license = '' }) => !permissive.test(license)),
        [],
        'licences',
      );
      t.same(
        packages.filter(({ hasInstallScript }) => hasInstallScript),
        [],
        'none runs a script when it is installed',
      );
      t.same(
        packages.filter(({ integrity }) => !integrity),
        [],
        'each with its checksum',
      );
      const folder = temporaryFolder(t);
      t.match(
        JSON.parse(await installWithoutScripts(folder, stage.databaseUrl)),
        { sources: Array },
        'npm ci --ignore-scripts',
      );
      const audited = begun as Awaited<ReturnType<typeof audit>>;
      if (!audited.isAnswered) throw new NotRun('B83', `${audited.why}; all else passed`);
      t.equal(audited.severe, 0, 'npm audit');
    },
  },
];

/** Counts the connections made to it. */
function startListener(port: number): { close(): Promise<number> } {
  let count = 0;
  const server = createServer((socket) => {
    count++;
    socket.destroy();
  }).listen(port, '127.0.0.1');
  return {
    close: async () => {
      server.close();
      await once(server, 'close');
      return count;
    },
  };
}
