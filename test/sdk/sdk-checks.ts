// Our signing and verifying against the providers' own packages: run by `npm run test:sdk`, which installs them.
import t, { type Test } from 'tap';
import {
  type Delivery,
  type Provider,
  providers,
  readDrafts,
  verifyDelivery,
} from '../../src/providers/index.ts';
import { makeSigned, readFixture, type Signed, secretOf } from '../providers/deliveries.ts';
import { commerce } from './commerce.ts';
import { developers } from './developers.ts';
import { identity } from './identity.ts';
import { leftOut } from './left-out.ts';
import { messages } from './messages.ts';
import { payments } from './payments.ts';
import type { Arrived, Sdk, Sdks } from './sdk.ts';

const sdks: Sdks = { ...payments, ...commerce, ...messages, ...developers, ...identity };

for (const [name, sdk] of Object.entries(sdks)) {
  t.test(`${name}: ${sdk.package}`, async (t) => {
    const provider = (providers as Record<string, Provider>)[name];
    if (!provider) throw new Error(`there is no provider ${name}`);
    await t.test('theirs accepts what we sign', (t) => theirsAccepts(t, provider, sdk));
    await t.test('both refuse the same tampered ones', (t) => bothRefuse(t, provider, sdk));
    if (sdk.sign) await t.test('ours accepts what theirs signs', (t) => oursAccepts(t, provider, sdk));
  });
}

/** Without a time that would have run out; npm @polar-sh/sdk does not know the newer of its two kinds of keys. */
const otherKinds = ['hubspot.v1', 'hubspot.v2', 'twilio.get', 'twilio.port-added', 'twilio.port-left-out'];

for (const name of otherKinds)
  t.test(`${name}: theirs accepts the fixture, too`, async (t) => {
    const { fixture, delivery } = readFixture(name);
    const sdk = sdks[name.split('.', 1)[0] ?? ''];
    const url =
      delivery.method === 'GET' ? new URL(delivery.url, fixture.webhookUrl).href : fixture.webhookUrl;
    if (!sdk || url === undefined) throw new Error(`nobody to ask about ${name}`);
    const { body } = delivery;
    const request = { url, headers: fixture.headers, body, text: body.toString() };
    t.equal(Boolean(await sdk.accepts(request, fixture.secret)), true, fixture.origin);
  });

t.test('every provider is checked, or left out with a word why', async (t) => {
  const spoken = new Set([...Object.keys(sdks), ...Object.keys(leftOut)]);
  t.strictSame(
    Object.keys(providers).filter((name) => !spoken.has(name)),
    [],
    'without a word',
  );
  t.strictSame(
    Object.keys(leftOut).filter((name) => name in sdks || !(name in providers)),
    [],
    'left out, and yet there, or nowhere',
  );
  t.comment(
    `${Object.keys(sdks).length} of ${Object.keys(providers).length} providers checked with their packages`,
  );
});

async function theirsAccepts(t: Test, provider: Provider, sdk: Sdk): Promise<void> {
  for (const key of Object.keys(provider.samples)) {
    const topic = key === '*' ? 'bell.rung' : key;
    const signed = signNow(provider, topic);
    t.equal(await theirs(sdk, signed), 'accepted', topic);
  }
}

async function bothRefuse(t: Test, provider: Provider, sdk: Sdk): Promise<void> {
  const signed = signNow(provider);
  const otherSecret = secretOf(provider, 1).secret;
  t.not(await theirs(sdk, signed, otherSecret), 'accepted', 'theirs: another secret');
  t.notOk((await ours(signed, signed.delivery, otherSecret)).ok, 'ours: another secret');
  if (!sdk.ignoresBody) {
    const body = Buffer.from(signed.delivery.body);
    const at = digitIn(body);
    body[at] = body[at] === 0x31 ? 0x32 : 0x31;
    const altered = { ...signed, delivery: { ...signed.delivery, body } };
    t.not(await theirs(sdk, altered), 'accepted', 'theirs: another body');
    t.notOk((await ours(altered, altered.delivery)).ok, 'ours: another body');
  }
  for (const name of provider.scheme.proofHeaders) {
    const [value] = signed.delivery.headers[name] ?? [];
    if (value === undefined) continue;
    const headers = { ...signed.delivery.headers, [name]: [altered(value)] };
    const tampered = { ...signed, delivery: { ...signed.delivery, headers } };
    t.not(await theirs(sdk, tampered), 'accepted', `theirs: another ${name}`);
    t.notOk((await ours(tampered, tampered.delivery)).ok, `ours: another ${name}`);
  }
}

async function oursAccepts(t: Test, provider: Provider, sdk: Sdk): Promise<void> {
  const signed = signNow(provider);
  const proof = (await sdk.sign?.(arrived(signed), signed.key)) ?? {};
  const headers = { ...signed.delivery.headers };
  for (const [name, value] of Object.entries(proof)) headers[name.toLowerCase()] = [String(value)];
  const delivery = { ...signed.delivery, headers };
  t.strictSame(await ours(signed, delivery), { ok: true, secretIndex: 0 });
  t.ok(readDrafts(signed.source, delivery).length > 0);
  t.notOk((await ours(signed, delivery, secretOf(provider, 1).secret)).ok, 'under another secret');
}

/** Their clocks are the machine's. */
function signNow(provider: Provider, topic?: string): Signed {
  return makeSigned(provider, { now: new Date(), ...(topic === undefined ? {} : { topic }) });
}

function ours(signed: Signed, delivery: Delivery, secret = signed.key.secret) {
  return verifyDelivery({ ...signed.source, secrets: [secret] }, delivery);
}

async function theirs(sdk: Sdk, signed: Signed, secret = signed.key.secret): Promise<string> {
  try {
    const answer = await sdk.accepts(arrived(signed), secret);
    return answer === false || answer === null ? 'refused' : 'accepted';
  } catch (error) {
    return `refused: ${(error as Error)?.message ?? error}`;
  }
}

function arrived({ request, delivery }: Signed): Arrived {
  const headers = Object.fromEntries(
    Object.entries(delivery.headers).map(([name, values]) => [name, values?.[0] ?? '']),
  );
  return { url: request.url, headers, body: delivery.body, text: delivery.body.toString() };
}

/** A digit inside a value keeps JSON and forms well formed: what then refuses is the signature. */
function digitIn(body: Buffer): number {
  const at = body.findIndex((byte) => byte >= 0x31 && byte <= 0x39);
  if (at < 0) throw new Error('the sample has no digit to alter');
  return at;
}

function altered(value: string): string {
  const at = value.length >> 1;
  return value.slice(0, at) + (value[at] === 'a' ? 'b' : 'a') + value.slice(at + 1);
}
