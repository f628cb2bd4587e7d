// The closer look at a refused request: what would have made it right, for every provider of the registry.
import t, { type Test } from 'tap';
import { bodyAlterations, urlVariants } from '../../src/providers/alterations.ts';
import {
  type Delivery,
  type Diagnosis,
  diagnoseRejection,
  type Provider,
  providers,
  type Source,
  verifyDelivery,
} from '../../src/providers/index.ts';
import {
  exampleUrl,
  fixedNow,
  makeSigned,
  makeSource,
  postRequest,
  secretOf,
  withHeaders,
} from './deliveries.ts';

const { github, hubspot, shippo, shopify, square, stripe, twilio, vonage } = providers;

async function diagnose(source: Source, delivery: Delivery, others: Source[] = []): Promise<Diagnosis> {
  const verdict = await verifyDelivery(source, delivery);
  if (verdict.ok) throw new Error('it was accepted');
  const diagnosis = await diagnoseRejection(source, delivery, verdict, [source, ...others]);
  for (const { secrets } of [source, ...others])
    for (const secret of secrets)
      if (diagnosis.detail?.includes(secret)) throw new Error('the detail holds a secret');
  return diagnosis;
}

for (const provider of Object.values<Provider>(providers))
  t.test(`${provider.name}: each cause is told from the others`, (t) => tellsCauses(t, provider));

async function tellsCauses(t: Test, provider: Provider): Promise<void> {
  const { delivery, key } = makeSigned(provider);
  const other = makeSource(provider, secretOf(provider, 1).secret);
  t.match(await diagnose(other, delivery), { reason: 'wrong_secret' }, 'no secret of ours');
  const named = { ...makeSource(provider, key.secret), name: 'of-the-team' };
  t.strictSame(await diagnose(other, delivery, [named]), {
    reason: 'other_secret',
    detail: 'signed with the secret of of-the-team',
  });

  const right = makeSource(provider, key.secret);
  const { signsBody, signsUrl, freshness } = provider.scheme;
  if (signsBody) {
    const altered = { ...delivery, body: Buffer.concat([delivery.body, Buffer.from('\n')]) };
    t.strictSame(await diagnose(right, altered), {
      reason: 'altered_body',
      detail: 'the signature is right once the line break at the end is taken away',
    });
    t.match(await diagnose(right, { ...delivery, body: Buffer.alloc(0) }), { detail: /body arrived empty$/ });
  }
  if (signsUrl) {
    const moved = { ...right, webhookUrl: exampleUrl.replace('https://', 'http://') };
    t.match(await diagnose(moved, delivery), {
      reason: 'wrong_url',
      detail: /^signed for https:.*, not for http:/,
    });
  }
  if (freshness) {
    const late = {
      ...delivery,
      receivedAt: new Date(fixedNow.getTime() + (freshness.pastSeconds + 60) * 1000),
    };
    t.match(await diagnose(right, late), {
      reason: 'too_old',
      detail: /^\d+ s old, \d+ are allowed; its signature is right$/,
    });
    const early = {
      ...delivery,
      receivedAt: new Date(fixedNow.getTime() - (freshness.futureSeconds + 60) * 1000),
    };
    t.match(await diagnose(right, early), {
      reason: 'too_new',
      detail: /^\d+ s ahead, \d+ are allowed; its signature is right$/,
    });
  }
}

t.test('a delivery on the path of another source is told with its source', async (t) => {
  const { delivery, source: from } = makeSigned(github);
  const wrongPath = { reason: 'wrong_path', detail: 'a valid delivery of the source github' };
  t.strictSame(await diagnose(makeSource(stripe, secretOf(stripe).secret), delivery, [from]), wrongPath);
  t.strictSame(await diagnose(makeSource(shippo, 'v1-0123456789abcdef'), delivery, [from]), wrongPath);
  const unknown = await diagnose(makeSource(stripe, secretOf(stripe).secret), delivery);
  t.match(unknown, {
    reason: 'missing_header',
    detail: /^missing stripe-signature; the delivery carries .*x-hub-signature-256 as github or .* does/,
  });
});

t.test('an old forgery is not taken for a late delivery', async (t) => {
  const { delivery } = makeSigned(stripe);
  const late = { ...delivery, receivedAt: new Date(fixedNow.getTime() + 3_600_000) };
  const other = makeSource(stripe, secretOf(stripe, 1).secret);
  t.strictSame(await diagnose(other, late), {
    reason: 'too_old',
    detail: '3600 s old, 300 are allowed; its signature could not be confirmed',
  });
});

t.test('what proxies do to a body is undone, whatever the sender writes', async (t) => {
  const source = makeSource(shopify, secretOf(shopify).secret);
  const rewrites: [name: string, signed: string, arrived: string][] = [
    ['LF', '{"a":1}\n', '{"a":1}'],
    ['CRLF', '{"a":1}\r\n', '{"a":1}'],
    ['BOM taken', '\ufeff{"a":1}', '{"a":1}'],
    ['BOM put', '{"a":1}', '\ufeff{"a":1}'],
    ['CRLF to LF', '{\r\n"a":1\r\n}', '{\n"a":1\n}'],
    ['LF to CRLF', '{\n"a":1\n}', '{\r\n"a":1\r\n}'],
    ['UTF-8 as Latin-1', '{"a":"ä"}', '{"a":"Ã¤"}'],
    ['indent 2', JSON.stringify({ a: { b: [1, 2] } }, null, 2), '{"a":{"b":[1,2]}}'],
    ['indent 4', JSON.stringify({ a: { b: [1, 2] } }, null, 4), '{"a":{"b":[1,2]}}'],
    ['compact', '{"a":{"b":[1,2]}}', '{ "a": { "b": [1, 2] } }'],
    ['Python', '{"a": [1, "\\u00e4"], "b": {}}', '{"a":[1,"ä"],"b":{}}'],
    ['Python without escapes', '{"a": [1, "ä, b"], "b": {}}', '{"a":[1,"ä, b"],"b":{}}'],
    ['PHP', '{"url":"https:\\/\\/x.example\\/\\u00e4"}', '{"url":"https://x.example/ä"}'],
    ['Go', '{"a":"\\u003cb\\u003e \\u0026"}', '{"a":"<b> &"}'],
    ['numbers as written', '{"a": 1.50, "b": 12345678901234567890}', '{"a":1.50,"b":12345678901234567890}'],
    ['form', 'a=1+2&b=%C3%A4', 'a=1%202&b=%c3%a4'],
    ['form with %20', 'a=1%202&b=x', 'a=1+2&b=x'],
  ];
  for (const [name, signed, arrived] of rewrites) {
    const { delivery } = makeSigned(shopify, { body: signed });
    const body = Buffer.from(arrived);
    t.match(await diagnose(source, { ...delivery, body }), { reason: 'altered_body' }, name);
  }
  const { delivery } = makeSigned(shopify, { body: '{"a":1}' });
  t.match(await diagnose(source, { ...delivery, body: Buffer.from('{"a":2}') }), { reason: 'wrong_secret' });
});

t.test('the URL that was typed in is found, and its query is not told', async (t) => {
  const { delivery } = makeSigned(square);
  const ask = (webhookUrl: string, headers: Record<string, string[]> = {}) =>
    diagnose({ ...makeSource(square, secretOf(square).secret), webhookUrl }, withHeaders(delivery, headers));
  const found = {
    reason: 'wrong_url',
    detail: /^signed for https:\/\/shop\.example\.com\/api\/webhooks\/it\?…, not/,
  };
  t.match(await ask('https://shop.example.com/api/webhooks/it'), found, 'query');
  t.match(await ask('http://shop.example.com/api/webhooks/it/'), found, 'http and slash');
  t.match(await ask('https://intern.example.com/x', { host: ['shop.example.com'] }), found, 'host and path');
  t.match(await ask('https://intern/x', { 'x-forwarded-host': ['shop.example.com'] }), found, 'forwarded');
  t.match(await ask('https://elsewhere.example.com/x'), { reason: 'wrong_secret' });
});

t.test('a genuine token for another body names the body, though nothing undoes it', async (t) => {
  const { source, delivery } = makeSigned(vonage);
  t.match(await diagnose(source, { ...delivery, body: Buffer.from('{}') }), {
    reason: 'altered_body',
    detail: 'the signature is for another body',
  });
});

t.test('a large body costs no more than a bounded amount of work', async (t) => {
  const source = makeSource(github, 'a-secret-of-sixteen');
  const others = Array.from({ length: 200 }, (_, n) => ({
    ...makeSource(github, `another-secret-${n}-0123456789`),
    name: `other-${n}`,
  }));
  const { delivery } = makeSigned(github, { body: `{"a":"${'x'.repeat(1_000_000)}"}` });
  t.match(await diagnose(source, delivery, others), {
    reason: 'wrong_signature',
    detail: 'the diagnosis stopped at its limit',
  });
});

t.test('what a body holds makes no alteration large, and none is made before it is asked for', (t) => {
  const altered = (text: string) =>
    [...bodyAlterations({ ...postRequest(text) })].map(({ body }) => body.length);
  const deep = `${'['.repeat(150)}${'1,'.repeat(20_000)}1${']'.repeat(150)}`;
  for (const text of [deep, `[${'1,'.repeat(30_000)}1]`, 'a=&'.repeat(20_000), `${'\n'.repeat(65_000)}x`])
    t.ok(Math.max(...altered(text)) <= 2 * text.length, text.slice(0, 5));
  const ordinary = JSON.stringify({
    lines: Array.from({ length: 400 }, (_, n) => ({ n, note: 'x'.repeat(99) })),
  });
  t.ok(altered(ordinary).length > 6, `${ordinary.length} bytes of an order are written again`);
  t.end();
});

t.test('hundreds of forwarded hosts make no more URLs to try than a few', (t) => {
  const { delivery } = makeSigned(square);
  const hosts = Array.from({ length: 400 }, (_, n) => `h${n}.example.com`);
  const variants = [...urlVariants(exampleUrl, withHeaders(delivery, { 'x-forwarded-host': hosts }))];
  t.ok(variants.length < 150, `${variants.length} variants`);
  t.end();
});

t.test('keys are not fetched for a diagnosis, and the generators bear any request', async (t) => {
  let fetches = 0;
  const fetchText = async () => {
    fetches++;
    throw new Error('no network');
  };
  for (const provider of Object.values<Provider>(providers)) {
    if (provider.secret.check('published') !== undefined) continue;
    const { delivery } = makeSigned(provider);
    const remote = { ...makeSource(provider, 'published'), name: 'remote', fetchText };
    await diagnose(makeSource(provider, secretOf(provider, 1).secret), delivery, [remote]);
  }
  t.equal(fetches, 0);
  const odd = { method: 'POST', url: '*', headers: { host: ['a b<'] }, receivedAt: fixedNow };
  for (const body of ['{', '[1', '\ufeff', '\0', '=', '%', '\r\n'])
    for (const { body: altered } of bodyAlterations({ ...odd, body: Buffer.from(body) }))
      t.ok(Buffer.isBuffer(altered));
  t.ok([...urlVariants('https://shop.example.com', { ...odd, body: Buffer.alloc(0) })].length > 5);
  t.match(await diagnose({ ...makeSource(hubspot, 'a-secret-of-sixteen') }, makeSigned(twilio).delivery), {
    reason: 'missing_header',
  });
});
