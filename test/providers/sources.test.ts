// The environment's sources: what is on, and every mistake with its remedy and never with its secret.
import t from 'tap';
import { parseSources, variableOf } from '../../src/providers/sources.ts';

const stripeSecret = 'whsec_5f3d1c0a9b8e7f6d5c4b3a2918070605';
const shopifySecret = 'shpss_0123456789abcdef';

function problemsOf(env: Record<string, string>): string[] {
  const { problems } = parseSources(env);
  for (const value of Object.values(env))
    if (value.length > 20 && !value.includes('='))
      t.notOk(problems.join().includes(value), 'no secret is shown');
  return problems;
}

t.test('a source is on when it has a secret', (t) => {
  const { sources, problems } = parseSources({
    STRIPE_WEBHOOK_SECRET: stripeSecret,
    PATH: '/bin',
    SLACK_TOKEN: 'x',
  });
  t.strictSame(problems, []);
  t.strictSame([...sources.keys()], ['stripe']);
  t.match(sources.get('stripe'), { name: 'stripe', secrets: [stripeSecret], provider: { name: 'stripe' } });
  t.equal(sources.get('__proto__'), undefined);
  const { waiting, ...nothing } = parseSources({});
  t.strictSame(nothing, { sources: new Map(), retentionDays: new Map(), problems: [] });
  t.ok(
    waiting.has('notion') && waiting.has('stripe'),
    'every name that a provider may call waits for its secret',
  );
  t.notOk(parseSources({ NOTION_WEBHOOK_SECRET: 'secret_0123456789abcdef' }).waiting.has('notion'));
  t.end();
});

t.test('secrets are cut at commas, trimmed, and kept newest first', (t) => {
  const second = 'whsec_000000000000000000000000';
  const { sources } = parseSources({ STRIPE_WEBHOOK_SECRET: ` ${second} , ${stripeSecret}\n` });
  t.strictSame(sources.get('stripe')?.secrets, [second, stripeSecret]);
  t.end();
});

t.test('further sources are declared, and bear their own variables', (t) => {
  const { sources, problems } = parseSources({
    POSTBELL_SOURCES: 'stripe-eu=stripe, shop-2=shopify,',
    STRIPE_EU_WEBHOOK_SECRET: stripeSecret,
    SHOP_2_WEBHOOK_SECRET: shopifySecret,
    SHOP_2_VERIFY_TOKEN: ' tok ',
  });
  t.strictSame(problems, []);
  t.strictSame([...sources.keys()].toSorted(), ['shop-2', 'stripe-eu']);
  t.match(sources.get('stripe-eu'), { name: 'stripe-eu', provider: { name: 'stripe' } });
  t.match(sources.get('shop-2'), { verifyToken: 'tok' });
  t.equal(variableOf('stripe-eu'), 'STRIPE_EU');
  t.end();
});

t.test('the URL is the one typed in, or the public one plus the path', (t) => {
  const env = { STRIPE_WEBHOOK_SECRET: stripeSecret, SHOPIFY_WEBHOOK_SECRET: shopifySecret };
  const { sources } = parseSources({
    ...env,
    PUBLIC_URL: 'https://shop.example.com/',
    SHOPIFY_WEBHOOK_URL: 'https://shop.example.com:443/Old/?a=%20b',
  });
  t.equal(sources.get('stripe')?.webhookUrl, 'https://shop.example.com/api/webhooks/stripe');
  t.equal(
    sources.get('shopify')?.webhookUrl,
    'https://shop.example.com:443/Old/?a=%20b',
    'character by character',
  );
  t.equal(parseSources(env).sources.get('stripe')?.webhookUrl, undefined);
  for (const publicUrl of ['shop.example.com', 'ftp://x', 'https://x/?a=1', 'javascript:alert(1)'])
    t.match(problemsOf({ ...env, PUBLIC_URL: publicUrl }), [/^PUBLIC_URL must be/], publicUrl);
  t.match(problemsOf({ ...env, STRIPE_WEBHOOK_URL: '/hook' }), [/^STRIPE_WEBHOOK_URL must be the exact URL/]);
  t.end();
});

t.test('secrets of the wrong shape are refused, and the source is not on', (t) => {
  const wrong: [Record<string, string>, RegExp][] = [
    [{ STRIPE_WEBHOOK_SECRET: '' }, /^STRIPE_WEBHOOK_SECRET is empty/],
    [{ STRIPE_WEBHOOK_SECRET: '  ' }, /^STRIPE_WEBHOOK_SECRET is empty/],
    [{ STRIPE_WEBHOOK_SECRET: 'whsec_' }, /^STRIPE_WEBHOOK_SECRET is shorter than 16 bytes/],
    [{ STRIPE_WEBHOOK_SECRET: 'sk_live_0123456789abcdef0123' }, /does not begin with whsec_/],
    [{ STRIPE_WEBHOOK_SECRET: `"${stripeSecret}"` }, /is in quotes/],
    [
      { STRIPE_WEBHOOK_SECRET: `${stripeSecret},` },
      /^STRIPE_WEBHOOK_SECRET, item 2, is empty.*commas separate/,
    ],
    [{ STRIPE_WEBHOOK_SECRET: `${stripeSecret}\n${stripeSecret}` }, /line break/],
    [{ SVIX_WEBHOOK_SECRET: 'whsec_not*base64*at*all*really' }, /^SVIX_WEBHOOK_SECRET is not whsec_/],
    [{ SVIX_WEBHOOK_SECRET: 'whsec_' }, /^SVIX_WEBHOOK_SECRET is not whsec_/],
    [{ SVIX_WEBHOOK_SECRET: 'whsec_c2hvcnQ=' }, /shorter than 16 bytes/],
    [{ GITHUB_WEBHOOK_SECRET: 'too-short' }, /shorter than 16 bytes/],
    [{ GITHUB_WEBHOOK_SECRET: '-----BEGIN PUBLIC KEY-----MCowBQYDK2VwAyEA' }, /is a PEM/],
    [{ MAILCHIMP_WEBHOOK_SECRET: 'a secret with blanks' }, /blanks or characters outside ASCII/],
  ];
  for (const [env, problem] of wrong) {
    t.match(problemsOf(env), [problem]);
    t.equal(parseSources(env).sources.size, 0);
  }
  t.strictSame(
    problemsOf({ GITHUB_WEBHOOK_SECRET: "It's a Secret to Everybody" }),
    [],
    'GitHub allows blanks',
  );
  t.end();
});

t.test('a secret for an unknown source is an error with a suggestion', (t) => {
  const unknown = (name: string) => problemsOf({ [`${name}_WEBHOOK_SECRET`]: stripeSecret });
  t.match(unknown('STRPIE'), ['STRPIE_WEBHOOK_SECRET belongs to no source; did you mean stripe?']);
  t.match(unknown('STRIPE_EU'), [/declare it with POSTBELL_SOURCES=stripe-eu=stripe$/]);
  t.match(unknown('ACME'), [/declare it with POSTBELL_SOURCES=acme=<provider>$/]);
  t.match(unknown('GENERIC'), [/^GENERIC_WEBHOOK_SECRET belongs to no source/]);
  t.match(problemsOf({ ACME_WEBHOOK_SECRET: '' }), [/^ACME_WEBHOOK_SECRET belongs to no source/]);
  t.end();
});

t.test('wrong declarations are named, all at once', (t) => {
  const problems = problemsOf({
    POSTBELL_SOURCES:
      'Acme=generic,a_b=stripe,x=strype,y,z=stripe=1,dup=stripe,dup=stripe,stripe=shopify,c=constructor',
  });
  t.match(problems, [
    /"Acme" is no source name/,
    /"a_b" is no source name/,
    /no provider "strype"; did you mean stripe\?/,
    /"y" must be <source>=<provider>/,
    /"z=stripe=1" must be/,
    /dup is declared twice/,
    /stripe is itself a provider/,
    /no provider "constructor"/,
  ]);
  t.equal(problems.length, 8);
  t.strictSame(
    problemsOf({ POSTBELL_SOURCES: 'stripe=stripe,b=stripe' }),
    [],
    'declared without a secret is off',
  );
  t.end();
});

t.test('a generic source is described by its variables', (t) => {
  const env = { POSTBELL_SOURCES: 'acme=generic', ACME_WEBHOOK_SECRET: 'acme-shared-secret-2026' };
  const { sources, problems } = parseSources({ ...env, ACME_HEADER: 'X-Acme', ACME_ALGORITHM: 'hmac-sha1' });
  t.strictSame(problems, []);
  t.strictSame(sources.get('acme')?.provider.scheme.proofHeaders, ['x-acme']);
  t.match(problemsOf(env), [/^ACME_HEADER is missing/]);
  t.match(problemsOf({ ...env, ACME_HEADER: 'x', ACME_ENCODING: 'rot13' }), [
    /^ACME_ENCODING must be one of hex/,
  ]);
  const withoutSecret = { POSTBELL_SOURCES: 'acme=generic', ACME_HEADER: 'x-acme' };
  t.match(problemsOf(withoutSecret), [/^ACME_WEBHOOK_SECRET is missing/]);
  t.strictSame(problemsOf({ POSTBELL_SOURCES: 'acme=generic' }), []);
  const url = { ...env, ACME_HEADER: 'x', ACME_MESSAGE: '{url}{body}' };
  t.match(problemsOf(url), [/^ACME_WEBHOOK_URL is missing/]);
  t.strictSame(problemsOf({ ...url, PUBLIC_URL: 'https://x.example' }), []);
  t.end();
});
