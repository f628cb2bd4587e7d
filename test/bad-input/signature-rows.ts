// B1 to B20: signatures that are missing, wrong, old or captured; secrets that are none; ids that are odd.
import { createHash, createHmac } from 'node:crypto';
import { parseSources } from '../../src/providers/sources.ts';
import { createCli } from '../support/cli.ts';
import { waitFor } from '../support/wait.ts';
import { comparisonRow } from './comparison-row.ts';
import { refused } from './refused.ts';
import type { BadInput } from './rows.ts';
import {
  headerOf,
  type SignedRequest,
  signed,
  sourceEnvironment,
  sources,
  stripeBody,
  withHeader,
} from './senders.ts';
import { accepted, counterOf, repeated, type Stage } from './stage.ts';

const stripeSignature = 'stripe-signature';
const githubSignature = 'x-hub-signature-256';
const stripeSecret = sources.get('stripe')!.secrets[0]!;

/** Signed by hand, so that the timestamp can be anything. */
function stripeAt(stamp: string | number, version = 'v1'): SignedRequest {
  const { body } = stripeBody();
  const hex = createHmac('sha256', stripeSecret).update(`${stamp}.${body}`).digest('hex');
  return withHeader(signed('stripe', { body }), stripeSignature, `t=${stamp},${version}=${hex}`);
}
const nowSeconds = () => Math.floor(Date.now() / 1_000);
const hexOf = (request: SignedRequest) => headerOf(request, githubSignature).slice('sha256='.length);
const github = (id: string = crypto.randomUUID()) => signed('github', { id, body: `{"zen":"${id}"}` });
/** The worker may have the row locked when its duplicate comes: then it is counted a moment later. */
const untilCounted = (stage: Stage, counter: string, before: string) =>
  waitFor(async () => counterOf(counter, await stage.metrics()) === counterOf(counter, before) + 1, {
    what: `${counter} to be one more`,
  });

export const signatureRows: readonly BadInput[] = [
  {
    id: 'B1',
    title: 'no signature header',
    check: async (t, stage) => {
      for (const [source, name] of [
        ['stripe', stripeSignature],
        ['github', githubSignature],
        ['shopify', 'x-shopify-hmac-sha256'],
        ['slack', 'x-slack-signature'],
        ['svix', 'svix-signature'],
        ['sendgrid', 'x-twilio-email-event-webhook-signature'],
        ['postmark', 'authorization'],
        ['livekit', 'authorization'],
      ] as const) {
        const request = signed(source, { topic: source === 'postmark' ? 'Delivery' : '*' });
        t.ok(headerOf(request, name), `${source} sends ${name}`);
        await refused(t, stage, withHeader(request, name, undefined), source);
      }
    },
  },
  {
    id: 'B2',
    title: 'an empty signature header, or a prefix without a signature',
    check: async (t, stage) => {
      const github = signed('github');
      for (const value of ['', 'sha256=', 'sha256', 'v1,'])
        await refused(t, stage, withHeader(github, githubSignature, value), `github "${value}"`);
      const stripe = signed('stripe', { body: stripeBody().body });
      for (const value of ['', 't=,v1=', `t=${nowSeconds()},v1=`, 'v1=', ',', '=,='])
        await refused(t, stage, withHeader(stripe, stripeSignature, value), `stripe "${value}"`);
      for (const value of ['', 'v1,', ' ', 'v1'])
        await refused(t, stage, withHeader(signed('svix'), 'svix-signature', value), `svix "${value}"`);
    },
  },
  {
    id: 'B3',
    title: 'signatures of a wrong length, odd or invalid hex, 64 characters of several bytes each',
    check: async (t, stage) => {
      const request = github();
      const hex = hexOf(request);
      const spellings = {
        short: hex.slice(0, 62),
        odd: hex.slice(0, 63),
        long: `${hex}00`,
        'no hex': 'z'.repeat(64),
        'latin-1': 'é'.repeat(64),
        'UTF-8': Buffer.from('é'.repeat(64)).toString('latin1'),
        'UTF-8 of 64 characters in all': Buffer.from('🔔'.repeat(16)).toString('latin1'),
        blanks: `${hex.slice(0, 32)} ${hex.slice(32)}`,
      };
      for (const [title, value] of Object.entries(spellings))
        await refused(t, stage, withHeader(request, githubSignature, `sha256=${value}`), title);
    },
  },
  {
    id: 'B4',
    title: 'a signature made with a wrong secret, or with the secret of another source',
    check: async (t, stage) => {
      const { body } = stripeBody();
      const stranger = signed('stripe', { body, secret: 'whsec_somebody_elses_secret_0001' });
      await refused(t, stage, stranger, 'an unknown secret');
      const eu = signed('stripe-eu', { body });
      await refused(t, stage, { ...eu, path: '/api/webhooks/stripe' }, "the other source's secret");
      const own = signed('stripe', { body });
      await refused(t, stage, { ...own, path: '/api/webhooks/stripe-eu' }, 'and the other way round');
      t.equal((await stage.send(own)).body, accepted, 'where it belongs it is accepted');
    },
  },
  {
    id: 'B5',
    title: 'a right signature of a slightly different body',
    check: async (t, stage) => {
      const text = '{ "id": "evt_near",\n "type":"a.b", "n": 1.0 }';
      const bodies = {
        'a line break more': `${text}\n`,
        're-serialised': JSON.stringify(JSON.parse(text)),
        'a BOM': `\ufeff${text}`,
        'CR LF': text.replace('\n', '\r\n'),
      };
      for (const source of ['stripe', 'github', 'shopify', 'slack', 'svix'])
        for (const [title, body] of Object.entries(bodies)) {
          const request = signed(source, { body: text });
          await refused(t, stage, { ...request, body: Buffer.from(body) }, `${source}, ${title}`);
        }
    },
  },
  {
    id: 'B6',
    title: 'other spellings of the right signature',
    check: async (t, stage) => {
      const request = github();
      const hex = hexOf(request);
      const base64 = Buffer.from(hex, 'hex').toString('base64');
      for (const value of [hex.toUpperCase(), base64, Buffer.from(hex, 'hex').toString('base64url')])
        await refused(t, stage, withHeader(request, githubSignature, `sha256=${value}`), `github ${value}`);
      const shop = signed('shopify', { body: `{"spelling":"${crypto.randomUUID()}"}` });
      const right = headerOf(shop, 'x-shopify-hmac-sha256');
      const asHex = Buffer.from(right, 'base64').toString('hex');
      for (const value of [right.replace(/=+$/, ''), `${right}=`, asHex])
        await refused(t, stage, withHeader(shop, 'x-shopify-hmac-sha256', value), `shopify ${value}`);
      t.equal((await stage.send(shop)).body, accepted, 'the right spelling is accepted');
    },
  },
  {
    id: 'B7',
    title: 'two signatures, the second right; and the older of two secrets',
    check: async (t, stage) => {
      const { body } = stripeBody();
      const request = signed('stripe', { body });
      const [stamp, right] = headerOf(request, stripeSignature).split(',');
      const two = `${stamp},v1=${'0'.repeat(64)},${right}`;
      t.equal((await stage.send(withHeader(request, stripeSignature, two))).body, accepted);
      t.equal((await stage.deliver('stripe', { body: stripeBody().body, secretIndex: 1 })).body, accepted);
    },
  },
  {
    id: 'B8',
    title: 'ten thousand signatures in one header',
    check: async (t, stage) => {
      const { body } = stripeBody();
      const request = signed('stripe', { body });
      const list = `t=${nowSeconds()},${'v1=0,'.repeat(10_000)}`;
      t.equal((await stage.send(withHeader(request, stripeSignature, list))).status, 431, '50 KB of header');
      const fits = `t=${nowSeconds()}${',v1=0'.repeat(1_600)},${headerOf(request, stripeSignature).split(',')[1]}`;
      await refused(
        t,
        stage,
        withHeader(request, stripeSignature, fits),
        'as many as fit, the last one right',
      );
    },
  },
  {
    id: 'B9',
    title: 'the signature header twice',
    check: async (t, stage) => {
      for (const [source, name] of [
        ['stripe', stripeSignature],
        ['github', githubSignature],
        ['shopify', 'x-shopify-hmac-sha256'],
        ['svix', 'svix-signature'],
      ] as const) {
        const request = signed(source);
        const right = headerOf(request, name);
        for (const [first, second] of [
          [right, right],
          [right, 'x'],
          ['x', right],
        ] as const) {
          const twice = withHeader(request, name, first);
          twice.headers.push([name.toUpperCase(), second]);
          await refused(t, stage, twice, `${source} ${first.slice(0, 6)}, ${second.slice(0, 6)}`);
        }
      }
    },
  },
  {
    id: 'B10',
    title: 'timestamps: old, in the future, not decimal, in ms, empty, huge',
    check: async (t, stage) => {
      const now = nowSeconds();
      // 310 s: a machine that is busy with other tests may take its time.
      for (const stamp of [
        now - 310,
        now + 310,
        '1e10',
        '-1',
        `${now}abc`,
        '',
        now * 1_000,
        '1'.repeat(20),
        `0${now}`,
        `+${now}`,
        ` ${now}.0`,
        '0x65',
      ])
        await refused(t, stage, stripeAt(stamp), `t=${stamp}`);
      for (const stamp of [now - 290, now, now + 290])
        t.equal((await stage.send(stripeAt(stamp))).body, accepted, `${stamp - now} s`);
    },
  },
  {
    id: 'B11',
    title: 'a captured GitHub body under a new delivery id',
    check: async (t, stage) => {
      const request = github();
      t.equal((await stage.send(request)).body, accepted);
      const before = await stage.metrics();
      const again = withHeader(request, 'x-github-delivery', crypto.randomUUID());
      t.equal((await stage.send(again)).body, accepted);
      const { rows } = await stage.pool.query(
        'SELECT status, ignored_reason FROM webhook_events WHERE body_sha256 = $1 AND NOT unique_body',
        [createHash('sha256').update(request.body).digest()],
      );
      t.match(rows, [{ status: 'IGNORED', ignored_reason: /^suspected replay of / }], 'kept and not run');
      await untilCounted(
        stage,
        'postbell_duplicate_anomalies_total{source="github",anomaly="suspected_replay"}',
        before,
      );
    },
  },
  {
    id: 'B12',
    title: 'a captured Stripe request, inside and outside of the tolerance',
    check: async (t, stage) => {
      const { id, body } = stripeBody();
      const request = signed('stripe', { body });
      t.equal((await stage.send(request)).body, accepted);
      t.equal((await stage.send(request)).body, repeated);
      await waitFor(async () => (await stage.row(id))?.duplicates === 1, {
        what: 'the duplicate to be counted',
      });
      const old = signed('stripe', { body: stripeBody().body, at: new Date(Date.now() - 310_000) });
      await refused(t, stage, old, 'after the tolerance');
    },
  },
  {
    id: 'B13',
    title: 'a known id with another body',
    check: async (t, stage) => {
      const first = stripeBody();
      t.equal((await stage.deliver('stripe', { body: first.body })).body, accepted);
      const before = await stage.metrics();
      const other = stripeBody({ id: first.id, data: { object: { note: 'another' } } });
      t.equal((await stage.deliver('stripe', { body: other.body })).body, repeated);
      t.ok(
        (await stage.row(first.id))?.raw_body?.equals(Buffer.from(first.body)),
        'the first bytes are kept',
      );
      await untilCounted(
        stage,
        'postbell_duplicate_anomalies_total{source="stripe",anomaly="body_conflict"}',
        before,
      );
    },
  },
  {
    id: 'B14',
    title: 'unusable secrets: the start ends with exit code 78 and names the variable',
    check: async (t) => {
      const cli = createCli(t, { DATABASE_URL: 'postgres://nobody@127.0.0.1:1/none' });
      const bad: [string, string][] = [
        ['STRIPE_WEBHOOK_SECRET', ''],
        ['STRIPE_WEBHOOK_SECRET', 'whsec_'],
        ['STRIPE_WEBHOOK_SECRET', 'whsec_SHORT1'],
        ['GITHUB_WEBHOOK_SECRET', 'SHORT2'],
        ['SVIX_WEBHOOK_SECRET', 'whsec_no*base64*SHORT3'],
        ['SVIX_WEBHOOK_SECRET', 'whsec_AAAA'],
        ['GITHUB_WEBHOOK_SECRET', 'SECRET-CANARY-github-0001,'],
      ];
      for (const [variable, value] of bad) {
        const { code, stdout, stderr } = await cli.inside(['web'], { env: { [variable]: value } });
        t.equal(code, 78, `${variable}=${value}`);
        t.match(stderr, variable);
        t.notMatch(stdout + stderr, /SHORT|CANARY|AAAA/, 'never its value');
      }
    },
  },
  {
    id: 'B15',
    title: 'a declared source without a secret: 503, never accepted, and never 404, which ends webhooks',
    check: async (t, stage) => {
      const { GITHUB_WEBHOOK_SECRET: _, ...others } = sourceEnvironment;
      t.notOk(parseSources(others).sources.has('github'), 'without a secret there is no source');
      const request = { ...signed('stripe'), path: '/api/webhooks/gitlab' };
      t.equal((await stage.send(request)).status, 503);
    },
  },
  {
    id: 'B16',
    title: 'downgrades: only SHA-1, v0, an unknown version, alg none',
    check: async (t, stage) => {
      const request = github();
      const sha1 = createHmac('sha1', sources.get('github')!.secrets[0]!).update(request.body).digest('hex');
      const legacy = withHeader(
        withHeader(request, githubSignature, undefined),
        'x-hub-signature',
        `sha1=${sha1}`,
      );
      await refused(t, stage, legacy, 'X-Hub-Signature alone');
      await refused(t, stage, withHeader(request, githubSignature, `sha1=${sha1}`), 'sha1=');
      for (const version of ['v0', 'v2', 'v1a'])
        await refused(t, stage, stripeAt(nowSeconds(), version), version);
      const svix = signed('svix');
      const v1a = headerOf(svix, 'svix-signature').replace('v1,', 'v1a,');
      await refused(t, stage, withHeader(svix, 'svix-signature', v1a), 'svix v1a');
      const livekit = signed('livekit');
      const [, claims] = headerOf(livekit, 'authorization').split('.');
      for (const alg of ['none', 'None', 'HS384']) {
        const head = Buffer.from(JSON.stringify({ alg, typ: 'JWT' })).toString('base64url');
        await refused(t, stage, withHeader(livekit, 'authorization', `${head}.${claims}.`), `alg ${alg}`);
      }
    },
  },
  comparisonRow,
  {
    id: 'B18',
    title: 'no event id where the provider sends one',
    check: async (t, stage) => {
      const body = `{"type":"a.b","nonce":"${crypto.randomUUID()}"}`;
      t.equal((await stage.deliver('stripe', { body })).body, accepted);
      t.equal(
        (await stage.rowOf(body))?.event_id,
        `sha256:${createHash('sha256').update(body).digest('hex')}`,
      );
      const request = withHeader(github(), 'x-github-delivery', undefined);
      t.equal((await stage.send(request)).body, accepted);
      t.match((await stage.rowOf(request.body))?.event_id, /^sha256:/);
    },
  },
  {
    id: 'B19',
    title: 'event ids that are long, or hold NUL, line breaks, emoji, blanks, capitals',
    check: async (t, stage) => {
      const unique = crypto.randomUUID();
      const ids = [
        'x'.repeat(10_000),
        `${'x'.repeat(9_999)}y`,
        'a\0b',
        'a\nb',
        '🔔',
        'a ',
        'a',
        'A',
        '\ud800',
      ];
      const stored: unknown[] = [];
      for (const id of ids) {
        const body = JSON.stringify({ id: `${unique}${id}`, type: 'odd.id' });
        t.equal((await stage.deliver('stripe', { body })).body, accepted, JSON.stringify(id.slice(0, 20)));
        const row = await stage.rowOf(body);
        t.ok(row && row.event_id.length <= 255);
        if (id.length < 10 && id.isWellFormed() && !id.includes('\0'))
          t.equal(row?.event_id, `${unique}${id}`);
        stored.push(row?.event_id);
      }
      t.equal(new Set(stored).size, ids.length, 'none was cut, folded or merged');
    },
  },
  {
    id: 'B20',
    title: 'ids that are equal only after Unicode normalisation',
    check: async (t, stage) => {
      const unique = crypto.randomUUID();
      for (const form of ['NFC', 'NFD']) {
        const body = JSON.stringify({ id: `${unique} é`.normalize(form), type: 'a.b' });
        t.equal((await stage.deliver('stripe', { body })).body, accepted, form);
      }
    },
  },
];
