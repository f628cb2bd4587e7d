// Set-up requests that nobody signed: answered exactly, never as an open echo.
import { createHash, createHmac } from 'node:crypto';
import t from 'tap';
import {
  answerHandshake,
  handshakeMethods,
  providers,
  type Source,
  verifyDelivery,
} from '../../src/providers/index.ts';
import { getRequest, makeSource, postRequest } from './deliveries.ts';

const { braintree, dropbox, github, mailchimp, mandrill, meta, okta, trello } = providers;
const xTwitter = providers['x-twitter'];
const head = { ...getRequest('/'), method: 'HEAD' };

t.test('Mailchimp gets an empty 200 for its GET, without the secret', (t) => {
  const source = makeSource(mailchimp, 'a-secret-of-sixteen');
  const get = getRequest('/');
  t.match(answerHandshake(source, get, 'unsigned'), { status: 200, body: '' });
  t.equal(answerHandshake(source, { ...get, method: 'POST' }, 'unsigned'), undefined);
  t.equal(answerHandshake(source, { ...get, method: 'HEAD' }, 'unsigned'), undefined);
  t.strictSame(handshakeMethods(source), ['GET']);
  t.strictSame(handshakeMethods(makeSource(github, 'a-secret-of-sixteen')), []);
  t.end();
});

t.test('Meta gets its challenge if it repeats our token, else 403', (t) => {
  const source: Source = { ...makeSource(meta, 'a-secret-of-sixteen'), verifyToken: 'our-token' };
  const ask = (token: string, challenge = '1158201444', from = source) =>
    answerHandshake(
      from,
      getRequest(
        `/?hub.mode=subscribe&hub.verify_token=${token}&hub.challenge=${encodeURIComponent(challenge)}`,
      ),
      'unsigned',
    );
  t.match(ask('our-token'), { status: 200, body: '1158201444', contentType: /^text\/plain/ });
  t.match(ask('another'), { status: 403, body: '' });
  t.match(ask('our-token', '<script>'), { status: 400, body: '' });
  t.match(ask('', '1', makeSource(meta, 'a-secret-of-sixteen')), { status: 403 }, 'no token configured');
  t.match(answerHandshake(source, getRequest('/?hub.mode=subscribe&hub.challenge=1'), 'unsigned'), {
    status: 403,
  });
  t.equal(answerHandshake(source, getRequest('/'), 'unsigned'), undefined);
  t.end();
});

t.test('Mandrill gets 200 for its HEAD, and for the empty batch that is signed with a key all know', (t) => {
  const source = makeSource(mandrill, 'a-secret-of-sixteen');
  const form = (body: string) =>
    answerHandshake(source, postRequest(body, 'application/x-www-form-urlencoded'), 'unsigned');
  t.match(answerHandshake(source, head, 'unsigned'), { status: 200, body: '' });
  t.strictSame(handshakeMethods(source), ['HEAD']);
  t.match(form('mandrill_events=%5B%5D'), { status: 200, body: '' });
  t.match(form('mandrill_events=[]'), { status: 200, body: '' });
  for (const other of [
    'mandrill_events=%5B%7B%7D%5D',
    'mandrill_events=[]&mandrill_events=[]',
    `mandrill_events=[]&more=${'x'.repeat(200)}`,
    '',
  ])
    t.equal(form(other), undefined, other);
  t.equal(answerHandshake(source, postRequest('{"mandrill_events":[]}'), 'unsigned'), undefined, 'no form');
  t.end();
});

t.test('Trello gets an empty 200 for its HEAD', (t) => {
  const source = makeSource(trello, 'a-secret-of-sixteen');
  t.strictSame(answerHandshake(source, head, 'unsigned'), {
    status: 200,
    contentType: 'text/plain; charset=utf-8',
    body: '',
  });
  t.equal(answerHandshake(source, postRequest('{}'), 'unsigned'), undefined);
  t.strictSame(handshakeMethods(source), ['HEAD']);
  t.end();
});

t.test('Dropbox gets its challenge as plain text that no browser takes for a page', (t) => {
  const source = makeSource(dropbox, 'a-secret-of-sixteen');
  const ask = (query: string) =>
    answerHandshake(source, getRequest(`/api/webhooks/dropbox${query}`), 'unsigned');
  t.strictSame(ask('?challenge=R2FuZ25hbVN0eWxl-_1'), {
    status: 200,
    contentType: 'text/plain; charset=utf-8',
    body: 'R2FuZ25hbVN0eWxl-_1',
    headers: { 'x-content-type-options': 'nosniff' },
  });
  for (const bad of ['', '?challenge=', '?challenge=%3Cb%3E', '?challenge=a&challenge=b', '?challenge=a%20b'])
    t.equal(ask(bad), undefined, bad);
  t.equal(ask(`?challenge=${'x'.repeat(1025)}`), undefined, 'over 1 KB');
  t.end();
});

t.test('X gets its token keyed with the newest secret', (t) => {
  const source = makeSource(xTwitter, 'x-client-secret-0123', 'x-consumer-secret-0123');
  const ask = (token: string) =>
    answerHandshake(source, getRequest(`/?crc_token=${encodeURIComponent(token)}`), 'unsigned');
  const answer = ask('bW9jay1jcmMtdG9rZW4');
  t.match(answer, { status: 200, contentType: /^application\/json/ });
  // Computed with Python's hmac module.
  const expected = 'sha256=hWXKfXVE1wedy4lJjW7XiKrBV4cAxu/xxArbglNsqRY=';
  t.strictSame(JSON.parse(answer?.body ?? ''), { response_token: expected });
  for (const bad of ['', 'a b', '<b>', 'x'.repeat(1025)]) t.equal(ask(bad), undefined, bad);
  t.end();
});

t.test('what X’s challenge hands out is no signature for a body', (t) => {
  const source = makeSource(xTwitter, 'x-client-secret-0123');
  const ask = (token: string) =>
    answerHandshake(source, getRequest(`/?crc_token=${encodeURIComponent(token)}`), 'unsigned');
  t.equal(ask('{"tweet_create_events":[{}]}'), undefined, 'an object is no challenge');
  for (const body of ['[{}]', '"text"', '12345', 'null']) {
    const { response_token } = JSON.parse(ask(body)?.body ?? '{}');
    const forged = { ...postRequest(body), headers: { 'x-twitter-webhooks-signature': [response_token] } };
    t.match(verifyDelivery(source, forged), { ok: false, reason: 'wrong_signature' }, body);
  }
  t.end();
});

t.test('X is believed under either of its headers, but not under a wrong one alone', (t) => {
  const source = makeSource(xTwitter, 'x-consumer-secret-0123');
  const body = '{"for_user_id":"42","follow_events":[{}]}';
  const right = `sha256=${createHmac('sha256', 'x-consumer-secret-0123').update(body).digest('base64')}`;
  const wrong = `sha256=${createHmac('sha256', 'another-secret-0123').update(body).digest('base64')}`;
  const verdict = (headers: Record<string, string[]>) =>
    verifyDelivery(source, { ...postRequest(body), headers });
  const newer = 'x-twitter-webhooks-signature-oauth2';
  const older = 'x-twitter-webhooks-signature';
  t.match(verdict({ [newer]: [right] }), { ok: true });
  t.match(verdict({ [older]: [right] }), { ok: true });
  t.match(verdict({ [newer]: [wrong], [older]: [right] }), { ok: true }, 'only the older key is known here');
  t.match(verdict({ [newer]: [wrong], [older]: [wrong] }), { ok: false, reason: 'wrong_signature' });
  t.match(verdict({ [newer]: [right], [older]: [right, right] }), { ok: false, reason: 'repeated_header' });
  t.end();
});

t.test('Okta gets its challenge back as JSON, from the one header', (t) => {
  const source = makeSource(okta, 'a-secret-of-sixteen');
  const ask = (...values: string[]) =>
    answerHandshake(
      source,
      { ...getRequest('/'), headers: { 'x-okta-verification-challenge': values } },
      'unsigned',
    );
  t.strictSame(ask('BSdDd2aQ3RkXCrVSpkIXbV9P9Zbu_g2O6ivgPaEQ'), {
    status: 200,
    contentType: 'application/json; charset=utf-8',
    body: '{"verification":"BSdDd2aQ3RkXCrVSpkIXbV9P9Zbu_g2O6ivgPaEQ"}',
    headers: { 'x-content-type-options': 'nosniff' },
  });
  t.equal(ask('a', 'b'), undefined, 'doubled');
  t.equal(ask('<script>'), undefined, 'no HTML');
  t.equal(answerHandshake(source, getRequest('/'), 'unsigned'), undefined, 'without a challenge');
  t.end();
});

t.test('Braintree gets its challenge signed, if it is one', (t) => {
  const source = makeSource(braintree, 'integration_public_key:integration_private_key');
  const key = createHash('sha1').update('integration_private_key').digest();
  const mac = createHmac('sha1', key).update('20f9f8ed05f77439fe955c977e4c8a53').digest('hex');
  const ask = (challenge: string) =>
    answerHandshake(source, getRequest(`/?bt_challenge=${challenge}`), 'unsigned');
  t.match(ask('20f9f8ed05f77439fe955c977e4c8a53'), { status: 200, body: `integration_public_key|${mac}` });
  for (const bad of ['', 'bad_challenge', '20F9F8ED05F77439FE955C977E4C8A53', 'a'.repeat(19), 'a'.repeat(33)])
    t.equal(ask(bad), undefined, bad);
  t.equal(
    answerHandshake(source, getRequest(`/?bt_challenge=${'a'.repeat(20)}&bt_challenge=b`), 'unsigned'),
    undefined,
  );
  t.end();
});
