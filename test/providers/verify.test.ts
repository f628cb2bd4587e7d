// Bad signatures, one by one (reliability.md B1 to B16), on the providers that show them best.
import { createHmac } from 'node:crypto';
import fc from 'fast-check';
import t from 'tap';
import {
  answerHandshake,
  type Delivery,
  keptHeaders,
  type Provider,
  providers,
  readDrafts,
  type Verdict,
  verifyDelivery,
} from '../../src/providers/index.ts';
import { cpuMs, fixedNow, makeSigned, makeSource, secretOf, withHeaders } from './deliveries.ts';

const { github, mailchimp, shopify, slack, stripe, svix } = providers;
const stripeSecret = 'whsec_5f3d1c0a9b8e7f6d5c4b3a2918070605';
const stripeSource = makeSource(stripe, stripeSecret);
const body = Buffer.from('{"id":"evt_1","type":"a.b"}');
const nowSeconds = fixedNow.getTime() / 1000;

function stripeSignature(stamp: string | number, secret = stripeSecret): string {
  return createHmac('sha256', secret).update(`${stamp}.${body}`).digest('hex');
}

function stripeDelivery(header: string): Delivery {
  return {
    method: 'POST',
    url: '/api/webhooks/stripe',
    headers: { 'stripe-signature': [header] },
    body,
    receivedAt: fixedNow,
  };
}

const verifyStripe = (header: string) => verifyDelivery(stripeSource, stripeDelivery(header)) as Verdict;
const reasonOf = (verdict: Verdict) => (verdict.ok ? 'ok' : verdict.reason);

t.test('a list of signatures is accepted if one of the first ten is right', (t) => {
  const right = stripeSignature(nowSeconds);
  const wrong = stripeSignature(nowSeconds, 'whsec_another_secret_0123456789');
  const list = (before: number) => `t=${nowSeconds},${`v1=${wrong},`.repeat(before)}v1=${right}`;
  t.equal(reasonOf(verifyStripe(list(0))), 'ok');
  t.equal(reasonOf(verifyStripe(list(1))), 'ok', 'the second of two, as in a rotation');
  t.equal(reasonOf(verifyStripe(list(9))), 'ok');
  t.equal(reasonOf(verifyStripe(list(10))), 'wrong_signature', 'the eleventh is not looked at');
  t.end();
});

t.test('ten thousand signatures are refused within 5 ms', (t) => {
  const header = `t=${nowSeconds},${`v1=${stripeSignature(1)},`.repeat(10_000)}`;
  verifyStripe(header);
  t.ok(cpuMs(() => t.equal(reasonOf(verifyStripe(header)), 'malformed_signature')) < 5);
  t.end();
});

t.test('only the known version of a signature counts', (t) => {
  const right = stripeSignature(nowSeconds);
  for (const name of ['v0', 'v2', 'V1', 'v11', ''])
    t.equal(reasonOf(verifyStripe(`t=${nowSeconds},${name}=${right}`)), 'malformed_signature', name);
  const { source, delivery } = makeSigned(github);
  const hex = delivery.headers['x-hub-signature-256']?.[0]?.slice(7) ?? '';
  const sha1 = createHmac('sha1', source.secrets[0] ?? '')
    .update(delivery.body)
    .digest('hex');
  const answer = (value: string) => withHeaders(delivery, { 'x-hub-signature-256': [value] });
  for (const value of [
    hex,
    `sha1=${sha1}`,
    `sha512=${hex}`,
    `SHA256=${hex}`,
    `sha256=sha256=${hex}`,
    ` sha256=${hex}`,
  ])
    t.equal(reasonOf(verifyDelivery(source, answer(value)) as Verdict), 'malformed_signature', value);
  const onlyLegacy = withHeaders(delivery, {
    'x-hub-signature-256': undefined,
    'x-hub-signature': [`sha1=${sha1}`],
  });
  t.equal(reasonOf(verifyDelivery(source, onlyLegacy) as Verdict), 'missing_header', 'SHA-1 is no way round');
  t.end();
});

t.test('timestamps are strict decimals within 300 seconds', (t) => {
  const reasons: Record<string, string> = {
    [nowSeconds]: 'ok',
    [nowSeconds - 300]: 'ok',
    [nowSeconds + 300]: 'ok',
    [nowSeconds - 301]: 'too_old',
    [nowSeconds + 301]: 'too_new',
    [nowSeconds * 1000]: 'too_new',
    '0': 'too_old',
    '1e10': 'malformed_timestamp',
    '-1': 'malformed_timestamp',
    [`${nowSeconds}abc`]: 'malformed_timestamp',
    [`0${nowSeconds}`]: 'malformed_timestamp',
    [`+${nowSeconds}`]: 'malformed_timestamp',
    [`${nowSeconds}.0`]: 'malformed_timestamp',
    '12345678901234567890': 'malformed_timestamp',
    '': 'missing_header',
  };
  for (const [stamp, reason] of Object.entries(reasons))
    t.equal(reasonOf(verifyStripe(`t=${stamp},v1=${stripeSignature(stamp)}`)), reason, `t=${stamp}`);
  const tooOld = verifyStripe(`t=${nowSeconds - 312},v1=${stripeSignature(nowSeconds - 312)}`);
  t.match(tooOld, { detail: '312 s old' });
  t.end();
});

t.test('two timestamps in one list are refused, right signature or not', (t) => {
  const old = nowSeconds - 1000;
  const header = `t=${nowSeconds},t=${old},v1=${stripeSignature(old)}`;
  t.equal(reasonOf(verifyStripe(header)), 'malformed_signature');
  t.end();
});

t.test('blanks after the commas do not matter, as some senders put them', (t) => {
  t.equal(reasonOf(verifyStripe(`t=${nowSeconds}, v1=${stripeSignature(nowSeconds)}`)), 'ok');
  t.end();
});

t.test('base64 has one spelling', (t) => {
  const { source, delivery } = makeSigned(shopify);
  const value = delivery.headers['x-shopify-hmac-sha256']?.[0] ?? '';
  const spellings = [
    value.replace('=', ''),
    `${value}=`,
    value.replace(/.=$/, (end) => `${String.fromCharCode(end.charCodeAt(0) + 1)}=`),
    `${value.slice(0, 20)} ${value.slice(20)}`,
    Buffer.from(value, 'base64').toString('hex'),
  ];
  for (const spelling of spellings) {
    const verdict = verifyDelivery(source, withHeaders(delivery, { 'x-shopify-hmac-sha256': [spelling] }));
    t.equal((verdict as Verdict).ok, false, spelling);
  }
  t.end();
});

t.test('an unsigned svix-id cannot be slipped in beside a signed webhook-… set', (t) => {
  const { source, delivery } = makeSigned(svix);
  const [id, timestamp, signature] = ['id', 'timestamp', 'signature'].map(
    (name) => delivery.headers[`svix-${name}`],
  );
  const renamed = {
    ...delivery,
    headers: { 'webhook-id': id, 'webhook-timestamp': timestamp, 'webhook-signature': signature },
  };
  t.equal(reasonOf(verifyDelivery(source, renamed) as Verdict), 'ok', 'the webhook-… set alone is accepted');
  const slipped = withHeaders(renamed, { 'svix-id': ['msg_other'] });
  t.equal(reasonOf(verifyDelivery(source, slipped) as Verdict), 'missing_header');
  t.end();
});

t.test('a header that is signed must not come twice', (t) => {
  const { source, delivery } = makeSigned(svix);
  const id = delivery.headers['svix-id']?.[0] ?? '';
  const doubled = withHeaders(delivery, { 'svix-id': [id, id] });
  t.equal(reasonOf(verifyDelivery(source, doubled) as Verdict), 'repeated_header');
  t.end();
});

t.test('the age is measured at arrival, whenever the verifier runs', (t) => {
  const { source, delivery } = makeSigned(slack, { now: new Date('2020-01-01T00:00:00Z') });
  t.equal(reasonOf(verifyDelivery(source, delivery) as Verdict), 'ok');
  t.end();
});

t.test('a source whose secrets are no keys refuses everything', (t) => {
  const { delivery } = makeSigned(svix);
  for (const secret of ['', 'whsec_', 'whsec_***', 'whsec_A'])
    t.equal(
      reasonOf(verifyDelivery(makeSource(svix, secret), delivery) as Verdict),
      'key_unavailable',
      secret,
    );
  t.equal(
    reasonOf(verifyDelivery(makeSource(mailchimp, ''), makeSigned(mailchimp).delivery) as Verdict),
    'wrong_signature',
  );
  t.end();
});

t.test('HMAC is answered without a promise', (t) => {
  const { source, delivery } = makeSigned(stripe);
  t.notOk(verifyDelivery(source, delivery) instanceof Promise);
  t.end();
});

t.test('no input is believed without the key, and none makes anything throw', async (t) => {
  const text = fc.oneof(
    fc.string({ maxLength: 80 }),
    fc.string({ unit: 'binary', maxLength: 40 }),
    fc.string({ unit: fc.constantFrom(...'0123456789abcdef') }),
  );
  for (const provider of Object.values<Provider>(providers)) {
    const stranger = makeSource(provider, secretOf(provider, 1).secret);
    const { delivery } = makeSigned(provider);
    const names = Object.keys(delivery.headers);
    const change = fc.record({
      name: fc.constantFrom(...names, ...provider.scheme.proofHeaders, 'cookie'),
      values: fc.oneof(
        fc.constant(undefined),
        fc.array(text, { maxLength: 3 }),
        text.map((end) => [`${delivery.headers[names.at(-1) ?? '']?.[0] ?? ''}${end}`]),
      ),
    });
    await fc.assert(
      fc.asyncProperty(
        fc.array(change, { maxLength: 4 }),
        fc.option(
          fc.oneof(
            fc.uint8Array({ maxLength: 200 }),
            fc.json().map((json) => Buffer.from(json)),
          ),
        ),
        fc.option(fc.webQueryParameters(), { nil: '' }),
        async (changes, otherBody, query) => {
          const headers = Object.fromEntries(changes.map(({ name, values }) => [name, values]));
          const mutated = {
            ...withHeaders(delivery, headers),
            ...(otherBody ? { body: Buffer.from(otherBody) } : {}),
            ...(query ? { url: `/x?${query}` } : {}),
          };
          const verdict = await verifyDelivery(stranger, mutated);
          if (verdict.ok || verdict.detail?.includes('the verifier failed')) return false;
          keptHeaders(stranger, mutated);
          answerHandshake(stranger, mutated, 'unsigned');
          answerHandshake(stranger, mutated, 'verified');
          return readDrafts(stranger, mutated).length > 0;
        },
      ),
      { numRuns: 60 },
    );
    t.pass(provider.name);
  }
});
