// B17: whether a comparison tells by its time how much of a secret was right. compared-secrets.test.ts asks whether the
// source has a second comparison.
import { randomBytes } from 'node:crypto';
import {
  type Delivery,
  findProvider,
  type Source,
  sameText,
  verifyDelivery,
} from '../../src/providers/index.ts';
import type { BadInput } from './rows.ts';
import { timingT } from './timing.ts';

/**
 * Of the median of five t. Noise stays below 2 at a load of 13 on two cores; memcmp, which stops at the first difference
 * but reads 16 and more bytes at once, comes to 20 (65,536 characters), === to 300 (4,096) and to 1,600 (65,536).
 */
const maxT = 10;
const minNaiveT = 50;

export const comparisonRow: BadInput = {
  id: 'B17',
  title: 'secrets and digests are compared in constant time',
  check: async (t) => {
    // The longest secret that a header may repeat: the longer, the more a comparison that stops early tells.
    const secret = randomBytes(4_096).toString('hex');
    const verify = verifierOf(secret);
    t.same(await verify(secret), { ok: true, secretIndex: 0 }, 'the right one is believed');
    t.match(await verify(`${secret.slice(0, -1)}x`), { ok: false, reason: 'wrong_signature' });
    const text = randomBytes(32_768).toString('hex');
    const timings = {
      'verifying, 8,192 characters': medianT(verify, secret),
      'comparing, 65,536 characters': medianT((candidate) => sameText(text, candidate), text),
    };
    for (const [title, value] of Object.entries(timings))
      t.ok(Math.abs(value) < maxT, `${title}: wrong at the end or at the start, t ${value.toFixed(1)}`);
    const naiveT = medianT((candidate) => text === candidate, text);
    t.ok(naiveT > minNaiveT, `=== would be seen: t ${naiveT.toFixed(1)}`);
  },
};

function verifierOf(secret: string) {
  const source: Source = { name: 'gitlab', provider: findProvider('gitlab')!, secrets: [secret] };
  const delivery = {
    method: 'POST',
    url: '/api/webhooks/gitlab',
    body: Buffer.from('{}'),
    receivedAt: new Date(),
  };
  return (token: string) => {
    const headers: Delivery['headers'] = { 'x-gitlab-token': [token] };
    return verifyDelivery(source, { ...delivery, headers });
  };
}

function medianT(compare: (candidate: string) => unknown, expected: string): number {
  const values = Array.from({ length: 5 }, () => timingT(compare, expected, { pairs: 1_000 }));
  return values.toSorted((a, b) => a - b)[2]!;
}
