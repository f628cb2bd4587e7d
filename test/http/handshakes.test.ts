// Set-up requests on a real socket: the exact answer, and nothing of them accepted as an event.
import { createHmac } from 'node:crypto';
import t from 'tap';
import { type Provider, providers, signDelivery } from '../../src/providers/index.ts';
import { makeSource } from '../providers/deliveries.ts';
import { openRoute } from '../support/route.ts';

const { dropbox, github, intercom, mandrill, okta, smartcar, stripe, trello, twitch, ups } = providers;
const SECRET = 'a-secret-of-sixteen';
const form = { 'content-type': 'application/x-www-form-urlencoded' };
const signed = (provider: Provider, topic: string, body?: string) =>
  signDelivery(makeSource(provider, SECRET), {
    topic,
    now: new Date(),
    url: `http://localhost/webhooks/${provider.name}`,
    ...(body === undefined ? {} : { body }),
  });

t.test('a GET with a challenge', async (t) => {
  const { ask, accepted } = openRoute(
    t,
    ...[dropbox, okta, providers['x-twitter']].map((provider) => makeSource(provider, SECRET)),
  );
  const echoed = await ask('/webhooks/dropbox?challenge=R2FuZ25hbVN0eWxl-_1');
  t.equal(echoed.status, 200);
  t.equal(echoed.headers.get('content-type'), 'text/plain; charset=utf-8');
  t.equal(echoed.headers.get('x-content-type-options'), 'nosniff');
  t.equal(await echoed.text(), 'R2FuZ25hbVN0eWxl-_1');
  const html = await ask('/webhooks/dropbox?challenge=%3Cscript%3Ealert(1)%3C%2Fscript%3E');
  t.equal(html.status, 400);
  t.notMatch(await html.text(), /script/);

  const verification = await ask('/webhooks/okta', { headers: { 'x-okta-verification-challenge': 'abc-1' } });
  t.equal(verification.status, 200);
  t.equal(verification.headers.get('content-type'), 'application/json; charset=utf-8');
  t.equal(await verification.text(), '{"verification":"abc-1"}');
  t.equal((await ask('/webhooks/okta')).status, 400);

  const crc = await ask('/webhooks/x-twitter?crc_token=abc-1');
  const mac = createHmac('sha256', SECRET).update('abc-1').digest('base64');
  t.equal(crc.status, 200);
  t.strictSame(await crc.json(), { response_token: `sha256=${mac}` });
  t.equal((await ask('/webhooks/x-twitter')).status, 400);
  t.equal(accepted(), 0);
});

t.test('a HEAD, and a POST that all may sign', async (t) => {
  const { ask, accepted, rejections } = openRoute(
    t,
    ...[github, intercom, mandrill, stripe, trello].map((provider) => makeSource(provider, SECRET)),
  );
  for (const name of ['trello', 'mandrill', 'intercom']) {
    const head = await ask(`/webhooks/${name}`, { method: 'HEAD' });
    t.equal(head.status, 200, name);
    t.equal(await head.text(), '');
  }
  for (const name of ['github', 'stripe']) {
    const head = await ask(`/webhooks/${name}`, { method: 'HEAD' });
    t.equal(head.status, 405, `${name} has none`);
    t.equal(head.headers.get('allow'), 'POST');
  }
  const empty = await ask('/webhooks/mandrill', {
    method: 'POST',
    headers: form,
    body: 'mandrill_events=%5B%5D',
  });
  t.equal(empty.status, 200);
  t.equal(await empty.text(), '');
  const forged = await ask('/webhooks/mandrill', {
    method: 'POST',
    headers: form,
    body: 'mandrill_events=%5B%7B%7D%5D',
  });
  t.equal(forged.status, 401);
  t.strictSame(rejections, ['missing_header']);
  t.equal(accepted(), 0);
});

t.test('a POST that is signed: first the signature, then the answer', async (t) => {
  const { post, accepted, rejections } = openRoute(
    t,
    ...[smartcar, twitch].map((provider) => makeSource(provider, SECRET)),
  );
  const challenge =
    '{"challenge":"pogchamp","subscription":{"status":"webhook_callback_verification_pending","type":"stream.online"}}';
  const request = signed(twitch, 'stream.online', challenge);
  const bare = await post(request);
  t.equal(bare.status, 200);
  t.equal(bare.headers.get('content-type'), 'text/plain; charset=utf-8');
  t.equal(bare.headers.get('content-length'), '8');
  t.equal(await bare.text(), 'pogchamp');
  t.equal((await post({ ...request, body: Buffer.from(`${challenge} `) })).status, 401);
  t.strictSame(rejections, ['wrong_signature']);

  const verify = signed(smartcar, 'VERIFY', '{"eventType":"VERIFY","data":{"challenge":"abc-1"}}');
  const keyed = await post(verify);
  t.equal(keyed.status, 200);
  const mac = createHmac('sha256', SECRET).update('abc-1').digest('hex');
  t.strictSame(await keyed.json(), { challenge: mac });
  t.equal(accepted(), 0, 'none of it is an event');

  t.equal((await post(signed(twitch, 'revocation'))).status, 200);
  t.equal(accepted(), 1, 'a revocation is one');
});

t.test('UPS asks the URL of the webhook for a token, and sends it with its events', async (t) => {
  const secret = 'postbell:0123456789abcdef';
  const { ask, accepted, rejections } = openRoute(t, makeSource(ups, secret));
  const tokenFor = (credentials: string) =>
    ask('/webhooks/ups', {
      method: 'POST',
      headers: { ...form, authorization: `Basic ${Buffer.from(credentials).toString('base64')}` },
      body: 'grant_type=client_credentials',
    });
  const answer = await tokenFor(secret);
  t.equal(answer.status, 200);
  t.equal(answer.headers.get('cache-control'), 'no-store');
  const { access_token } = (await answer.json()) as { access_token: string };
  t.equal((await tokenFor('postbell:another-0123456789')).status, 401);
  const send = (authorization: string) =>
    ask('/webhooks/ups', {
      method: 'POST',
      headers: { 'content-type': 'application/json', authorization },
      body: '{"trackingNumber":"1Z204W4R0308071865","activityStatus":{"type":"D","code":"FS"}}',
    });
  t.equal((await send(`Bearer ${secret}`)).status, 401);
  t.equal(accepted(), 0);
  t.equal((await send(`Bearer ${access_token}`)).status, 200);
  t.equal(accepted(), 1);
  t.strictSame(rejections, ['wrong_signature', 'wrong_signature']);
});
