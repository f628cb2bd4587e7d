// Published keys of a sender that does not name the one it signed with (fal.ai): each is tried.
import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import t from 'tap';
import { type Delivery, providers, type Source, verifyDelivery } from '../../src/providers/index.ts';
import { keysFreshMs, minRefetchMs } from '../../src/providers/schemes/remote-keys.ts';
import { fixedNow, makeSigned, withHeaders } from './deliveries.ts';

const { fal } = providers;
const [older, newer] = [generateKeyPairSync('ed25519'), generateKeyPairSync('ed25519')];
const jwk = (key: KeyObject) => key.export({ format: 'jwk' });
const jwks = (...keys: KeyObject[]) => JSON.stringify({ keys: keys.map(jwk) });

function signedBy({ privateKey }: { privateKey: KeyObject }, now = fixedNow): Delivery {
  const secret = fal.secret.generate().secret;
  return makeSigned(fal, {
    now,
    key: { secret, privateKey: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString() },
  }).delivery;
}

function publishing(answer: () => string) {
  const asked: string[] = [];
  const source: Source = {
    name: 'fal',
    provider: fal,
    secrets: ['published'],
    fetchText: async (url) => {
      asked.push(url);
      return answer();
    },
  };
  return { source, asked };
}

t.test('any of the published keys may fit', async (t) => {
  const { source, asked } = publishing(() => jwks(older.publicKey, newer.publicKey));
  t.match(await verifyDelivery(source, signedBy(older)), { ok: true });
  t.match(await verifyDelivery(source, signedBy(newer)), { ok: true });
  t.strictSame(asked, ['https://rest.fal.ai/.well-known/jwks.json']);
});

t.test(
  'a new key is found after a while, and forged signatures do not make us fetch again and again',
  async (t) => {
    let published = jwks(older.publicKey);
    const { source, asked } = publishing(() => published);
    t.match(await verifyDelivery(source, signedBy(older)), { ok: true });
    published = jwks(older.publicKey, newer.publicKey);
    for (let i = 0; i < 100; i++)
      t.match(
        await verifyDelivery(source, signedBy(newer)),
        { reason: 'key_unavailable' },
        '503: asked again soon',
      );
    t.equal(asked.length, 1);
    const later = new Date(fixedNow.getTime() + minRefetchMs);
    t.match(await verifyDelivery(source, signedBy(newer, later)), { ok: true });
    t.equal(asked.length, 2);
  },
);

t.test('what is too old or of no form is refused before a key is fetched', async (t) => {
  const { source, asked } = publishing(() => jwks(older.publicKey));
  const delivery = signedBy(older);
  const old = { ...delivery, receivedAt: new Date(fixedNow.getTime() + 24 * 3600 * 1000) };
  t.match(await verifyDelivery(source, old), { reason: 'too_old' });
  const odd = withHeaders(delivery, { 'x-fal-webhook-signature': [] });
  t.match(await verifyDelivery(source, odd), { reason: 'missing_header' });
  t.strictSame(asked, []);
});

t.test(
  'while the keys cannot be fetched, those at hand stay in force, and another has to wait',
  async (t) => {
    let published: string | undefined;
    const { source } = publishing(() => {
      if (published === undefined) throw new Error('out of reach');
      return published;
    });
    t.match(await verifyDelivery(source, signedBy(older)), { reason: 'key_unavailable' });
    published = jwks(older.publicKey);
    const second = new Date(fixedNow.getTime() + minRefetchMs);
    t.match(await verifyDelivery(source, signedBy(older, second)), { ok: true });
    published = undefined;
    const stale = new Date(second.getTime() + keysFreshMs + 1);
    t.match(await verifyDelivery(source, signedBy(older, stale)), { ok: true });
    const last = new Date(stale.getTime() + minRefetchMs);
    t.match(await verifyDelivery(source, signedBy(newer, last)), { reason: 'key_unavailable' });
  },
);
