// What every provider of the registry must do, found out from its own description: nothing here names one.
import t, { type Test } from 'tap';
import {
  answerHandshake,
  handshakeMethods,
  keptHeaders,
  type Provider,
  providers,
  queryAsForm,
  type RejectionReason,
  readDrafts,
  type Source,
  verifyDelivery,
} from '../../src/providers/index.ts';
import { formatTimestamp } from '../../src/providers/schemes/freshness.ts';
import type { Template } from '../../src/providers/template/parts.ts';
import {
  firstTopic,
  fixedNow,
  fixturesOf,
  makeSigned,
  makeSource,
  readFixture,
  type Signed,
  secretOf,
  withHeaders,
} from './deliveries.ts';
import { bearers, type Known, problemOf } from './signed-once.ts';

const bearerWords =
  /static secret|basic auth|bearer token|qsh|clientState|credential in|secret in the query|token of the channel|claims of the sender|secret token/i;
/** Two events of these providers may be equal in all that is signed, and why. */
const equalByNature: Readonly<Record<string, string>> = {
  'dropbox-sign':
    'it signs the type and the second alone: a second event of both is stored as a suspected replay',
};
const units = ['s', 'ms', 'iso', 'iso-utc', 'http-date'] as const;

for (const provider of Object.values<Provider>(providers)) {
  t.test(provider.name, async (t) => {
    await t.test('accepts what it signs, and gives id and topic, for every sample', (t) =>
      acceptsSamples(t, provider),
    );
    await t.test('accepts its fixtures, which somebody else computed', async (t) => {
      for (const name of fixturesOf(provider.name)) await acceptsFixture(t, provider, name);
    });
    await t.test('refuses an altered body', (t) => refusesAlteredBody(t, provider));
    await t.test('refuses another id or time where they are signed', (t) => refusesAlteredFacts(t, provider));
    await t.test('refuses missing, doubled, empty, cut and odd proofs', (t) => refusesOddProofs(t, provider));
    await t.test('refuses what is too old or too new, to the second', (t) => checksAge(t, provider));
    await t.test('refuses another secret and accepts the second of two', (t) => rotatesSecrets(t, provider));
    await t.test('keeps id and topic over two deliveries of one event', (t) => keepsFacts(t, provider));
    await t.test('describes itself, and keeps no proof among the headers', (t) =>
      describesItself(t, provider),
    );
  });
}

async function acceptsSamples(t: Test, provider: Provider): Promise<void> {
  for (const key of Object.keys(provider.samples)) {
    const topic = key === '*' ? 'bell.rung' : key;
    const { source, delivery } = makeSigned(provider, { topic });
    t.strictSame(await verifyDelivery(source, delivery), { ok: true, secretIndex: 0 }, topic);
    const events = readDrafts(source, delivery);
    for (const event of events) {
      t.equal(event.topic, topic);
      t.ok(event.eventId.length > 0 && event.eventId.length <= 255);
      t.equal(event.payloadError, null);
      t.ok(event.payloadText !== null && JSON.parse(event.payloadText) !== undefined);
      t.ok(event.occurredAt === null || Math.abs(event.occurredAt.getTime() - fixedNow.getTime()) < 1000);
      t.equal(event.uniqueBody, !provider.idIsSigned);
    }
    // Signed in the same millisecond: `send --count` makes events, not duplicates and not suspected replays.
    const another = makeSigned(provider, { topic });
    const both = [...events, ...readDrafts(another.source, another.delivery)];
    t.equal(new Set(both.map((event) => event.eventId)).size, both.length, 'each event has an id of its own');
    if (provider.idIsSigned || provider.name in equalByNature) continue;
    const bodies = new Set(both.map((event) => event.bodySha256.toString('hex')));
    t.equal(bodies.size, both.length, 'and a body of its own, where bodies guard the id');
  }
}

async function acceptsFixture(t: Test, provider: Provider, name: string): Promise<void> {
  const { fixture, delivery: sent } = readFixture(name);
  const delivery = sent.method === 'GET' ? queryAsForm(sent) : sent;
  const source: Source = {
    name: provider.name,
    provider,
    secrets: [fixture.secret],
    ...(fixture.webhookUrl === undefined ? {} : { webhookUrl: fixture.webhookUrl }),
  };
  t.strictSame(await verifyDelivery(source, delivery), { ok: true, secretIndex: 0 }, fixture.origin);
  const events = readDrafts(source, delivery);
  t.strictSame(
    events.map(({ eventId, topic, occurredAt }) => ({
      eventId,
      topic,
      occurredAt: occurredAt?.toISOString() ?? null,
    })),
    fixture.events,
    name,
  );
  if (fixture.payload) t.strictSame(JSON.parse(events[0]?.payloadText ?? 'null'), fixture.payload);
}

async function refusesAlteredBody(t: Test, provider: Provider): Promise<void> {
  const { source, delivery } = makeSigned(provider);
  const { body } = delivery;
  if (!provider.scheme.signsBody) return takesForTheSame(t, { source, delivery });
  for (const at of [0, body.length >> 1, body.length - 1]) {
    const flipped = Buffer.from(body);
    flipped[at] = (flipped[at] ?? 0) ^ 1;
    await refused(t, source, { ...delivery, body: flipped }, undefined, `byte ${at} flipped`);
  }
  const added = {
    newline: Buffer.concat([body, Buffer.from('\n')]),
    BOM: Buffer.concat([Buffer.from('\ufeff'), body]),
  };
  for (const [what, altered] of Object.entries(added))
    await refused(t, source, { ...delivery, body: altered }, undefined, `${what} added`);
  await refused(t, source, { ...delivery, body: Buffer.alloc(0) }, undefined, 'body taken away');
}

/** Where parts of the body are signed: whatever is altered, it is refused or it is the event that is known. */
async function takesForTheSame(t: Test, { source, delivery }: Known): Promise<void> {
  if (bearers.has(source.provider.name))
    return void t.match(source.provider.scheme.summary, bearerWords, 'a credential is all the proof');
  const known = readDrafts(source, delivery);
  const { body } = delivery;
  const flipped = Array.from(body, (byte, at) => Buffer.from(body.with(at, byte ^ 1)));
  const altered = [...flipped, Buffer.concat([body, Buffer.from('\n')]), Buffer.from('{}'), Buffer.alloc(0)];
  for (const bytes of altered) {
    const problem = await problemOf(source, known, { ...delivery, body: bytes });
    if (problem) t.fail(problem);
  }
  t.pass(`${altered.length} altered bodies are refused, or known events`);
}

async function refusesAlteredFacts(t: Test, provider: Provider): Promise<void> {
  const { source, delivery } = makeSigned(provider);
  if (provider.idIsSigned)
    for (const name of headersIn(provider.events.id ?? '')) {
      const value = delivery.headers[name]?.[0];
      if (value === undefined) continue;
      const last = value.endsWith('x') ? 'y' : 'x';
      const altered = withHeaders(delivery, { [name]: [value.slice(0, -1) + last] });
      if (readDrafts(source, altered)[0]?.eventId === readDrafts(source, delivery)[0]?.eventId) continue;
      await refused(t, source, altered, undefined, `${name} altered`);
    }
  if (!provider.scheme.freshness) return void t.pass('the age is not checked');
  const earlier = new Date(fixedNow.getTime() - 2000);
  let changes = 0;
  for (const unit of units) {
    const text = formatTimestamp(fixedNow, unit);
    for (const [name, [value = ''] = []] of Object.entries(delivery.headers)) {
      if (!value.includes(text)) continue;
      const altered = withHeaders(delivery, {
        [name]: [value.replace(text, formatTimestamp(earlier, unit))],
      });
      changes += (await verifyDelivery(source, altered)).ok ? 0 : 1;
    }
    const body = delivery.body.toString('latin1');
    if (!body.includes(text)) continue;
    const alteredBody = Buffer.from(body.replace(text, formatTimestamp(earlier, unit)), 'latin1');
    changes += (await verifyDelivery(source, { ...delivery, body: alteredBody })).ok ? 0 : 1;
  }
  const isToken = Object.values(delivery.headers).some((values) =>
    /^(Bearer |JWT )?eyJ/.test(values?.[0] ?? ''),
  );
  t.ok(changes > 0 || isToken, 'an altered time was refused');
}

async function refusesOddProofs(t: Test, provider: Provider): Promise<void> {
  const { source, delivery } = makeSigned(provider);
  for (const name of provider.scheme.proofHeaders) {
    const [value] = delivery.headers[name] ?? [];
    if (value === undefined) continue;
    await refused(t, source, withHeaders(delivery, { [name]: undefined }), 'missing_header', 'missing');
    await checkDoubled(t, provider, source, delivery, name, value);
    const odd = {
      empty: '',
      blank: ' ',
      'cut by one': value.slice(0, -1),
      'one longer': `${value}0`,
      'over-long': value + '0'.repeat(16_000),
      'ten thousand of them': `${value.slice(0, -3)}xyz,`.repeat(10_000),
      'in capitals': value.toUpperCase(),
      'without its beginning': value.slice(3),
      'multi-byte': value.slice(0, -1).replaceAll(/[0-9a-f]/g, 'é'),
      'only its prefix': value.slice(0, value.indexOf('=') + 1),
      'a downgrade': `sha1=${'0'.repeat(40)}`,
    };
    for (const [what, text] of Object.entries(odd))
      if (text !== value)
        await refused(t, source, withHeaders(delivery, { [name]: [text] }), undefined, what);
  }
  for (const name of provider.scheme.proofParams) {
    const url = new URL(delivery.url, 'http://localhost');
    const value = url.searchParams.get(name);
    if (value === null) continue;
    const query = (text: string) => ({ ...delivery, url: `${url.pathname}?${text}` });
    await refused(t, source, query(''), 'missing_header', 'missing');
    await refused(t, source, query(`${name}=`), 'missing_header', 'empty');
    await refused(t, source, query(`${name}=${value}&${name}=${value}`), 'repeated_header', 'doubled');
    await refused(t, source, query(`${name}=${value.slice(1)}`), 'wrong_signature', 'cut by one');
  }
}

/** Once more is once too often, but for providers that send it once per secret: there, one has to hold. */
async function checkDoubled(
  t: Test,
  provider: Provider,
  source: Source,
  delivery: Signed['delivery'],
  name: string,
  value: string,
): Promise<void> {
  if (!provider.scheme.repeatsProof)
    return refused(
      t,
      source,
      withHeaders(delivery, { [name]: [value, value] }),
      'repeated_header',
      'doubled',
    );
  const wrong = value.replace(/.$/, (last) => (last === '0' ? '1' : '0'));
  t.ok(
    (await verifyDelivery(source, withHeaders(delivery, { [name]: [wrong, value] }))).ok,
    'the second holds',
  );
  const bothWrong = withHeaders(delivery, { [name]: [wrong, wrong] });
  await refused(t, source, bothWrong, 'wrong_signature', 'neither holds');
}

async function checksAge(t: Test, provider: Provider): Promise<void> {
  const { freshness } = provider.scheme;
  if (!freshness) return void t.pass('the age is not checked');
  const { source, delivery } = makeSigned(provider);
  const at = (seconds: number) => ({
    ...delivery,
    receivedAt: new Date(fixedNow.getTime() + seconds * 1000),
  });
  t.ok((await verifyDelivery(source, at(freshness.pastSeconds))).ok, 'exactly as old as allowed');
  await refused(t, source, at(freshness.pastSeconds + 1), 'too_old', 'a second older');
  t.ok((await verifyDelivery(source, at(-freshness.futureSeconds))).ok, 'exactly as far ahead as allowed');
  await refused(t, source, at(-freshness.futureSeconds - 1), 'too_new', 'a second further ahead');
}

async function rotatesSecrets(t: Test, provider: Provider): Promise<void> {
  const { delivery, key } = makeSigned(provider);
  const other = secretOf(provider, 1).secret;
  await refused(t, makeSource(provider, other), delivery, 'wrong_signature', 'another secret');
  const both = makeSource(provider, other, key.secret);
  t.strictSame(await verifyDelivery(both, delivery), { ok: true, secretIndex: 1 });
}

function keepsFacts(t: Test, provider: Provider): void {
  const topic = firstTopic(provider);
  const id = provider.sending?.newId?.() ?? 'evt_1';
  const first = makeSigned(provider, { topic, id });
  const again = {
    topic,
    id,
    body: first.delivery.body,
    now: new Date(fixedNow.getTime() + 60_000),
    key: first.key,
  };
  const second = makeSigned(provider, again);
  const facts = ({ source, delivery }: Signed) =>
    readDrafts(source, delivery).map((event) => [event.eventId, event.topic]);
  if (provider.events.idPerDelivery) t.strictNotSame(facts(second), facts(first), 'nothing stable is sent');
  else t.strictSame(facts(second), facts(first));
  t.strictNotSame(facts(makeSigned(provider, { topic })), facts(first), 'another event has another id');
  t.end();
}

function describesItself(t: Test, provider: Provider): void {
  t.equal(providers[provider.name as keyof typeof providers], provider, 'is registered under its name');
  for (const text of [provider.title, provider.facts, provider.retries, provider.scheme.summary])
    t.ok(text.length >= 3);
  const { secret } = provider;
  for (const text of [secret.label, secret.format, secret.where]) t.ok(text.length > 3);
  t.ok(provider.docsUrl === undefined || URL.canParse(provider.docsUrl));
  t.equal(secret.check(secretOf(provider).secret), undefined);
  for (const wrong of [
    '',
    ' ',
    'short',
    '"quoted-but-long-enough-0123456789"',
    'with a\nline break 0123456789abcdef',
  ])
    t.type(secret.check(wrong), 'string', `refuses ${wrong}`);

  const { source, delivery } = makeSigned(provider);
  const withCookies = withHeaders(delivery, { cookie: ['a=1'], 'user-agent': ['x'.repeat(600)] });
  const kept = keptHeaders(source, withCookies);
  for (const name of [...provider.scheme.proofHeaders, 'authorization', 'cookie'])
    t.notOk(name in kept, name);
  t.equal(kept['user-agent']?.length, 500);
  const methods = handshakeMethods(source);
  for (const handshake of provider.handshakes ?? [])
    t.ok(handshake.method === 'POST' || methods.includes(handshake.method));
  t.equal(answerHandshake(source, delivery, 'unsigned'), undefined, 'its first sample is an event');
  t.end();
}

async function refused(
  t: Test,
  source: Source,
  delivery: Signed['delivery'],
  reason: RejectionReason | undefined,
  what: string,
): Promise<void> {
  const verdict = await verifyDelivery(source, delivery);
  t.equal(verdict.ok, false, what);
  if (verdict.ok) return;
  if (reason) t.equal(verdict.reason, reason, what);
  for (const secret of source.secrets)
    t.notOk(verdict.detail?.includes(secret), 'the detail holds no secret');
  t.notMatch(verdict.detail ?? '', /the verifier failed/, what);
}

/** The headers that a template reads. */
function headersIn(template: Template): string[] {
  if (typeof template === 'string') return [];
  if ('kind' in template) {
    if (template.kind === 'header') return [template.name];
    if (template.kind === 'optional') return headersIn(template.parts);
    return template.kind === 'firstOf' ? template.choices.flatMap(headersIn) : [];
  }
  return template.flatMap(headersIn);
}
