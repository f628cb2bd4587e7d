// TLS to a real Postgres that accepts nothing else: what each `sslmode` verifies, and what a user reads when it fails.
import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import pg from 'pg';
import t from 'tap';
import { parseConfig } from '../../src/config.ts';
import { openDatabase } from '../../src/database/open-database.ts';
import { startEmbeddedPostgres } from '../../src/dev/postgres/start.ts';
import { acceptsSelfSigned } from '../../src/runtime/connection.ts';
import { databaseProblem } from '../../src/runtime/database-problem.ts';
import { atEnd } from '../support/at-end.ts';
import { createCli } from '../support/cli.ts';
import { temporaryFolder } from '../support/folders.ts';
import { captureLog } from '../support/inbox.ts';
import { waitFor } from '../support/wait.ts';

const certificate = (name: string) =>
  fileURLToPath(new URL(`../providers/certificates/${name}.pem`, import.meta.url));
/** A self-signed certificate for `localhost` and 127.0.0.1. No public CA signed this certificate. */
const own = certificate('localhost');
/** A valid self-signed certificate of another host. */
const ofOtherHost = certificate('self-signed');

const postgres = await startEmbeddedPostgres();
atEnd(t, () => postgres.stop('immediate'));
await requireTls();
const { log } = captureLog('silent');

/** From here on the server accepts only connections with TLS. */
async function requireTls(): Promise<void> {
  const { dataDir } = postgres;
  const owner = fs.statSync(dataDir);
  const give = (name: string, text: Buffer | string) => {
    const file = path.join(dataDir, name);
    fs.writeFileSync(file, text, { mode: 0o600 });
    fs.chownSync(file, owner.uid, owner.gid);
  };
  give('own.pem', fs.readFileSync(own));
  give('other.pem', fs.readFileSync(ofOtherHost));
  give('key.pem', fs.readFileSync(certificate('signer-key')));
  give('pg_hba.conf', 'hostssl all all 127.0.0.1/32 scram-sha-256\n');
  await admin({ ssl: 'on', ssl_key_file: 'key.pem', ssl_cert_file: 'own.pem' }, postgres.url);
  await waitFor(async () => !(await encryptionOf('sslmode=disable').catch(() => undefined)), {
    what: 'the server to require TLS',
  });
}

async function admin(settings: Record<string, string>, url = `${postgres.url}?sslmode=no-verify`) {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  for (const [name, value] of Object.entries(settings))
    await client.query(`ALTER SYSTEM SET ${name} = '${value}'`);
  await client.query('SELECT pg_reload_conf()');
  await client.end();
}

/** `TLSv1.3` or `plain`, as the server sees our own connection. */
async function encryptionOf(
  parameters: string,
  env: { DYNO: string | undefined } = { DYNO: undefined },
  host = '127.0.0.1',
): Promise<string> {
  const databaseUrl = `${postgres.url.replace('127.0.0.1', host)}${parameters && `?${parameters}`}`;
  const database = openDatabase({
    url: databaseUrl,
    acceptSelfSigned: acceptsSelfSigned(env, databaseUrl),
    applicationName: 'postbell test',
    maxConnections: 1,
    connectTimeoutMs: 60_000,
    timeoutMs: 60_000,
    log,
  });
  try {
    const { rows } = await database.query<{ encryption: string }>(
      `SELECT coalesce(version, 'plain') AS encryption FROM pg_stat_ssl WHERE pid = pg_backend_pid()`,
    );
    return rows[0]!.encryption;
  } finally {
    await database.close();
  }
}

async function problemOf(...connection: Parameters<typeof encryptionOf>) {
  const error = await encryptionOf(...connection).then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  return databaseProblem(error);
}

t.test('without sslmode nothing is encrypted, and the remedy names the mode', async (t) => {
  for (const parameters of ['', 'sslmode=disable']) {
    t.match(await problemOf(parameters), { message: /28000/, remedy: /sslmode=verify-full in DATABASE_URL/ });
  }
});

t.test('sslmode=no-verify encrypts, whatever the certificate says', async (t) => {
  t.equal(await encryptionOf('sslmode=no-verify'), 'TLSv1.3');
});

t.test(
  'every other mode verifies the certificate in full: the remedy names sslmode and sslrootcert',
  async (t) => {
    for (const mode of ['prefer', 'require', 'verify-ca', 'verify-full']) {
      t.match(
        await problemOf(`sslmode=${mode}`),
        {
          message: /its certificate is not trusted \(DEPTH_ZERO_SELF_SIGNED_CERT\)/,
          remedy: /sslmode=verify-full&sslrootcert=<file of your platform's CA>.*sslmode=no-verify/,
        },
        mode,
      );
    }
  },
);

t.test('with the CA in sslrootcert every mode connects, by name and by address', async (t) => {
  for (const mode of ['require', 'verify-ca', 'verify-full']) {
    t.equal(await encryptionOf(`sslmode=${mode}&sslrootcert=${own}`), 'TLSv1.3', mode);
  }
  t.equal(await encryptionOf(`sslrootcert=${own}`), 'TLSv1.3', 'sslrootcert alone is enough');
  t.equal(await encryptionOf(`sslmode=verify-full&sslrootcert=${own}`, undefined, 'localhost'), 'TLSv1.3');
});

t.test('another CA than the server has is not trusted', async (t) => {
  const wrong = `sslmode=verify-full&sslrootcert=${certificate('root')}`;
  t.match(await problemOf(wrong), { message: /not trusted/ });
});

t.test('on a Heroku dyno a URL without sslmode and sslrootcert is encrypted and not verified', async (t) => {
  const DYNO = 'web.1';
  t.equal(await encryptionOf('', { DYNO }), 'TLSv1.3');
  t.match(await problemOf('sslmode=verify-full', { DYNO }), { message: /not trusted/ });
  t.match(await problemOf('sslmode=disable', { DYNO }), { message: /28000/ });
  t.match(await problemOf(`sslrootcert=${certificate('root')}`, { DYNO }), { message: /not trusted/ });
  t.equal(await encryptionOf(`sslrootcert=${own}`, { DYNO }), 'TLSv1.3');
});

t.test('doctor prints the remedy for an untrusted certificate', async (t) => {
  const cli = createCli(t, { DATABASE_URL: `${postgres.url}?sslmode=verify-full` });
  const { code, stdout } = await cli.inside(['doctor']);
  t.equal(code, 1);
  t.match(stdout, /its certificate is not trusted/);
  t.match(stdout, /sslrootcert=<file/);
});

t.test('a certificate of another host is not accepted, even from a trusted CA', async (t) => {
  await admin({ ssl_cert_file: 'other.pem' });
  atEnd(t, async () => {
    await admin({ ssl_cert_file: 'own.pem' });
    await servedCertificate(own);
  });
  await servedCertificate(ofOtherHost);
  t.match(await problemOf(`sslmode=verify-full&sslrootcert=${ofOtherHost}`), {
    message: /another host name .*ERR_TLS_CERT_ALTNAME_INVALID/,
    remedy: /use the host name of the certificate/,
  });
  t.equal(await encryptionOf('sslmode=no-verify'), 'TLSv1.3');
});

/** Waits until new connections get this certificate: then it is trusted as its own CA. */
async function servedCertificate(file: string): Promise<void> {
  const isServed = async () => !/not trusted/.test((await problemOf(`sslrootcert=${file}`))?.message ?? '');
  await waitFor(isServed, { what: `the server to serve ${file}` });
}

t.test('a file that is missing at the start is a problem of the configuration', async (t) => {
  for (const name of ['sslrootcert', 'sslcert', 'sslkey']) {
    const { problems } = parseConfig({ DATABASE_URL: `${postgres.url}?${name}=/no/such.pem` });
    t.same(problems, [
      `DATABASE_URL names a file in ${name} that cannot be read (ENOENT); give the path of a readable file`,
    ]);
  }
  const { problems } = parseConfig({ DATABASE_URL: `${postgres.url}?sslrootcert=system` });
  t.match(problems, [/leave it out/]);
  t.same(parseConfig({ DATABASE_URL: `${postgres.url}?sslrootcert=${own}` }).problems, []);
});

t.test('while the file of the CA is missing later, queries reject and LISTEN tries again', async (t) => {
  const file = path.join(temporaryFolder(t), 'ca.pem');
  const { log, logs } = captureLog();
  const url = `${postgres.url}?sslmode=verify-full&sslrootcert=${file}`;
  const database = openDatabase({ url, applicationName: 'postbell test', maxConnections: 1, log });
  const listener = database.listen('a_channel', () => {});
  atEnd(t, async () => {
    await listener.close();
    await database.close();
  });
  await t.rejects(database.query('SELECT 1'), { code: 'ENOENT' });
  await t.rejects(
    database.transaction(async () => {}),
    { name: 'ConnectionLostError', cause: { code: 'ENOENT' } },
  );
  await t.rejects(
    database.withClient(async () => {}),
    { code: 'ENOENT' },
  );
  t.equal(listener.isListening(), false);
  fs.copyFileSync(own, file);
  await waitFor(() => listener.isListening(), { what: 'the next try of LISTEN' });
  t.same(logs, [], 'no connection was lost that had been there');
});
