// The parts of DATABASE_URL that neither `new URL` nor `pg` reads: several hosts, as in libpq's URLs.
import pg from 'pg';
import t from 'tap';
import { hostsOf, problemOfDatabaseUrl, withDatabaseName } from '../src/database-url.ts';

const two = 'postgres://shop:p%40ss,w@a.example:5432,b.example:5433/inbox?target_session_attrs=read-write';

t.test('a URL of several hosts becomes one URL per host', async (t) => {
  t.same(hostsOf(two), {
    urls: [
      'postgres://shop:p%40ss,w@a.example:5432/inbox?target_session_attrs=read-write',
      'postgres://shop:p%40ss,w@b.example:5433/inbox?target_session_attrs=read-write',
    ],
    needsWritable: true,
  });
  const { host, port, user, password, database } = new pg.Client(hostsOf(two).urls[1]!);
  t.same(
    { host, port, user, password, database },
    { host: 'b.example', port: 5433, user: 'shop', password: 'p@ss,w', database: 'inbox' },
  );
});

t.test('ports, user, database and parameters may be missing; addresses may be of IPv6', async (t) => {
  t.same(hostsOf('postgresql://a,b').urls, ['postgresql://a', 'postgresql://b']);
  t.same(hostsOf('postgres://[::1]:5432,[::2]/x').urls, ['postgres://[::1]:5432/x', 'postgres://[::2]/x']);
  t.equal(hostsOf('postgres://a,b/x').needsWritable, false);
  t.equal(hostsOf('postgres://a,b/x?target_session_attrs=any').needsWritable, false);
  t.equal(hostsOf('postgres://a,b/x?target_session_attrs=primary').needsWritable, true);
});

t.test('a URL of one host stays as it is', async (t) => {
  for (const url of [
    'postgres://u:p,q@h/x?target_session_attrs=read-write',
    'postgres:///x',
    'postgres://h?a=b,c',
  ])
    t.same(hostsOf(url), { urls: [url], needsWritable: false });
});

t.test('the name of the database is replaced, whatever is around it', async (t) => {
  t.equal(withDatabaseName('postgres://u:p@a:1,b:2/x?y=/z', 'n'), 'postgres://u:p@a:1,b:2/n?y=/z');
  t.equal(withDatabaseName('postgres://a', 'n'), 'postgres://a/n');
  t.equal(withDatabaseName('postgres://a?y=z', 'n'), 'postgres://a/n?y=z');
});

t.test('a wrong host or an unknown target_session_attrs is named, without parts of a password', async (t) => {
  t.equal(problemOfDatabaseUrl(two), undefined);
  t.equal(problemOfDatabaseUrl('postgres://[::1]:5432,b/x'), undefined);
  for (const host of ['', 'b:port', 'b:1:2', 'b c']) {
    t.equal(
      problemOfDatabaseUrl(`postgres://a,${host}/x`),
      'names 2 hosts; number 2 must look like host:5432',
    );
  }
  t.notMatch(problemOfDatabaseUrl('postgres://u:secret,word/1@h/x'), /secret|word/);
  for (const value of ['standby', 'read-only', 'prefer-standby', '', 'x']) {
    t.match(
      problemOfDatabaseUrl(`postgres://a,b/x?target_session_attrs=${value}`),
      /read-write, primary or any/,
    );
  }
  t.equal(problemOfDatabaseUrl('postgres://a/x?target_session_attrs=x'), undefined, 'one host: unchanged');
});
