// A rejected request that is kept has all that verifying needs later, and no header beside: found out for every provider.
import t, { type Test } from 'tap';
import {
  couldBecomeValid,
  type Delivery,
  keptHeaders,
  type Provider,
  providers,
  quarantineProblem,
  queryAsForm,
  readDrafts,
  reducedToProof,
  type Source,
  verifyDelivery,
} from '../../src/providers/index.ts';
import { fixturesOf, makeSigned, makeSource, readFixture, withHeaders } from './deliveries.ts';
import { bearers } from './signed-once.ts';

/** As a gateway of the team adds them. */
const strange = {
  cookie: ['session=1'],
  authorization: ['Bearer of-a-gateway'],
  'x-gateway-token': ['secret'],
  'proxy-authorization': ['Basic c2VjcmV0'],
};

for (const provider of Object.values<Provider>(providers)) {
  if (quarantineProblem(provider) !== undefined) continue;
  t.test(provider.name, async (t) => {
    for (const key of Object.keys(provider.samples)) {
      const { source, delivery } = makeSigned(provider, { topic: key === '*' ? 'bell.rung' : key });
      await isEnough(t, source, delivery);
    }
    for (const name of fixturesOf(provider.name)) {
      const { fixture, delivery } = readFixture(name);
      const { webhookUrl } = fixture;
      const { webhookUrl: _, ...source } = makeSource(provider, fixture.secret);
      const sent = delivery.method === 'GET' ? queryAsForm(delivery) : delivery;
      await isEnough(t, webhookUrl === undefined ? source : { ...source, webhookUrl }, sent);
    }
  });
}

async function isEnough(t: Test, source: Source, delivery: Delivery): Promise<void> {
  const proofs = new Set(source.provider.scheme.proofHeaders);
  const added = Object.fromEntries(Object.entries(strange).filter(([name]) => !proofs.has(name)));
  const kept = reducedToProof(source, withHeaders(delivery, added));
  for (const name of Object.keys(added)) t.equal(kept.headers[name], undefined, `${name} is not kept`);
  // As the database gives it back.
  const read = { ...kept, headers: JSON.parse(JSON.stringify(kept.headers)), body: Buffer.from(kept.body) };
  t.strictSame(await verifyDelivery({ ...source }, read), { ok: true, secretIndex: 0 });
  t.strictSame(readDrafts(source, read), readDrafts(source, delivery));
  t.strictSame(keptHeaders(source, read), keptHeaders(source, delivery));
}

t.test('nothing is kept of providers whose proof is a credential, in any of their ways', (t) => {
  const problems = Object.values<Provider>(providers).filter((provider) => quarantineProblem(provider));
  const names = new Set(problems.map(({ name }) => name));
  for (const name of bearers) t.ok(names.has(name), name);
  for (const name of [
    'paypal',
    'mercadopago',
    'gitlab',
    'mollie',
    'revenuecat',
    'shippo',
    'buildkite',
    'mailgun',
    'slack',
  ])
    t.ok(names.has(name), name);
  for (const name of ['stripe', 'github', 'shopify', 'sendgrid', 'twilio', 'svix', 'square'])
    t.notOk(names.has(name), name);
  t.end();
});

t.test('a replay, a wrong clock and a request without proof are not worth keeping', (t) => {
  const { source, delivery } = makeSigned(providers.stripe);
  const isKept = (reason: string, sent = delivery) =>
    couldBecomeValid(source, sent, { ok: false, reason: reason as never });
  for (const reason of ['wrong_signature', 'malformed_signature', 'missing_url', 'key_unavailable'])
    t.ok(isKept(reason), reason);
  for (const reason of ['too_old', 'too_new', 'repeated_header', 'malformed_timestamp'])
    t.notOk(isKept(reason), reason);
  t.ok(isKept('missing_header'), 'another scheme of the provider may fit');
  t.notOk(isKept('missing_header', withHeaders(delivery, { 'stripe-signature': undefined })));
  t.end();
});
