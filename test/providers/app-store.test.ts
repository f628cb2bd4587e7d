// Apple's notifications bring their certificates along: only a chain to the root that is meant for this counts, and only
// for our app. Certificates were made with Python cryptography.
import { createPrivateKey, createPublicKey } from 'node:crypto';
import { readFileSync } from 'node:fs';
import t from 'tap';
import {
  type Delivery,
  providers,
  readDrafts,
  type Source,
  verifyDelivery,
} from '../../src/providers/index.ts';
import { encodeJson, signToken } from '../../src/providers/schemes/token.ts';
import { fixedNow, makeSigned, postRequest } from './deliveries.ts';

const provider = providers['apple-app-store'];
const pemOf = (name: string) =>
  readFileSync(new URL(`certificates/apple-${name}.pem`, import.meta.url), 'utf8');
const derOf = (name: string) => pemOf(name).replaceAll(/-----[A-Z ]+-----|\n/g, '');
const privateKey = createPrivateKey(pemOf('leaf-key'));
const key = createPublicKey(pemOf('leaf'));
const bundle = 'com.example.bell';

const sourceOf = (...secrets: string[]): Source => ({
  name: provider.name,
  provider,
  secrets,
  trustedRoots: [pemOf('root')],
});
const about = (environment = 'Production', bundleId = bundle) => ({
  notificationType: 'DID_RENEW',
  notificationUUID: '002e14d5-51f5-4503-b5a8-c3a1af68eb20',
  signedDate: fixedNow.getTime(),
  data: { bundleId, environment },
});

function sent(claims: object, head: object = {}): Delivery {
  const x5c = ['leaf', 'issuer', 'root'].map(derOf);
  const signed = `${encodeJson({ alg: 'ES256', x5c, ...head })}.${encodeJson(claims)}`;
  const signedPayload = `${signed}.${signToken('ES256', privateKey, signed)}`;
  return postRequest(JSON.stringify({ signedPayload }));
}

const withChain = (...names: string[]) => sent(about(), { x5c: names.map(derOf) });

async function reasonOf(delivery: Delivery, source = sourceOf(bundle)): Promise<string> {
  const verdict = await verifyDelivery(source, delivery);
  return verdict.ok ? 'ok' : `${verdict.reason}: ${verdict.detail}`;
}

t.test('a chain of three to the root is believed, and read', async (t) => {
  const delivery = sent(about());
  t.equal(await reasonOf(delivery), 'ok');
  t.match(readDrafts(sourceOf(bundle), delivery), [
    { eventId: about().notificationUUID, topic: 'DID_RENEW', occurredAt: fixedNow },
  ]);
});

t.test('any other chain is not', async (t) => {
  const refused: [why: RegExp, chain: string[]][] = [
    [/do not end at Apple's root/, ['leaf', 'issuer-by-other-root', 'other-root']],
    [/no chain/, ['leaf', 'issuer-by-other-root', 'root']],
    [/no chain/, ['leaf', 'issuer-no-authority', 'root']],
    [/no chain/, ['leaf-by-root', 'issuer', 'root']],
    [/no chain/, ['issuer', 'leaf', 'root']],
    [/not for the App Store/, ['leaf', 'issuer-of-others', 'root']],
    [/not for the App Store/, ['leaf-of-a-developer', 'issuer', 'root']],
    [/not valid/, ['leaf-expired', 'issuer', 'root']],
    [/three certificates/, ['leaf', 'issuer']],
    [/three certificates/, ['leaf', 'issuer', 'issuer', 'root']],
    [/three certificates/, []],
  ];
  for (const [why, chain] of refused) t.match(await reasonOf(withChain(...chain)), why, chain.join());
  for (const x5c of [undefined, 'AAAA', ['AAAA', 'AAAA', 'AAAA'], [{}, 1, null], [derOf('leaf'), '', '']])
    t.match(await reasonOf(sent(about(), { x5c })), /three certificates/, JSON.stringify(x5c));
});

t.test("without roots of a test, nothing but Apple's own root will do", async (t) => {
  const { trustedRoots: _, ...source } = sourceOf(bundle);
  t.match(await reasonOf(withChain('leaf', 'issuer', 'root'), source), /do not end at Apple's root/);
});

t.test('a signature by another key, or by another algorithm, is refused', async (t) => {
  const { delivery } = makeSigned(provider);
  const token: string = JSON.parse(delivery.body.toString()).signedPayload;
  const [, claims, signature] = token.split('.');
  const head = encodeJson({ alg: 'ES256', x5c: ['leaf', 'issuer', 'root'].map(derOf) });
  const forged = postRequest(JSON.stringify({ signedPayload: `${head}.${claims}.${signature}` }));
  t.match(await reasonOf(forged), /^wrong_signature/);
  for (const alg of ['none', 'HS256', 'RS256', undefined])
    t.match(await reasonOf(sent(about(), { alg })), /^malformed_signature/, String(alg));
  for (const body of ['', '{}', '[]', 'null', '{"signedPayload":1}', '{"signedPayload":"a.b"}'])
    t.match(await reasonOf(postRequest(body)), /^(missing_header|malformed_signature)/, body);
});

t.test('a notification for another app or environment is refused', async (t) => {
  const sandbox = sourceOf(`${bundle}:Sandbox`);
  t.equal(await reasonOf(sent(about('Sandbox')), sandbox), 'ok');
  t.match(await reasonOf(sent(about('Sandbox'))), /not from Production/);
  t.match(await reasonOf(sent(about()), sandbox), /not from Sandbox/);
  t.match(await reasonOf(sent(about('Production', 'com.example.other'))), /another bundle ID/);
  t.match(await reasonOf(sent({ notificationType: 'TEST' })), /another bundle ID/);
  const both = sourceOf(`${bundle}:Sandbox`, `${bundle}:Production`);
  t.strictSame(await verifyDelivery(both, sent(about())), { ok: true, secretIndex: 1 });
});

t.test(
  'the app stands in one of four members; external purchases tell their environment by an id',
  async (t) => {
    const app = { bundleId: bundle, environment: 'Sandbox' };
    const sandbox = sourceOf(`${bundle}:Sandbox`);
    for (const member of ['data', 'summary', 'appData'])
      t.equal(await reasonOf(sent({ notificationType: 'X', [member]: app }), sandbox), 'ok', member);
    const purchase = (externalPurchaseId: string) =>
      sent({ externalPurchaseToken: { bundleId: bundle, externalPurchaseId } });
    t.equal(await reasonOf(purchase('SANDBOX_1'), sandbox), 'ok');
    t.equal(await reasonOf(purchase('1')), 'ok');
    t.match(await reasonOf(purchase('1'), sandbox), /not from Sandbox/);
  },
);

t.test('what stands beside the token changes no event', async (t) => {
  const delivery = sent(about());
  const body = Buffer.from(
    delivery.body.toString().replace('{', '{ "notificationUUID":"another","data":{},'),
  );
  const altered = { ...delivery, body };
  t.equal(await reasonOf(altered), 'ok');
  const read = (of: Delivery) =>
    readDrafts(sourceOf(bundle), of).map(({ eventId, topic, payloadText }) => [eventId, topic, payloadText]);
  t.strictSame(read(altered), read(delivery));
});

t.test('a pinned key is for trials: the certificates are not asked', async (t) => {
  const pinned = key.export({ type: 'spki', format: 'der' }).toString('base64');
  t.equal(await reasonOf(sent(about(), { x5c: [] }), sourceOf(`${bundle};${pinned}`)), 'ok');
});
