// Certificates that a delivery names: only the provider's, only sound ones, and never a fetch per forged address.
import { createPublicKey } from 'node:crypto';
import { readFileSync } from 'node:fs';
import t from 'tap';
import { providers, type Source, signDelivery, verifyDelivery } from '../../src/providers/index.ts';
import { HttpStatusError } from '../../src/providers/schemes/fetch-text.ts';
import { absentMs, failedMs, fetchBurst, fetchEveryMs } from '../../src/providers/schemes/fetched-keys.ts';
import { maxWaitingBytes } from '../../src/providers/schemes/key-source.ts';
import { createRandom } from '../bad-input/random.ts';
import { fixedNow, withHeaders } from './deliveries.ts';

const { paypal, 'aws-sns': awsSns } = providers;
const certUrl = 'paypal-cert-url';
const certificate = (name: string) =>
  readFileSync(new URL(`certificates/${name}.pem`, import.meta.url), 'utf8');
const privateKey = certificate('signer-key');
const publicKey = createPublicKey(privateKey).export({ type: 'spki', format: 'der' }).toString('base64');
const webhookId = '8PT597110X687430LKGECATA';
const arn = 'arn:aws:sns:us-east-1:123456789012:orders';

type Answer = string | Error;

/** Answers in turn, the last one again and again; an Error is thrown. */
function fetchingSource(provider: Source['provider'], secret: string, ...answers: Answer[]) {
  const fetched: string[] = [];
  const source: Source = {
    name: provider.name,
    provider,
    secrets: [secret],
    trustedRoots: [certificate('root')],
    fetchText: (url) => {
      const answer = answers[Math.min(fetched.length, answers.length - 1)] ?? '';
      fetched.push(url);
      return answer instanceof Error ? Promise.reject(answer) : Promise.resolve(answer);
    },
  };
  return { source, fetched };
}

function signed(provider: Source['provider'], pinnedSecret: string, topic: string, body?: string) {
  const source: Source = { name: provider.name, provider, secrets: [pinnedSecret] };
  const request = signDelivery(source, {
    topic,
    now: fixedNow,
    url: 'https://shop.example.com/hook',
    privateKey,
    ...(body === undefined ? {} : { body }),
  });
  const headers = Object.fromEntries(Object.entries(request.headers).map(([name, value]) => [name, [value]]));
  return { method: 'POST', url: '/hook', headers, body: request.body, receivedAt: fixedNow };
}

const byPaypal = withHeaders(signed(paypal, `${webhookId};${publicKey}`, 'CHECKOUT.ORDER.APPROVED'), {
  [certUrl]: ['https://api.paypal.com/v1/notifications/certs/CERT-360caa42-fca2a594-7a93e8fa'],
});
const bySns = signed(awsSns, `${arn};${publicKey}`, 'orders');
const later = <T extends { receivedAt: Date }>(delivery: T, ms: number): T => ({
  ...delivery,
  receivedAt: new Date(fixedNow.getTime() + ms),
});

t.test('a certificate is fetched once, then its key is at hand', async (t) => {
  for (const [provider, secret, delivery, pem] of [
    [paypal, webhookId, byPaypal, certificate('paypal')],
    [paypal, webhookId, byPaypal, certificate('paypal') + certificate('intermediate')],
    [awsSns, arn, bySns, certificate('sns')],
    [awsSns, arn, bySns, certificate('sns') + certificate('intermediate')],
  ] as const) {
    const { source, fetched } = fetchingSource(provider, secret, pem);
    const first = verifyDelivery(source, delivery);
    t.type(first, Promise);
    t.match(await first, { ok: true, secretIndex: 0 });
    t.match(verifyDelivery(source, delivery), { ok: true }, 'without a promise');
    t.equal(fetched.length, 1);
  }
});

t.test('a certificate that is not sound is not believed, and the operator reads why', async (t) => {
  const sns: [pem: string, detail: RegExp][] = [
    ['', /the text is no certificate/],
    ['<html>not found</html>', /the text is no certificate/],
    [certificate('sns').slice(0, 600), /the text is no certificate/],
    ['-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----', /the text is no certificate/],
    [certificate('self-signed'), /not a signer certificate/],
    [certificate('other-name'), /not for sns\.amazonaws\.com/],
    [certificate('paypal'), /not for sns\.amazonaws\.com/],
    [certificate('expired'), /not valid at this time/],
    [certificate('not-yet'), /not valid at this time/],
    [certificate('short-key'), /2048 bits/],
    [certificate('root'), /not a signer certificate/],
    [certificate('sns') + certificate('root'), /no chain/],
    [certificate('sns') + certificate('intermediate').repeat(6), /the text is no certificate/],
  ];
  for (const [pem, detail] of sns) {
    const { source } = fetchingSource(awsSns, arn, pem);
    t.match(await verifyDelivery(source, bySns), { ok: false, reason: 'wrong_signature', detail });
  }
  const withChain = (name: string, issuer: string) =>
    certificate(name) + certificate(issuer) + certificate('intermediate');
  const { source } = fetchingSource(paypal, webhookId, withChain('by-not-an-authority', 'not-an-authority'));
  t.match(
    await verifyDelivery(source, byPaypal),
    { ok: false, detail: /no chain/ },
    'an issuer that may not issue',
  );
  const foreign = fetchingSource(paypal, webhookId, certificate('paypal') + certificate('intermediate'));
  const { trustedRoots: _, ...inProduction } = foreign.source;
  t.match(await verifyDelivery(inProduction, byPaypal), {
    ok: false,
    detail: /does not end at a trusted root/,
  });
});

t.test('nothing is fetched from anywhere but the pinned addresses', async (t) => {
  const { source, fetched } = fetchingSource(paypal, webhookId, certificate('paypal'));
  for (const url of [
    'http://api.paypal.com/v1/notifications/certs/CERT-1',
    'https://api.paypal.com.example.net/v1/notifications/certs/CERT-1',
    'https://evil.example.net/api.paypal.com/v1/notifications/certs/CERT-1',
    'https://api.paypal.com@evil.example.net/v1/notifications/certs/CERT-1',
    'https://api.paypal.com:8443/v1/notifications/certs/CERT-1',
    'https://api.paypal.com/v1/notifications/certs/../../oauth2/CERT-1',
    'https://api.paypal.com/v1/notifications/certs/CERT-1?x=1',
    'https://API.paypal.com/v1/notifications/certs/CERT-1',
    'https://www.paypal.com/v1/notifications/certs/CERT-1',
    'https://169.254.169.254/latest/meta-data',
  ]) {
    const verdict = await verifyDelivery(source, withHeaders(byPaypal, { [certUrl]: [url] }));
    t.match(verdict, { ok: false, reason: 'malformed_signature' }, url);
  }
  const sns = fetchingSource(awsSns, arn, certificate('sns'));
  const text = bySns.body.toString();
  const [good = ''] = /https:\/\/sns[^"]+\.pem/.exec(text) ?? [];
  for (const url of [
    good.replace('https', 'http'),
    good.replace('us-east-1', 'eu-west-1'),
    good.replace('amazonaws.com', 'amazonaws.com.example.net'),
    good.replace('https://', 'https://evil.example.net/'),
    good.replace('sns.', 'bucket.s3.'),
    good.replace('.com/', '.com:444/'),
    good.replace('.pem', '.pem?x'),
  ]) {
    const body = Buffer.from(text.replace(good, url));
    t.match(await verifyDelivery(sns.source, { ...bySns, body }), { reason: 'malformed_signature' }, url);
  }
  t.strictSame([fetched, sns.fetched], [[], []]);
});

t.test('a foreign topic is refused before anything is fetched', async (t) => {
  for (const secret of [
    arn.replace('orders', 'orders2'),
    arn.replace('123456789012', '123456789013'),
    arn.replace('us-east-1', 'us-east-2'),
  ]) {
    const { source, fetched } = fetchingSource(awsSns, secret, certificate('sns'));
    t.match(await verifyDelivery(source, bySns), {
      reason: 'wrong_signature',
      detail: 'it is for another topic',
    });
    t.equal(fetched.length, 0);
  }
  const { source } = fetchingSource(awsSns, arn.replace('orders', '*'), certificate('sns'));
  t.match(await verifyDelivery(source, bySns), { ok: true }, '* takes every topic of the account');
});

t.test(
  'a flood of forged addresses is a bounded number of fetches, and touches no key that is here',
  async (t) => {
    const { source, fetched } = fetchingSource(
      paypal,
      webhookId,
      certificate('paypal'),
      new HttpStatusError(404, 'no'),
    );
    t.match(await verifyDelivery(source, byPaypal), { ok: true });
    const named = (n: number) =>
      withHeaders(byPaypal, {
        [certUrl]: [`https://api.paypal.com/v1/notifications/certs/CERT-forged-${n}`],
      });
    const reasons = new Map<string, number>();
    for (let n = 0; n < 500; n++) {
      const verdict = await verifyDelivery(source, named(n));
      const reason = verdict.ok ? 'ok' : verdict.reason;
      reasons.set(reason, (reasons.get(reason) ?? 0) + 1);
    }
    t.equal(fetched.length, fetchBurst);
    t.strictSame(Object.fromEntries(reasons), {
      wrong_signature: fetchBurst - 1,
      key_unavailable: 501 - fetchBurst,
    });
    t.match(verifyDelivery(source, byPaypal), { ok: true }, 'genuine ones go on at once');
    t.match(
      await verifyDelivery(source, named(0)),
      { reason: 'key_unavailable', detail: /no such certificate at the last fetch/ },
      'and is not asked for again',
    );
    t.equal(fetched.length, fetchBurst);
    await verifyDelivery(source, later(named(1_000), 2 * fetchEveryMs));
    t.equal(fetched.length, fetchBurst + 1, 'one more after a while');
  },
);

t.test('a host that is down asks the sender to try again, one that answers 404 does not', async (t) => {
  const down = fetchingSource(
    awsSns,
    arn,
    new Error('ECONNREFUSED'),
    new HttpStatusError(503, ''),
    certificate('sns'),
  );
  t.match(await verifyDelivery(down.source, bySns), { reason: 'key_unavailable', detail: /ECONNREFUSED/ });
  t.match(await verifyDelivery(down.source, bySns), { reason: 'key_unavailable' }, 'remembered');
  t.equal(down.fetched.length, 1);
  t.match(await verifyDelivery(down.source, later(bySns, failedMs)), { reason: 'key_unavailable' });
  t.match(await verifyDelivery(down.source, later(bySns, 2 * failedMs)), { ok: true });
  const absent = fetchingSource(awsSns, arn, new HttpStatusError(403, ''), certificate('sns'));
  t.match(await verifyDelivery(absent.source, bySns), {
    reason: 'wrong_signature',
    detail: /no such certificate/,
  });
  t.match(
    await verifyDelivery(absent.source, later(bySns, absentMs - 1)),
    { reason: 'key_unavailable' },
    'which is not said to a delivery for which nobody asked',
  );
  t.equal(absent.fetched.length, 1);
  t.match(await verifyDelivery(absent.source, later(bySns, absentMs)), { ok: true });
});

t.test('deliveries that arrive together wait for one fetch', async (t) => {
  const { source, fetched } = fetchingSource(awsSns, arn, certificate('sns'));
  const verdicts = await Promise.all([1, 2, 3].map(() => verifyDelivery(source, bySns)));
  t.match(verdicts, [{ ok: true }, { ok: true }, { ok: true }]);
  t.equal(fetched.length, 1);
});

/** Answers when the test says so. */
function slowSource(provider: Source['provider'], secret: string, answer: string) {
  const { promise, resolve } = Promise.withResolvers<string>();
  const { source } = fetchingSource(provider, secret, '');
  return { source: { ...source, fetchText: () => promise }, arrive: () => resolve(answer) };
}

t.test('50 forged addresses a second do not keep the genuine one out of a cold cache', async (t) => {
  const { source, fetched } = fetchingSource(paypal, webhookId, certificate('paypal'));
  const genuineUrl = byPaypal.headers[certUrl]?.[0];
  const fetchText = async (url: string) => {
    fetched.push(url);
    if (url !== genuineUrl) throw new HttpStatusError(404, 'no');
    return certificate('paypal');
  };
  const flooded = { ...source, fetchText };
  const random = createRandom(7);
  const tries: string[] = [];
  // Ten minutes of it, and every second a genuine delivery, somewhere between two forged ones.
  for (let ms = 0; ms < 600_000; ms += 20) {
    const url = `https://api.paypal.com/v1/notifications/certs/CERT-forged-${ms}`;
    await verifyDelivery(flooded, later(withHeaders(byPaypal, { [certUrl]: [url] }), ms));
    if (ms === 0 || ms % 1_000 !== 0) continue;
    const verdict = await verifyDelivery(flooded, later(byPaypal, ms + random.below(20)));
    tries.push(verdict.ok ? 'ok' : verdict.reason);
  }
  t.match(tries.at(-1), 'ok');
  const first = tries.indexOf('ok');
  t.ok(first >= 0 && first < 300, `accepted at try ${first + 1}`);
  t.strictSame(new Set(tries.slice(first)), new Set(['ok']), 'and from then on always');
  t.ok(fetched.length <= fetchBurst + (1.2 * 600_000) / fetchEveryMs, `${fetched.length} fetches`);
});

t.test('what waits for a key is bounded, and a small delivery finds room beside large ones', async (t) => {
  const { source, arrive } = slowSource(paypal, webhookId, certificate('paypal'));
  const large = { ...byPaypal, body: Buffer.alloc(1_048_576) };
  const verdicts = Array.from({ length: 500 }, () => verifyDelivery(source, large));
  const waiting = verdicts.filter((verdict) => verdict instanceof Promise).length;
  t.ok(waiting * large.body.length <= maxWaitingBytes, `${waiting} MB wait`);
  t.match(verdicts.at(-1), { ok: false, reason: 'key_unavailable', detail: /too many deliveries wait/ });
  const genuine = verifyDelivery(source, byPaypal);
  t.type(genuine, Promise);
  arrive();
  t.match(await genuine, { ok: true });
  await Promise.all(verdicts);
  t.match(verifyDelivery(source, byPaypal), { ok: true }, 'without a promise');
  const other = slowSource(paypal, webhookId, certificate('paypal'));
  const largest = { ...byPaypal, body: Buffer.alloc(26_214_400) };
  t.type(verifyDelivery(other.source, largest), Promise, 'the largest body may wait where nothing else does');
  other.arrive();
});
