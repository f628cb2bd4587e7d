// Secrets as people mispaste them: each provider refuses what cannot be one, and says so without repeating it.
import { generateKeyPairSync } from 'node:crypto';
import t from 'tap';
import { type Provider, providers } from '../../src/providers/index.ts';
import { parseSources, variableOf } from '../../src/providers/sources.ts';
import { runProcess } from '../support/processes.ts';

const pairs = [
  generateKeyPairSync('rsa', { modulusLength: 2048 }),
  generateKeyPairSync('ed25519'),
  generateKeyPairSync('ec', { namedCurve: 'prime256v1' }),
  generateKeyPairSync('ec', { namedCurve: 'secp521r1' }),
];
const wrong: Record<string, string> = {
  nothing: '',
  blanks: '   ',
  'a few letters': 'secret',
  quotes: '"0123456789abcdef0123456789abcdef"',
  'a line break': '0123456789abcdef\n0123456789abcdef',
  'a URL': 'https://shop.example.com/api/webhooks/it',
  'an ellipsis': 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw…',
  'a placeholder': '<paste the signing secret here>',
  'one letter over and over': 'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx',
  'the same behind a prefix': 'whsec_xxxxxxxxxxxxxxxxxxxxxxxxxxx',
  'a PEM that is none': '-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----',
  ...Object.fromEntries(
    pairs.map(({ privateKey }, n) => [
      `a private key, ${n}`,
      privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
    ]),
  ),
};

for (const provider of Object.values<Provider>(providers))
  t.test(`${provider.name}: ${provider.secret.format}`, (t) => {
    for (const [what, secret] of Object.entries(wrong)) {
      // An ID that is no secret may look like anything of its alphabet.
      if (what.startsWith('one letter') && provider.secret.format.includes('no secret')) continue;
      const problem = provider.secret.check(secret);
      t.type(problem, 'string', `refuses ${what}`);
      t.ok(secret.length < 7 || !problem?.includes(secret), `does not repeat ${what}`);
    }
    for (const { secret } of [provider.secret.generate(), provider.secret.generate()])
      t.equal(provider.secret.check(secret), undefined, 'accepts what it makes');
    const own = provider.secret.generate().secret;
    if (/^whsec_… of base64/.test(provider.secret.format)) {
      t.match(provider.secret.check('whsec_not base64 at all'), /base64/);
      t.match(provider.secret.check('whsec_YWJj'), /shorter than/);
    }
    const prefix = /^[a-z_]{3,}_(?=….*used as text)/.exec(provider.secret.format)?.[0];
    if (prefix && provider.secret.check(own.slice(prefix.length)) !== undefined)
      t.match(provider.secret.check(own.slice(prefix.length)), new RegExp(`begin with ${prefix}`));
    t.end();
  });

t.test('one wrong secret among several is told by its place, for every provider', (t) => {
  for (const provider of Object.values<Provider>(providers)) {
    if (provider.configure) continue;
    const variable = `${variableOf(provider.name)}_WEBHOOK_SECRET`;
    const { secret } = provider.secret.generate();
    if (secret.includes(',')) continue;
    const env = { PUBLIC_URL: 'https://shop.example.com', [variable]: `${secret},wrong` };
    const { problems, sources } = parseSources(env);
    t.match(problems, [new RegExp(`^${variable}, item 2, `)], provider.name);
    t.notOk(sources.has(provider.name));
  }
  t.end();
});

t.test('web does not start with secrets of the wrong shape, and names all of them at once', async (t) => {
  const { code, stdout, stderr } = await runProcess(['web'], {
    env: {
      DATABASE_URL: 'postgres://127.0.0.1:1/x',
      SVIX_WEBHOOK_SECRET: 'whsec_not base64 at all',
      DISCORD_WEBHOOK_SECRET: wrong['a private key, 1'] ?? '',
      ADYEN_WEBHOOK_SECRET: 'no hexadecimal digits',
      GITHUB_WEBHOOK_SECRET: 'short',
    },
  });
  t.equal(code, 78);
  t.match(stderr, /^SVIX_WEBHOOK_SECRET is not whsec_… followed by base64; copy it again$/m);
  t.match(stderr, /^DISCORD_WEBHOOK_SECRET is a private key; give the public key/m);
  t.match(stderr, /^ADYEN_WEBHOOK_SECRET is not hexadecimal/m);
  t.match(stderr, /^GITHUB_WEBHOOK_SECRET is shorter than 16 bytes/m);
  t.notMatch(stdout + stderr, /not base64 at all|BEGIN|no hexadecimal digits/);
});

t.test('the comma in v1,whsec_… is part of the secret, also among several', (t) => {
  const { secret } = providers.supabase.secret.generate();
  const bare = providers.supabase.secret.generate().secret.slice('v1,'.length);
  const read = (text: string) => {
    const { sources, problems } = parseSources({ SUPABASE_WEBHOOK_SECRET: text });
    return { secrets: sources.get('supabase')?.secrets, problems };
  };
  t.match(secret, /^v1,whsec_/);
  t.strictSame(read(secret), { secrets: [secret], problems: [] });
  t.strictSame(read(`${secret}, ${secret},${bare}`), { secrets: [secret, secret, bare], problems: [] });
  t.equal(read(`${secret},whsec_short`).problems.length, 1);
  t.end();
});
