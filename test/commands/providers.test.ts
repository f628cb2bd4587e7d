// `providers` and `keys`: what is known of each provider, and secrets to try it with.
import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { findProvider, type Provider, providers } from '../../src/providers/index.ts';
import { createCli } from '../support/cli.ts';

const cli = createCli(t);
const all = Object.values<Provider>(providers);

t.test('providers lists all of the registry, with what one must know to set it up', async (t) => {
  const { code, stdout } = await cli(['providers']);
  t.equal(code, 0);
  const lines = stdout.trimEnd().split('\n');
  t.equal(lines.length, all.length + 1);
  t.same(
    lines.filter((line) => line.length > 80),
    [],
    'no line is longer than a usual terminal',
  );
  for (const { name } of all)
    t.ok(
      lines.some((line) => line.startsWith(`${name} `)),
      `${name} is whole`,
    );
  const json = await cli.inside(['providers', '--json']);
  t.same(
    json.documents().map(({ name }) => name),
    all.map(({ name }) => name),
  );
  for (const document of json.documents()) {
    t.ok(Array.isArray(document.handshakes));
    for (const key of [
      'scheme',
      'eventId',
      'retries',
      'secretVariable',
      'secretLabel',
      'secretFormat',
      'secretWhere',
    ])
      t.ok(document[key], `${document.name} ${key}`);
  }
});

t.test('one provider is told with its sample topics; a name that is none is refused', async (t) => {
  const { stdout } = await cli.inside(['providers', 'standard-webhooks']);
  t.match(stdout, /^variable +STANDARD_WEBHOOKS_WEBHOOK_SECRET$/m);
  t.match(
    (await cli.inside(['providers', 'stripe'])).stdout,
    /^samples .*payment_intent\.succeeded, .*any other$/m,
  );
  t.match(await cli.inside(['providers', 'strpe']), {
    code: 1,
    stderr: 'there is no provider "strpe"; did you mean stripe?',
  });
  t.match(await cli.inside(['providers', 'constructor']), {
    code: 1,
    stderr: 'there is no provider "constructor"',
  });
});

t.test('keys prints a line for .env that turns the source on', async (t) => {
  const { code, stdout } = await cli(['keys', 'stripe']);
  t.equal(code, 0);
  writeFileSync(join(cli.folder, '.env'), stdout);
  t.match(await cli(['send', 'stripe', 'x', '--url', 'http://127.0.0.1:1']), {
    code: 1,
    stderr: 'nothing listens',
  });
  const named = await cli.inside(['keys', 'svix', '--source', 'svix-eu']);
  t.match(named.stdout, /^POSTBELL_SOURCES=svix-eu=svix\nSVIX_EU_WEBHOOK_SECRET=whsec_\S+$/m);
  t.match(await cli.inside(['keys', 'svix', '--source', 'Svix EU']), { code: 1, stderr: 'a-z, 0-9 and -' });
  t.match(await cli.inside(['keys', 'nobody']), { code: 1, stderr: 'there is no provider "nobody"' });
});

t.test('keys of each provider are what the provider wants', async (t) => {
  const { documents } = await cli.inside(['keys', 'standard-webhooks', '--json']);
  const [{ secret, variable, privateKey }] = documents() as [Record<string, string | null>];
  t.equal(findProvider('standard-webhooks')?.secret.check(String(secret)), undefined);
  t.equal(variable, 'STANDARD_WEBHOOKS_WEBHOOK_SECRET');
  t.equal(privateKey, null);
});

const pair = all.find(({ secret }) => secret.generate().privateKey !== undefined);

t.test('the private half of a pair goes into a file that only its owner reads', async (t) => {
  if (!pair) return t.comment('no provider signs with a key pair yet');
  t.match(await cli.inside(['keys', pair.name]), { code: 1, stderr: '--private-key <file>' });
  const { code, stdout } = await cli.inside(['keys', pair.name, '--private-key', 'private.pem']);
  t.equal(code, 0);
  t.notMatch(stdout, 'PRIVATE KEY');
  const file = join(cli.folder, 'private.pem');
  t.match(readFileSync(file, 'utf8'), 'PRIVATE KEY');
  t.equal(statSync(file).mode & 0o777, 0o600);
  t.match(await cli.inside(['keys', pair.name, '--private-key', 'private.pem']), {
    code: 1,
    stderr: 'EEXIST',
  });
});
