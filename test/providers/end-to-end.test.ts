// Every provider of the registry through the real route: `keys` makes its secret, `send` signs, `web` stores rows.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseEnv } from 'node:util';
import t from 'tap';
import {
  acceptedAnswerOf,
  answerHandshake,
  asDelivery,
  type OutgoingRequest,
  type Provider,
  providers,
  readDrafts,
  type Source,
  signDelivery,
} from '../../src/providers/index.ts';
import { parseSources, variableOf } from '../../src/providers/sources.ts';
import { deliver } from '../../src/terminal/deliver.ts';
import { createCli } from '../support/cli.ts';
import { createTestDatabase } from '../support/database.ts';
import { openSession } from '../support/inbox.ts';
import { startProcess } from '../support/processes.ts';

interface Endpoint {
  name: string;
  provider: Provider;
  variable: string;
  /** Set where it signs with a pair. */
  privateKeyFile?: string;
}

const { url } = await createTestDatabase(t);
const sql = await openSession(t, url);
const cli = createCli(t);
const { env, endpoints } = await configureAll();
const { sources, problems } = parseSources(env);
// In the middle of a rotation: the provider still signs with the older one, which must also key its handshakes.
const rotated = Object.fromEntries(
  endpoints.map(({ variable, provider }) => [
    variable,
    `${provider.secret.generate().secret},${env[variable]}`,
  ]),
);
const web = startProcess(t, ['web'], {
  env: { ...env, ...rotated, DATABASE_URL: url, PORT: '0', HOST: '127.0.0.1', STORE_RAW_BODY: 'true' },
});
const webUrl = String((await web.waitForLog(({ msg }) => msg === 'listening')).address);
await web.waitForLog(({ msg }) => msg === 'ready');

t.test('the secrets that `keys` makes turn every provider on', (t) => {
  t.same(problems, []);
  t.same([...sources.keys()].sort(), endpoints.map(({ name }) => name).sort());
  t.ok(endpoints.length >= Object.keys(providers).length);
  t.end();
});

for (const { name, provider, privateKeyFile } of endpoints)
  t.test(name, async (t) => {
    const source = sources.get(name)!;
    const privateKey = privateKeyFile && readFileSync(join(cli.folder, privateKeyFile), 'utf8');
    for (const key of Object.keys(provider.samples)) {
      const topic = key === '*' ? 'bell.rung' : key;
      const request = signedBy(source, topic, privateKey);
      const delivery = asDelivery(request, new Date());
      const answer = await deliver(request);
      const handshake = answerHandshake(source, delivery, 'verified', 0);
      const events = handshake ? [] : readDrafts(source, delivery);
      const expected = handshake ?? acceptedAnswerOf(provider, delivery, events);
      t.equal(answer.status, expected?.status ?? 200, `${topic}: ${answer.body}`);
      t.equal(answer.body, expected ? expected.body : '{"ok":true,"duplicate":false}', topic);
      const ids = events.map(({ eventId }) => eventId).sort();
      const stored = await storedIds(name, topic);
      // An id that holds the time of arrival is the other process's to make.
      if (provider.events.idPerDelivery) t.equal(stored.length, ids.length, `rows of ${topic}`);
      else t.same(stored, ids, `rows of ${topic}`);
    }

    const named = Object.keys(provider.samples).find((key) => key !== '*') ?? 'bell.rung';
    const forgedTopic = '*' in provider.samples ? 'forged' : named;
    const before = await storedIds(name, forgedTopic);
    const forged = await deliver(forgedFor(source, forgedTopic));
    t.equal(forged.status, 401, 'signed with another secret');
    t.match(JSON.parse(forged.body), { error: 'invalid_signature', requestId: String });
    t.same(await storedIds(name, forgedTopic), before, 'and nothing of it is stored');

    const pair = privateKeyFile ? ['--private-key', privateKeyFile] : [];
    const stored = await countStored(name);
    const sent = await cli.inside(['send', name, named, '--count', '2', '--json', '--url', webUrl, ...pair], {
      env,
    });
    t.match(sent, { code: 0 }, 'postbell send');
    const documents = sent.documents();
    t.match(documents, [
      { source: name, status: Number },
      { source: name, status: Number },
    ]);
    const ids = new Set(documents.map(({ eventId }) => eventId));
    t.equal(ids.size, ids.has(null) ? 1 : 2, 'two ids, unless the receiver makes them');
    t.ok((await countStored(name)) >= stored + 2, 'two events');
  });

t.test('no secret is in any row or in the log', async (t) => {
  const rows = await sql(
    `SELECT source, event_id, topic, payload::text AS payload, headers::text AS headers, raw_body FROM webhook_events`,
  );
  t.ok(rows.length > endpoints.length);
  const log = web.output();
  for (const { name, variable, provider } of endpoints) {
    // `v1,` in front of Supabase's is the version of the scheme.
    const secrets = (rotated[variable] ?? '')
      .split(/(?<!v1),/)
      .map(withoutVersion)
      .flatMap(textsOf);
    // What is no secret says so: a webhook's id, a topic's name, a public key.
    if (/no secret|public key/i.test(`${provider.secret.format} ${provider.secret.label}`)) continue;
    for (const row of rows.filter(({ source }) => source === name)) {
      const text = [row.event_id, row.topic, row.payload, row.headers, row.raw_body].map(String).join('\n');
      for (const secret of secrets) t.notOk(text.includes(secret), `${name} ${row.topic}`);
    }
    for (const secret of secrets) t.notOk(log.includes(secret), `${name} in the log`);
  }
});

const withoutVersion = (secret: string) => secret.replace(/^v1,/, '');

/** A secret, the later half of a pair, and both as basic auth has them. */
function textsOf(secret: string): string[] {
  return [secret, secret.slice(secret.indexOf(':') + 1), Buffer.from(secret).toString('base64')];
}

/** A secret for each provider, as a newcomer gets it; those that variables describe get a name of their own. */
async function configureAll(): Promise<{ env: Record<string, string>; endpoints: Endpoint[] }> {
  const env: Record<string, string> = {
    PUBLIC_URL: 'https://shop.example.com',
    ACME_GENERIC_HEADER: 'x-acme-signature',
  };
  const endpoints: Endpoint[] = [];
  const named: string[] = [];
  for (const provider of Object.values<Provider>(providers)) {
    const name = provider.configure ? `acme-${provider.name}` : provider.name;
    const privateKeyFile = `${name}.pem`;
    const args = ['keys', provider.name, '--source', name];
    const made = await cli.inside(args);
    const isPair = made.stderr.includes('--private-key <file>');
    const { code, stdout, stderr } = isPair
      ? await cli.inside([...args, '--private-key', privateKeyFile])
      : made;
    if (code !== 0) throw new Error(`postbell keys ${provider.name}: ${stderr}`);
    const { POSTBELL_SOURCES, ...variables } = parseEnv(stdout) as Record<string, string>;
    if (POSTBELL_SOURCES) named.push(POSTBELL_SOURCES);
    Object.assign(env, variables);
    endpoints.push({
      name,
      provider,
      variable: `${variableOf(name)}_WEBHOOK_SECRET`,
      ...(isPair ? { privateKeyFile } : {}),
    });
  }
  return { env: { ...env, POSTBELL_SOURCES: named.join(',') }, endpoints };
}

function signedBy(source: Source, topic: string, privateKey: string | undefined): OutgoingRequest {
  return signDelivery(source, {
    topic,
    now: new Date(),
    url: `${webUrl}/api/webhooks/${source.name}`,
    ...(privateKey === undefined ? {} : { privateKey }),
  });
}

/** As the provider would send it, but with a key that is not ours. */
function forgedFor(source: Source, topic: string): OutgoingRequest {
  const { secret, privateKey } = source.provider.secret.generate();
  return signedBy({ ...source, secrets: [secret] }, topic, privateKey);
}

async function countStored(source: string): Promise<number> {
  const [row] = await sql('SELECT count(*)::int AS count FROM webhook_events WHERE source = $1', [source]);
  return Number(row!.count);
}

async function storedIds(source: string, topic: string): Promise<unknown[]> {
  const rows = await sql(
    `SELECT event_id FROM webhook_events
     WHERE source = $1 AND topic = $2 AND payload IS NOT NULL AND job_id IS NOT NULL ORDER BY event_id COLLATE "C"`,
    [source, topic],
  );
  return rows.map((row) => row.event_id);
}
